"""How many texts were longer than a model reads, as the jobs have said it in their logs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tdro.formats import percent
from tdro.models.cuts import MANY, heard

# A rule whose log has such lines, and what it is for; all others evaluate.
_STAGES = {"encode": "mining", "rescore": "mining", "reference": "tDRO", "optimize": "tDRO", "train": "training"}


@dataclass(frozen=True)
class CutTexts:
    """Texts of one task or test set that one stage read: of the job that cut the largest share of them.

    Attributes:
        stage: Mining, training, tDRO or evaluation.
        texts: What they are of.
        cut: How many lost something.
        read: Of how many.
    """

    stage: str
    texts: str
    cut: int
    read: int

    @property
    def share(self) -> str:
        """In percent."""
        return percent(round(self.cut / self.read, 3))

    @property
    def many(self) -> bool:
        """Whether so many that it is worth a warning."""
        return self.cut > MANY * self.read


def collect(logs: Path) -> list[CutTexts]:
    """Of every stage the texts that were cut, the largest share first; nothing where no log says so.

    Args:
        logs: Folder with the logs of each rule, ``LOGS/RULE/ANYTHING.log``.
    """
    worst: dict[tuple[str, str], CutTexts] = {}
    for file in sorted(logs.glob("*/**/*.log")):
        stage = _STAGES.get(file.relative_to(logs).parts[0], "evaluation")
        for what, cut, read in heard(file.read_text(encoding="utf-8", errors="replace")):
            found = CutTexts(stage, _named(what), cut, read)
            key = found.stage, found.texts
            if key not in worst or cut * worst[key].read > worst[key].cut * read:
                worst[key] = found
    order = [*dict.fromkeys(_STAGES.values()), "evaluation"]
    return sorted(worst.values(), key=lambda one: (order.index(one.stage), -one.cut / one.read, one.texts))


def _named(what: str) -> str:
    """The task or test set: what is read is named by it, or by the folder that it lies in."""
    parts = Path(what).parts
    return parts[-2] if parts[-1] == "heldout" and len(parts) > 1 else parts[-1]


def sentence(found: Sequence[CutTexts]) -> str:
    """The worst of each stage; empty where nothing was cut."""
    worst = {one.stage: one for one in reversed(found)}
    stages = [one.stage for one in found]
    said = [f"{stage} at most {worst[stage].share} ({worst[stage].texts})" for stage in dict.fromkeys(stages)]
    return f"The largest shares of texts that were longer than the model reads: {'; '.join(said)}." if said else ""

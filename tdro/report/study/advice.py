"""The sentence that a study ends with: which mixture to train on, and how surely."""

from collections.abc import Sequence
from dataclasses import dataclass

from tdro.config import mixturenames
from tdro.config.commands import BASELINE
from tdro.formats import listed, plural, signed, trainings
from tdro.report.scores.comparison import ONE_SEED, Judged, bounds


@dataclass(frozen=True)
class Candidate:
    """A mixture as a choice looks at it.

    Attributes:
        mixture: Its name.
        trainings: What has to be trained for it; None where that is not known.
        judged: Its difference to the baseline on dev, and what that means.
    """

    mixture: str
    trainings: float | None
    judged: Judged

    @property
    def drawn(self) -> bool:
        """Whether chance decides its weights, so that it is a control and nothing to train on."""
        return mixturenames.parse(self.mixture).drawn

    @property
    def cost(self) -> str:
        """What it costs, as the end of an enumeration."""
        return "" if self.trainings is None else f", {trainings(self.trainings)}"


def choose(candidates: Sequence[Candidate]) -> Candidate | None:
    """The largest gain that can be told from none, of a mixture that chance does not decide; None: the baseline."""
    gaining = [one for one in candidates if one.judged.verdict == "gain" and not one.drawn]
    return max(gaining, key=lambda one: one.judged.difference.mean, default=None)


def sentence(candidates: Sequence[Candidate], seeds: int, queries: int) -> str:
    """What to train on, with the uncertainty.

    Args:
        candidates: All mixtures but the baseline.
        seeds: Trainings of each.
        queries: Dev queries.
    """
    over = f"{plural(seeds, 'seed')}, {plural(queries, 'query', 'queries')}"
    if not candidates:
        return f"Only {BASELINE} was trained: there is nothing to choose."
    warned = f" {ONE_SEED}" if seeds == 1 and any(one.judged.verdict != "unclear" for one in candidates) else ""
    return _sentence(candidates, over) + warned


def _sentence(candidates: Sequence[Candidate], over: str) -> str:
    """The same, of some candidates, without what one seed leaves open."""
    if chosen := choose(candidates):
        difference, others = chosen.judged.difference, _moved([one for one in candidates if one is not chosen])
        return (
            f"Train on {chosen.mixture}: {signed(difference.mean)} {bounds(difference)} on dev against {BASELINE}"
            f" ({over}){chosen.cost}; {others or f'nothing else is distinguishable from {BASELINE}'}."
        )
    if moved := _moved(candidates):
        return f"Nothing to choose is better than {BASELINE} on dev for certain ({over}; {moved}): train on {BASELINE}."
    return f"Nothing is distinguishable from {BASELINE} on dev ({over}): train on {BASELINE}."


def _moved(candidates: Sequence[Candidate]) -> str:
    """Those that can be told from the baseline: what gains, what chance gave, what loses, the largest first."""
    order = sorted(candidates, key=lambda one: -abs(one.judged.difference.mean))
    gaining = [one for one in order if one.judged.verdict == "gain"]
    found = {
        "distinguishable gains, too": [one for one in gaining if not one.drawn],
        "gains of weights drawn by chance": [one for one in gaining if one.drawn],
        "losses": [one for one in order if one.judged.verdict == "loss"],
    }
    return "; ".join(f"{words}: {listed([_figures(one) for one in those])}" for words, those in found.items() if those)


def _figures(one: Candidate) -> str:
    return f"{one.mixture} ({signed(one.judged.difference.mean)}{one.cost})"

"""What the name of a mixture means: which share of the training rows each task gets.

Mixtures of sizes (``uniform``, ``proportional``, ``temperatureT``, ``unimaxN``) need the number of
rows of each task; learnt ones (``curr``, ``mean``, ``ema``, ``topP``, ``bottomP``, ``loss``, ``doremi``)
need tDRO, and ``curr@VARIANT`` and the like a run of the sweep; ``chameleon`` needs the miner's embeddings;
``file-NAME`` is a weights JSON of whatever origin.

Controls are what a learnt mixture has to beat: ``shuffled-N`` (the weights of ``curr`` given to other tasks),
``randomP-N`` (as many tasks as ``topP`` keeps, whichever) and ``longer`` (``uniform`` with the steps that learning the
weights would have bought).
``bagP-N`` is uniform on P % of each task's rows. ``soup-NAME`` is no training: an average of trained models, and
``averaged-NAME`` one training on the mean of these models' weights (:class:`tdro.config.soups.Soup`).

``mergemix``, ``transfer`` and ``prune`` need short trainings that nobody lists: the ``warmup`` and ``expert-TASK``
(:class:`tdro.config.experts.Experts`); ``without-TASK`` is uniform over all tasks but one.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tdro.config.nearest import nearest
from tdro.errors import UserError

_NUMBER = r"(?:0\.\d*[1-9]\d*|[1-9]\d*(?:\.\d+)?)"
_PERCENT = r"(?:[1-9]\d?|100)"
_VARIANT = r"(?:@[a-z]+-[0-9.e-]+)?"
_DRAW = r"-(?:0|[1-9]\d*)"
_TASK = r"-[A-Za-z0-9][A-Za-z0-9_.-]*"
_PATTERNS = {
    "uniform": "",
    "proportional": "",
    "temperature": _NUMBER,
    "unimax": _NUMBER,
    "curr": _VARIANT,
    "mean": _VARIANT,
    "ema": _VARIANT,
    "top": _PERCENT + _VARIANT,
    "bottom": _PERCENT + _VARIANT,
    "loss": _VARIANT,
    "doremi": "",
    "shuffled": _DRAW + _VARIANT,
    "random": _PERCENT + _DRAW,
    "longer": "",
    "chameleon": "",
    "mergemix": "",
    "transfer": "",
    "prune": "",
    "without": _TASK,
    "file": r"-[A-Za-z0-9_]+",
    "bag": _PERCENT + _DRAW,
    "averaged": r"-[A-Za-z0-9_]+",
    "soup": r"-[A-Za-z0-9_]+(?:@0\.\d*[1-9])?",
}
#: Trainings that no configuration lists.
_UNLISTED = {"warmup": "", "expert": _TASK}
#: What stands behind a kind that never stands alone; N is the number in the misspelt name.
_EXAMPLES = {
    "temperature": "2",
    "unimax": "2",
    "top": "70",
    "bottom": "70",
    "shuffled": "-1",
    "random": "70-1",
    "bag": "80-1",
}
_LEARNT = ("curr", "mean", "ema", "top", "bottom", "loss", "doremi", "shuffled")
#: Kinds that keep some of the tasks and weigh them alike.
_SELECTING = ("top", "bottom", "random")
#: Kinds that are told by experts of the tasks.
_OF_EXPERTS = ("mergemix", "transfer", "prune")
#: Which mixture a control is for: that of the same number and variant.
_CONTROLLED = {"shuffled": "curr", "random": "top"}

#: Every name that a configuration may list, as a regular expression without groups; those of trainings; those of
#: averaged models; and all that there are.
NAMES = "|".join(f"{kind}{number}" for kind, number in _PATTERNS.items())
TRAINED = "|".join(f"{kind}{number}" for kind, number in (_PATTERNS | _UNLISTED).items() if kind != "soup")
SOUPS = f"soup{_PATTERNS['soup']}"
ALL = f"{TRAINED}|{SOUPS}"

#: The names, as people read them.
KNOWN = (
    "uniform, proportional, temperatureT, unimaxN, curr, mean, ema, topP, bottomP (P from 1 to 100), loss, doremi, "
    "shuffled-N, randomP-N, longer, chameleon, mergemix, transfer, prune, without-TASK, bagP-N, file-NAME (letters, "
    "digits, _), soup-NAME, averaged-NAME; learnt ones also with @VARIANT of the sweep, soups with @SHARE"
)


class Mixture(NamedTuple):
    """A mixture's name, taken apart.

    ``top70`` is kind ``top``, number 70; ``file-old`` kind ``file``, name ``old``; ``random70-2`` kind ``random``,
    number 70, name ``2``; ``curr@ratio-0.05`` kind ``curr``, variant ``ratio-0.05``; ``soup-s@0.5`` kind ``soup``, name
    ``s``, share 0.5; ``expert-faq`` kind ``expert``, name ``faq``.
    """

    kind: str
    number: float = 0
    name: str = ""
    variant: str = ""
    share: float | None = None

    @property
    def learnt(self) -> bool:
        """Whether tDRO has to run first."""
        return self.kind in _LEARNT

    @property
    def course(self) -> str:
        """Which run of tDRO it comes from: the name of its folder."""
        if self.kind == "doremi":
            return "tdro-doremi"
        return f"tdro-{self.variant}" if self.variant else "tdro"

    @property
    def selects(self) -> bool:
        """Whether it keeps some of the tasks and weighs them alike."""
        return self.kind in _SELECTING

    @property
    def drawn(self) -> bool:
        """Whether chance decides it: its number N and the seed of the run."""
        return self.kind in _CONTROLLED

    @property
    def controlled(self) -> "Mixture | None":
        """The mixture that it is the control of, by drawing; None for all others."""
        kind = _CONTROLLED.get(self.kind)
        return self._replace(kind=kind, name="") if kind else None

    @property
    def of_others(self) -> bool:
        """Whether it is made of other mixtures: their models, or their weights."""
        return self.kind in ("soup", "averaged")

    @property
    def of_experts(self) -> bool:
        """Whether experts of the tasks have to be trained first."""
        return self.kind in _OF_EXPERTS

    @property
    def unlisted(self) -> bool:
        """Whether it is a training that others need and no configuration lists."""
        return self.kind in _UNLISTED

    @property
    def of_task(self) -> bool:
        """Whether its name is that of a task."""
        return self.kind in ("expert", "without")

    @property
    def reweights(self) -> bool:
        """Whether all tasks are sampled alike, and the weights scale the loss (paper, Table 5)."""
        return self.kind == "loss"


def parse(name: str) -> Mixture:
    """Take a name apart.

    Raises:
        UserError: for a name that is none of :data:`KNOWN`.
    """
    if not re.fullmatch(ALL, name):
        raise UserError(f"unknown mixture {name!r}{_meant(name)}; known are {KNOWN}.")
    kind, number, file, variant = re.fullmatch(r"([a-z]+)([0-9.]*)(?:-([^@]+))?(?:@(.+))?", name).groups()
    if kind == "soup" and variant:
        return Mixture(kind, name=file, share=float(variant))
    return Mixture(kind, float(number or 0), file or "", variant or "")


def _meant(name: str) -> str:
    """The name probably meant by one that is none: ``top-70`` and ``tpo70`` are nearest to ``top70``."""
    plain, at, variant = name.partition("@")
    number = re.search(r"\d+(?:\.\d+)?", plain)
    endings = [end + number[0] if number else "" for end in ("", "-")]
    forms = [kind + end for kind in _PATTERNS for end in ("", *endings, _EXAMPLES.get(kind, ""))]
    digits, _, own = plain.lstrip("abcdefghijklmnopqrstuvwxyz").partition("-")
    forms += [f"{kind}{digits}-{own}" for kind in _PATTERNS if own]
    found = nearest(plain, [form for form in dict.fromkeys(forms) if re.fullmatch(NAMES, form)])
    return f" (did you mean {found + at + variant!r}?)" if found else ""


def kept(mixture: Mixture, tasks: int) -> int:
    """How many of ``tasks`` tasks ``topP`` and its like keep: floor(k P / 100) (paper, section on top-k)."""
    return tasks * int(mixture.number) // 100


def bagged(percent: float, rows: int) -> int:
    """How many of a task's rows ``bagP-N`` sees: P % of them, rounded up, and at least the two that a plan needs."""
    return min(rows, max(2, math.ceil(rows * percent / 100)))


def remarks(names: Sequence[str], tasks: int, shares: Mapping[str, float]) -> Iterator[str]:
    """A sentence on each mixture that keeps one task, each that must equal one before it, each control of none.

    ``top100`` is ``uniform``, ``temperature1`` is ``proportional``, of three tasks ``top70`` and ``top99`` keep the
    same two, and ``soup-s@0.5`` is ``soup-s`` where that has a share of 0.5.

    Args:
        names: The mixtures.
        tasks: How many tasks there are.
        shares: The share of each soup that has one without ``@SHARE``, by its name.
    """
    first: dict[Mixture, str] = {}
    for name in names:
        mixture = parse(name)
        number = kept(mixture, tasks) if mixture.selects else 0
        if number == 1:
            draw = f"-{mixture.name}" if mixture.name else ""
            way = (
                f"{mixture.kind}{math.ceil(200 / tasks)}{draw} keeps two" if tasks > 2 else "leave it out or add tasks"
            )
            yield f"mixture {name} keeps 1 of {tasks} tasks, so that it trains on that task alone; {way}"
        if mixture.kind == "soup" and not mixture.share:
            mixture = mixture._replace(share=shares.get(mixture.name))
        same = _plainest(mixture, number, tasks)
        if first.setdefault(same, name) != name:
            yield f"mixtures {first[same]} and {name} are the same for {tasks} tasks; leave one of them out"
        if mixture.controlled and mixture.controlled not in map(parse, names):
            plain = written(mixture.controlled)
            yield f"mixture {name} is a control of {plain}, which is not among the mixtures; add {plain}"


def written(mixture: Mixture) -> str:
    """The name of a mixture; :func:`parse` undoes it."""
    number, name = f"{mixture.number:g}" if mixture.number else "", f"-{mixture.name}" if mixture.name else ""
    behind = mixture.variant or (f"{mixture.share:g}" if mixture.share else "")
    return f"{mixture.kind}{number}{name}" + (f"@{behind}" if behind else "")


def _plainest(mixture: Mixture, number: int, tasks: int) -> Mixture:
    """The simplest mixture that must be equal; ``number`` is that of the tasks kept."""
    if number == tasks:
        return Mixture("uniform")
    if mixture.kind == "temperature" and mixture.number == 1:
        return Mixture("proportional")
    return mixture._replace(number=number) if number else mixture


def of_sizes(mixture: Mixture, sizes: Mapping[str, int], rows: int | None = None) -> dict[str, float]:
    """Weights of a mixture that follows from the number of rows of each task; they sum to 1.

    - ``uniform``, ``longer``: the same for every task.
    - ``proportional``: n_g / sum(n).
    - ``temperatureT``: n_g^(1/T), normalised; T = 1 is proportional, a large T nearly uniform
      (Devlin's smoothing of mBERT; Arivazhagan et al. 2019).
    - ``unimaxN``: as uniform as no task is passed over more than N times (Chung et al. 2023, UniMax).
      Where the budget exceeds N passes over everything, every task is passed over alike.

    Args:
        mixture: A mixture that is not learnt.
        sizes: Training rows of each task.
        rows: Rows that a training draws, for ``unimaxN``.
    """
    if mixture.kind == "unimax":
        return _unimax(sizes, mixture.number, rows)
    exponent = {"uniform": 0.0, "longer": 0.0, "bag": 0.0, "proportional": 1.0}.get(mixture.kind)
    if exponent is None:
        exponent = 1 / mixture.number
    largest = max(sizes.values())  # powers of shares cannot overflow
    powers = {task: (size / largest) ** exponent for task, size in sizes.items()}
    return {task: power / sum(powers.values()) for task, power in powers.items()}


def _unimax(sizes: Mapping[str, int], passes: float, rows: int | None) -> dict[str, float]:
    if rows is None:
        raise UserError(f"mixture unimax{passes:g} depends on how many rows a training draws; give --rows.")
    budget, drawn = float(rows), {}
    smallest_first = sorted(sizes, key=sizes.__getitem__)
    for done, task in enumerate(smallest_first):
        drawn[task] = min(budget / (len(sizes) - done), passes * sizes[task])
        budget -= drawn[task]
    return {task: drawn[task] / sum(drawn.values()) for task in sizes}

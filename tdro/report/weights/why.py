"""Why a task weighs what it does: what it started from, what lifted or lowered it, and whether few rows did."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tdro.artifacts.layout import Layout
from tdro.config.commands import BASELINE, Content
from tdro.config.nearest import hint
from tdro.errors import UserError
from tdro.formats import weight
from tdro.mixtures.weights import read_weights
from tdro.report.weights.stability import FEW

# A share that changes by less has stayed what it was.
_MOVED = 0.02


@dataclass(frozen=True)
class Why:
    """A task's part in a course of tDRO, schema ``TRAJECTORY``.

    Attributes:
        task: Its name.
        started: Its share before the first step.
        ended: Its share after the last one, which is the mixture `curr`.
        mean, ema: Its shares of the mixtures of these names.
        of_rows: Its part of all training rows, what it would have where sizes decide.
        rank: Its place among the tasks by ``ended``, from 1.
        tasks: How many tasks there are.
        steps: How many steps had a measurement of it.
        above: In how many of them it lay above the mean of all tasks, each counted by its weight: those lift it.
        measured: Its clipped measurement, mean over the steps; None where there is none.
        against: The mean of all tasks, each counted by its weight, mean over the same steps.
        measured_rank: Its place among the tasks by ``measured``.
        proxy_loss, reference_loss: Means over its rows; None where it had none.
        drawn: Rows of it that the course has read.
        counting: Part of its rows of a step that carry the measurement; None where none was measured.
    """

    task: str
    started: float
    ended: float
    mean: float
    ema: float
    of_rows: float
    rank: int
    tasks: int
    steps: int
    above: int
    measured: float | None
    against: float | None
    measured_rank: int
    proxy_loss: float | None
    reference_loss: float | None
    drawn: int
    counting: float | None

    @property
    def times(self) -> float:
        """What its share was multiplied by."""
        return self.ended / self.started if self.started else float("inf")

    @property
    def few(self) -> bool:
        """Whether few of its rows carry its measurement."""
        return self.counting is not None and self.counting < FEW

    @property
    def sentence(self) -> str:
        """The conclusion."""
        return f"{self.task} {_became(self)}{_cause(self)}.{_caution(self)}"


def all_reasons(course: pl.DataFrame, start: Mapping[str, float] | None = None) -> list[Why]:
    """Every task of a course, the heaviest at its end first.

    Args:
        course: A trajectory of at least one step.
        start: Share of each task before the first step; None: the same for all.
    """
    last = course.filter(pl.col("step") == pl.col("step").max())
    ended = dict(zip(last["task"], last["weight"], strict=True))
    order = sorted(ended, key=lambda task: (-ended[task], task))
    start = start or dict.fromkeys(order, 1 / len(order))
    compared, size = _compared(course, start), last["size"].sum()
    measured = sorted(order, key=lambda task: -compared[task]["measured"] if task in compared else float("inf"))
    nothing = {"above": 0, "steps": 0, "measured": None, "against": None}
    return [
        _why(
            course.filter(pl.col("task") == task).sort("step"),
            started=start.get(task, 0.0),
            of_rows=last.filter(pl.col("task") == task)["size"].item() / size,
            rank=place,
            tasks=len(order),
            measured_rank=measured.index(task) + 1,
            **compared.get(task, nothing),
        )
        for place, task in enumerate(order, start=1)
    ]


def by_seed(settings: Content, layout: Layout, courses: Mapping[int, pl.DataFrame]) -> dict[int, list[Why]]:
    """Every task of the course of each seed; empty when nothing was learnt.

    Args:
        settings: What the report covers.
        layout: Where the results lie.
        courses: Trajectory of each seed.
    """
    return {seed: all_reasons(course, started(layout, settings.proxy, seed)) for seed, course in courses.items()}


def started(layout: Layout, model: str, seed: int) -> dict[str, float] | None:
    """What a course started from; None where that file is gone, and equal shares are meant."""
    file = Path(layout.weights(model, seed, BASELINE))
    return read_weights(file).weights if file.is_file() else None


def why(course: pl.DataFrame, task: str, start: Mapping[str, float] | None = None) -> Why:
    """One task of a course; arguments as of :func:`all_reasons`.

    Raises:
        UserError: for a task that the course does not have.
    """
    found = {one.task: one for one in all_reasons(course, start)}
    if task not in found:
        raise UserError(
            f"no weight was learnt for a task {task!r}{hint(task, found)}; the tasks are {', '.join(sorted(found))}."
        )
    return found[task]


def _why(rows: pl.DataFrame, **known) -> Why:
    last = rows.row(-1, named=True)
    counted = rows.filter(pl.col("rows") > 0, pl.col("effective_rows") > 0)
    return Why(
        task=last["task"],
        ended=last["weight"],
        mean=last["mean"],
        ema=last["ema"],
        proxy_loss=_by_rows(rows, "proxy_loss"),
        reference_loss=_by_rows(rows, "reference_loss"),
        drawn=rows["rows"].sum(),
        counting=counted["effective_rows"].sum() / counted["rows"].sum() if len(counted) else None,
        **known,
    )


def _compared(course: pl.DataFrame, start: Mapping[str, float]) -> dict[str, dict]:
    """How each task was measured against the mean of all, each counted by the weight that it had before the step.

    After the softmax a task gains weight exactly if its clipped measurement exceeds that mean, to first order in the
    step size (docs/algorithm.md).
    """
    before = pl.col("weight").shift(1).over("task", order_by="step")
    steps = course.with_columns(before=before.fill_null(pl.col("task").replace_strict(start, default=0.0)))
    measured = steps.drop_nulls("gradient")
    against = (pl.col("gradient") * pl.col("before")).sum() / pl.col("before").sum()
    found = measured.with_columns(against=against.over("step")).group_by("task")
    table = found.agg(
        above=(pl.col("gradient") > pl.col("against")).sum(),
        steps=pl.len(),
        measured=pl.col("gradient").mean(),
        against=pl.col("against").mean(),
    )
    return {row.pop("task"): row for row in table.to_dicts()}


def _by_rows(rows: pl.DataFrame, column: str) -> float | None:
    """The mean over all rows of a task, from the means of the steps."""
    known = rows.drop_nulls(column).filter(pl.col("rows") > 0)
    return (known[column] * known["rows"]).sum() / known["rows"].sum() if len(known) else None


def _became(one: Why) -> str:
    place = f"{_ordinal(one.rank)} of {one.tasks} tasks"
    if abs(one.times - 1) < _MOVED:
        return f"kept the share that it started from, {weight(one.ended)} ({place})"
    verb = "rose" if one.times > 1 else "fell"
    return f"{verb} from {weight(one.started)} to {weight(one.ended)} ({one.times:.2g} times its start, {place})"


def _cause(one: Why) -> str:
    """What moved it, with a word of doubt where that does not go together with where it went."""
    if not one.steps:
        return ": it was never measured"
    lifted = one.measured > one.against
    link = ": " if abs(one.times - 1) < _MOVED or lifted == (one.times > 1) else ", although "
    said = (
        f"{link}its measurement averaged {one.measured:.3g} after clipping, against {one.against:.3g} of all tasks by "
        f"their shares, and lay above that in {one.above} of {one.steps} steps"
    )
    return said + _losses(one)


def _losses(one: Why) -> str:
    if one.proxy_loss is None or one.reference_loss is None:
        return ""
    gap = one.proxy_loss - one.reference_loss
    side = f"{abs(gap):.3f} {'above' if gap > 0 else 'below'}" if abs(gap) >= 0.0005 else "level with"
    own, other = f"{one.proxy_loss:.3f}", f"{one.reference_loss:.3f}"
    return f"; the proxy's loss on its rows ({own}) is {side} the reference's ({other})"


def _caution(one: Why) -> str:
    return f" Few of its rows carry that ({one.counting:.0%} of those in a step); look at them." if one.few else ""


def _ordinal(number: int) -> str:
    end = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{end}"

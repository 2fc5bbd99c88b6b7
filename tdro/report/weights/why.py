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
        proxy_loss, reference_loss: Means over its rows; None where it had none.
        measurement: Mean over the steps; None where there is none.
        measured_rank: Its place among the tasks by that.
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
    proxy_loss: float | None
    reference_loss: float | None
    measurement: float | None
    measured_rank: int
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
        return f"{self.task} {_became(self)}: {_cause(self)}.{_caution(self)}"


def all_reasons(course: pl.DataFrame, start: Mapping[str, float] | None = None) -> list[Why]:
    """Every task of a course, the heaviest at its end first.

    Args:
        course: A trajectory of at least one step.
        start: Share of each task before the first step; None: the same for all.
    """
    last = course.filter(pl.col("step") == pl.col("step").max())
    ended = dict(zip(last["task"], last["weight"], strict=True))
    order = sorted(ended, key=lambda task: (-ended[task], task))
    means = {task: _mean(course, task, "measurement") for task in order}
    measured = sorted(order, key=lambda task: -(float("-inf") if means[task] is None else means[task]))
    start = start or dict.fromkeys(order, 1 / len(order))
    above, size = _above(course), last["size"].sum()
    return [
        _why(
            course.filter(pl.col("task") == task).sort("step"),
            started=start.get(task, 0.0),
            of_rows=last.filter(pl.col("task") == task)["size"].item() / size,
            rank=place,
            tasks=len(order),
            measured_rank=measured.index(task) + 1,
            above=above.get(task, (0, 0)),
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


def _why(rows: pl.DataFrame, *, above: tuple[int, int], **known) -> Why:
    last = rows.row(-1, named=True)
    counted = rows.filter(pl.col("rows") > 0, pl.col("effective_rows") > 0)
    share = counted["effective_rows"].sum() / counted["rows"].sum() if len(counted) else None
    return Why(
        task=last["task"],
        ended=last["weight"],
        mean=last["mean"],
        ema=last["ema"],
        above=above[0],
        steps=above[1],
        proxy_loss=_by_rows(rows, "proxy_loss"),
        reference_loss=_by_rows(rows, "reference_loss"),
        measurement=rows["measurement"].mean(),
        drawn=rows["rows"].sum(),
        counting=share,
        **known,
    )


def _above(course: pl.DataFrame) -> dict[str, tuple[int, int]]:
    """In how many steps each task's measurement lies above the weighted mean, and in how many there is one.

    After the softmax a task gains weight exactly if its clipped measurement exceeds the others', weighted by what they
    have, to first order in the step size.
    """
    measured = course.drop_nulls("gradient")
    everything = (pl.col("gradient") * pl.col("weight")).sum() / pl.col("weight").sum()
    compared = measured.with_columns(above=pl.col("gradient") > everything.over("step"))
    found = compared.group_by("task").agg(pl.col("above").sum(), pl.len())
    return {task: (above, steps) for task, above, steps in found.iter_rows()}


def _mean(course: pl.DataFrame, task: str, column: str) -> float | None:
    return course.filter(pl.col("task") == task)[column].mean()


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
    if not one.steps:
        return "it was never measured"
    often = f"in {one.above} of {one.steps} steps"
    lies = f"its measurement lay above the weighted mean of all tasks {often}"
    rose, fell, mostly = one.times >= 1 + _MOVED, one.times <= 1 - _MOVED, one.above > one.steps / 2
    if rose and not mostly:
        lies = f"its measurement lay above the weighted mean of all tasks only {often}, but then by much"
    if fell and mostly:
        lies = f"its measurement lay below the weighted mean of all tasks only in {one.steps - one.above} of "
        lies += f"{one.steps} steps, but then by much"
    return lies + _losses(one)


def _losses(one: Why) -> str:
    if one.proxy_loss is None or one.reference_loss is None:
        return ""
    gap = one.proxy_loss - one.reference_loss
    side = f"{abs(gap):.3f} {'above' if gap > 0 else 'below'}" if abs(gap) >= 0.0005 else "level with"
    own, other = f"{one.proxy_loss:.3f}", f"{one.reference_loss:.3f}"
    return f", and the proxy's loss on its rows ({own}) is {side} the reference's ({other})"


def _caution(one: Why) -> str:
    return f" Few of its rows carry that ({one.counting:.0%} of those in a step); look at them." if one.few else ""


def _ordinal(number: int) -> str:
    end = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{end}"

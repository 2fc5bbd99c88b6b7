"""The weights of every mixture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tdro import formats
from tdro.artifacts.layout import Layout
from tdro.config.commands import BASELINE, Content
from tdro.config.mixturenames import parse
from tdro.errors import UserError
from tdro.mixtures.weights import Weights, read_weights


@dataclass(frozen=True)
class Bar:
    """One task's weight in one mixture; widths in percent of the largest weight shown."""

    weight: str
    width: float
    spread: str
    passes: str


@dataclass(frozen=True)
class TaskWeights:
    """A task's weights, one bar a mixture."""

    task: str
    size: str
    bars: list[Bar]


def read(settings: Content, layout: Layout) -> dict[str, list[Weights]]:
    """The weights of every mixture, a file a seed.

    Raises:
        UserError: for a weights file that is missing or wrong, or weighs a task that was not listed.
    """
    return {
        m: [_read(layout.weights(settings.proxy, s, m), settings) for s in settings.seeds] for m in settings.mixtures
    }


def _read(path: str, settings: Content) -> Weights:
    file = read_weights(path)
    unknown = [task for task in file.weights if task not in settings.tasks]
    if unknown:
        raise UserError(
            f"{path} weighs task {unknown[0]!r}, which is none of the report's tasks. "
            "Delete the file and let the workflow make it again."
        )
    return file


def shares(settings: Content, files: Mapping[str, Sequence[Weights]]) -> list[TaskWeights]:
    """Weights by task and mixture, averaged over the seeds, heaviest of the first learnt mixture first."""
    mean = {
        (mixture, task): sum(file.weights.get(task, 0.0) for file in runs) / len(runs)
        for mixture, runs in files.items()
        for task in settings.tasks
    }
    largest = max(mean.values())
    sizes = {task: n for runs in files.values() for file in runs for task, n in file.sizes.items()}
    order = sorted(settings.tasks, key=lambda task: [-mean[m, task] for m in (settings.challengers or [BASELINE])])
    return [
        TaskWeights(
            task,
            formats.count(sizes[task]) if task in sizes else "-",
            [_bar(mean[m, task], largest, task, files[m], _rows(settings, m)) for m in settings.mixtures],
        )
        for task in order
    ]


def _rows(settings: Content, mixture: str) -> int | None:
    """Rows that a mixture's weights share out; none where they scale the loss."""
    return None if parse(mixture).reweights else settings.rows_of(mixture)


def _bar(weight: float, largest: float, task: str, runs: Sequence[Weights], rows: int | None) -> Bar:
    values = [run.weights.get(task, 0.0) for run in runs]
    spread = f"{min(values):.3f} to {max(values):.3f}" if max(values) - min(values) >= 0.0005 else ""
    size = next((run.sizes[task] for run in runs if task in run.sizes), None)
    seen = formats.passes(weight * rows / size) if rows and size and weight else ""
    return Bar(formats.weight(weight), round(100 * weight / largest, 2), spread, seen)

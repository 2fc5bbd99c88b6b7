"""Rows kept and dropped, as the stages counted them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tdro.artifacts.files import read_counts
from tdro.artifacts.layout import Layout
from tdro.config.commands import BASELINE, Content

# A stage's file, and the stage as the page names it.
_STAGES = {"train.parquet": "Deduplication", "negatives.parquet": "Mining", "queries.parquet": "Preparation"}


@dataclass(frozen=True)
class Stage:
    """Counts of one stage: a line a task (or benchmark), a value a heading; None where it does not count it."""

    name: str
    of: str
    headings: list[str]
    lines: list[tuple[str, list[int | None]]]
    totals: list[int]


def stages(settings: Content, layout: Layout) -> list[Stage]:
    """Counts that the stages stored beside their rows; the last stage comes first.

    Counts that are zero for every task are left out, and so are tasks whose negatives were provided
    and not mined.

    Raises:
        UserError: when a file of preparation or deduplication is missing.
    """
    shown = _plans(settings, layout)
    for file, name in _STAGES.items():
        paths = {task: layout.task(task, file) for task in settings.tasks}
        if file == "negatives.parquet":
            paths = {task: path for task, path in paths.items() if Path(path).exists()}
        shown += _stage(name, "task", _stored(paths))
    return shown + _benchmarks(settings, layout)


def _plans(settings: Content, layout: Layout) -> list[Stage]:
    """What the plans of tDRO and of the baseline drew and repeated, summed over the seeds."""
    shown = []
    for name, folder in {"Rows of tDRO": "tdro", "Rows of the baseline": BASELINE}.items() if settings.courses else ():
        sums: dict[str, Counter[str]] = {}
        for seed in settings.seeds:
            for task, counted in read_counts(layout.run(settings.proxy, seed, f"{folder}/plan.parquet")).items():
                sums.setdefault(task, Counter()).update(counted)
        shown += _stage(name, "task", sums)
    return shown


def _benchmarks(settings: Content, layout: Layout) -> list[Stage]:
    """Counts of the preparation of all datasets that have some, the corpora's after the queries'."""
    datasets = [dataset for name in settings.out_of_domain for dataset in settings.benchmarks[name]]
    shown = []
    for file in ("queries.parquet", "corpus.parquet"):
        paths = {dataset: layout.benchmark(dataset, file) for dataset in datasets}
        paths = {dataset: path for dataset, path in paths.items() if Path(path).exists() and read_counts(path)}
        shown += _stage(f"Benchmarks, {file.removesuffix('.parquet')}", "benchmark", _stored(paths))
    return shown


def _stored(paths: Mapping[str, str]) -> dict[str, dict[str, int]]:
    return {member: read_counts(path) for member, path in paths.items()}


def _stage(name: str, of: str, counts: Mapping[str, Mapping[str, int]]) -> list[Stage]:
    """The counts of every task or benchmark without those that are zero for all; nothing where none is left."""
    headings = list(dict.fromkeys(key for values in counts.values() for key, value in values.items() if value))
    if not headings:
        return []
    lines = [(member, [values.get(key) for key in headings]) for member, values in counts.items()]
    totals = [sum(values.get(key, 0) for values in counts.values()) for key in headings]
    return [Stage(name, of, headings, lines, totals)]

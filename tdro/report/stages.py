"""What happened before the scores: rows kept and dropped, near-duplicates, time and memory."""

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tdro.artifacts.files import read_counts, read_table
from tdro.artifacts.layout import IN_DOMAIN, Layout
from tdro.artifacts.schemas import DUPLICATES
from tdro.config.commands import BASELINE, Content
from tdro.errors import UserError
from tdro.formats import cut, duration, memory

# A stage's file, and the stage as the page names it.
_STAGES = {"train.parquet": "Deduplication", "negatives.parquet": "Mining", "queries.parquet": "Preparation"}
_EXAMPLES = 12


@dataclass(frozen=True)
class Stage:
    """Counts of one stage: a line a task (or benchmark), a value a heading; None where it does not count it."""

    name: str
    of: str
    headings: list[str]
    lines: list[tuple[str, list[int | None]]]
    totals: list[int]


def stages(tasks: list[str], layout: Layout) -> list[Stage]:
    """Counts that the stages stored beside their rows; the last stage comes first.

    Counts that are zero for every task are left out, and so are tasks whose negatives were provided
    and not mined.

    Raises:
        UserError: when a file of preparation or deduplication is missing.
    """
    shown = []
    for file, name in _STAGES.items():
        paths = {task: layout.task(task, file) for task in tasks}
        if file == "negatives.parquet":
            paths = {task: path for task, path in paths.items() if Path(path).exists()}
        shown += _stage(name, "task", _stored(paths))
    return shown


def benchmark_stages(benchmarks: Mapping[str, list[str]], layout: Layout) -> list[Stage]:
    """Counts of the preparation of all datasets that have some, the corpora's after the queries'."""
    datasets = [dataset for name, members in benchmarks.items() if name != IN_DOMAIN for dataset in members]
    shown = []
    for file in ("queries.parquet", "corpus.parquet"):
        paths = {dataset: layout.benchmark(dataset, file) for dataset in datasets}
        paths = {dataset: path for dataset, path in paths.items() if Path(path).exists() and read_counts(path)}
        shown += _stage(f"Benchmarks, {file.removesuffix('.parquet')}", "benchmark", _stored(paths))
    return shown


def plans(settings: Content, layout: Layout) -> list[Stage]:
    """What the plans of tDRO and of the baseline drew and repeated, summed over the seeds."""
    shown = []
    for name, folder in {"Rows of tDRO": "tdro", "Rows of the baseline": BASELINE}.items() if settings.courses else ():
        sums: dict[str, Counter[str]] = {}
        for seed in settings.seeds:
            for task, counted in read_counts(layout.run(settings.proxy, seed, f"{folder}/plan.parquet")).items():
                sums.setdefault(task, Counter()).update(counted)
        shown += _stage(name, "task", sums)
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


@dataclass(frozen=True)
class Duplicates:
    """Training queries removed: a line a source with a number a task, both only where there are some, and examples."""

    tasks: list[str]
    lines: list[tuple[str, list[int]]]
    totals: list[int]
    examples: list[dict]


def duplicates(tasks: list[str], layout: Layout) -> Duplicates:
    """Near-duplicates by source and task, with sums of both, and examples spread over them.

    Only tasks and sources with near-duplicates appear; the source with the most comes first.

    Raises:
        UserError: when a task's ``duplicates.parquet`` is missing.
    """
    frames = [
        pl.DataFrame(read_table(layout.task(task, "duplicates.parquet"), DUPLICATES)).with_columns(
            task=pl.lit(task, pl.String)
        )
        for task in tasks
    ]
    rows = pl.concat(frames)
    number = {(source, task): n for source, task, n in rows.group_by("source", "task").len().iter_rows()}
    concerned = [task for task in tasks if any(task == name for _, name in number)]
    lines = []
    for source, total in sorted(rows.group_by("source").len().iter_rows(), key=lambda row: (-row[1], row[0])):
        lines.append((source, [*(number.get((source, task), 0) for task in concerned), total]))
    totals = [sum(column) for column in zip(*(values for _, values in lines), strict=True)]
    return Duplicates(concerned, lines, totals, _examples(rows))


def _examples(rows: pl.DataFrame) -> list[dict]:
    """The first rows of every task and source in turn; those that differ in wording come first."""
    ordered = rows.sort("distance", "query", descending=[True, False], maintain_order=True)
    turn = pl.int_range(pl.len()).over("task", "source")
    chosen = ordered.with_columns(turn=turn).sort("turn", maintain_order=True).head(_EXAMPLES)
    chosen = chosen.sort("task", "source", "query")
    return [{**row, "text": cut(row["text"]), "matched": cut(row["matched"])} for row in chosen.iter_rows(named=True)]


@dataclass(frozen=True)
class Rule:
    """What the jobs of one rule took."""

    name: str
    jobs: int
    total: str
    longest: str
    longest_job: str
    memory: str
    seconds: float


def rules(logs: str) -> list[Rule]:
    """Time and peak memory by rule, the costliest first, from Snakemake's benchmark files.

    A rule's files are ``LOGS/RULE/ANYTHING.tsv``; other TSV files are passed over. A figure that
    Snakemake could not measure (``NA`` or ``-``) counts as unknown.

    Raises:
        UserError: for a benchmark file that holds something else than numbers.
    """
    jobs: dict[str, list[tuple[str, float, float | None]]] = {}
    root = Path(logs)
    for path in sorted(root.glob("*/**/*.tsv")):
        job = path.relative_to(root).with_suffix("").as_posix()
        for seconds, peak in _read_job(path):
            jobs.setdefault(job.split("/")[0], []).append((job.partition("/")[2], seconds, peak))
    return sorted((_rule(name, rows) for name, rows in jobs.items()), key=lambda rule: (-rule.seconds, rule.name))


def _read_job(path: Path) -> list[tuple[float, float | None]]:
    """Seconds and peak resident memory in MB of each repeat of a job."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        if (reader.fieldnames or [])[:2] != ["s", "h:m:s"]:
            return []
        try:
            rows = [(_measured(row["s"]), _measured(row.get("max_rss"))) for row in reader]
        except ValueError as error:
            raise UserError(f"{path} is no benchmark file of Snakemake: {error}; delete it.") from None
    return [(seconds, peak) for seconds, peak in rows if seconds is not None]


def _measured(value: str | None) -> float | None:
    return None if value in (None, "", "NA", "-") else float(value)


def _rule(name: str, rows: list[tuple[str, float, float | None]]) -> Rule:
    job, longest, _ = max(rows, key=lambda row: row[1])
    total = sum(seconds for _, seconds, _ in rows)
    peaks = [peak for _, _, peak in rows if peak is not None]
    return Rule(name, len(rows), duration(total), duration(longest), job, memory(max(peaks, default=None)), total)

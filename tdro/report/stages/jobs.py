"""Time and memory of the jobs, as Snakemake recorded them."""

import csv
from dataclasses import dataclass
from pathlib import Path

from tdro.errors import UserError
from tdro.formats import duration, memory


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
    cpu_seconds: float


def rules(logs: str) -> list[Rule]:
    """Time and peak memory by rule, the costliest first, from Snakemake's benchmark files.

    A rule's files are ``LOGS/RULE/ANYTHING.tsv``; other TSV files are passed over. A figure that
    Snakemake could not measure (``NA`` or ``-``) counts as unknown.

    Raises:
        UserError: for a benchmark file that holds something else than numbers.
    """
    jobs: dict[str, list[tuple[str, float, float | None, float | None]]] = {}
    root = Path(logs)
    for path in sorted(root.glob("*/**/*.tsv")):
        job = path.relative_to(root).with_suffix("").as_posix()
        for figures in _read_job(path):
            jobs.setdefault(job.split("/")[0], []).append((job.partition("/")[2], *figures))
    return sorted((_rule(name, rows) for name, rows in jobs.items()), key=lambda rule: (-rule.seconds, rule.name))


def _read_job(path: Path) -> list[tuple[float, float | None, float | None]]:
    """Seconds, peak resident memory in MB and seconds of processors of each repeat of a job."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        if (reader.fieldnames or [])[:2] != ["s", "h:m:s"]:
            return []
        try:
            rows = [tuple(_measured(row.get(key)) for key in ("s", "max_rss", "cpu_time")) for row in reader]
        except ValueError as error:
            raise UserError(f"{path} is no benchmark file of Snakemake: {error}; delete it.") from None
    return [(seconds, peak, cpu) for seconds, peak, cpu in rows if seconds is not None]


def _measured(value: str | None) -> float | None:
    return None if value in (None, "", "NA", "-") else float(value)


def _rule(name: str, rows: list[tuple[str, float, float | None, float | None]]) -> Rule:
    job, longest, *_ = max(rows, key=lambda row: row[1])
    total = sum(row[1] for row in rows)
    peak = memory(max((row[2] for row in rows if row[2] is not None), default=None))
    cpu = sum(row[3] for row in rows if row[3] is not None)
    return Rule(name, len(rows), duration(total), duration(longest), job, peak, total, cpu)

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

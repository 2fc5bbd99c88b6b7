"""Time, energy and tokens of the evaluations, as these have written them beside their logs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tdro.artifacts.files import read_json
from tdro.artifacts.layout import IN_DOMAIN, Layout, whole
from tdro.config.commands import Content
from tdro.errors import UserError
from tdro.formats import duration
from tdro.report.scores.queries import UNTRAINED

_NUMBERS = ("seconds", "gpus", "queries", "passages", "tokens", "gpu_joules", "cpu_joules")


@dataclass(frozen=True)
class Spent:
    """What the evaluations of one retriever took, of all seeds together.

    Attributes:
        name: The retriever.
        times: Time of each benchmark of the report, a dash where none is known.
        total: Of all.
        gpu_hours: Likewise; a dash where no GPU was used.
        energy: Of GPUs, and of processors; a dash where it was not measured of all.
        tokens: That were read, in millions.
        devices: What has computed.
    """

    name: str
    times: list[str]
    total: str
    gpu_hours: str
    energy: tuple[str, str]
    tokens: str
    devices: str


def spent(settings: Content, logs: Path) -> list[Spent]:
    """A line a retriever of which anything is known: trained ones, then those that nothing was trained for.

    A corpus that several test sets search was searched once; that counts for the first benchmark that searches it.

    Args:
        settings: What the report covers.
        logs: Folder with ``costs/{retriever}/``, as ``tdro evaluate`` and ``tdro search-corpus`` write it.

    Raises:
        UserError: for a file that is no such record.
    """
    folders = {
        f"{model}, {mixture}": [f"{model}/seed{seed}/{mixture}" for seed in settings.seeds]
        for model in settings.models
        for mixture in settings.mixtures
    }
    folders |= {f"{name}, {UNTRAINED}": [f"{UNTRAINED}/{name}"] for name in settings.untrained}
    lines = []
    for name, places in folders.items():
        found = [record for place in places for record in _records(settings, logs / "costs" / place)]
        if found:
            lines.append(_line(settings, name, found))
    return lines


def _records(settings: Content, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Benchmark and record of everything that the report's scores of a retriever come from."""
    benchmark_of = {name: b for b, names in settings.benchmarks.items() if b != IN_DOMAIN for name in names}
    jobs = {
        Layout.evaluated(b, name, settings.sampled): b for b, names in settings.benchmarks.items() for name in names
    }
    for job, benchmark in jobs.items():
        if (file := folder / "evaluate" / f"{job}.json").is_file():
            yield benchmark, _record(file)
    for file in sorted(folder.glob("search/*/*.json")):
        record = _record(file)
        known = [name for name in benchmark_of if name in record["tests"]]
        of_sample = file.parent.name != whole(file.parent.name)
        if known and (known[0] in settings.sampled) == of_sample:
            yield benchmark_of[known[0]], record


def _record(file: Path) -> dict[str, Any]:
    record = read_json(file)
    if not isinstance(record, dict) or not {"tests", "device", *_NUMBERS} <= set(record):
        raise UserError(f"{file} does not say what an evaluation has taken; delete it.")
    return record


def _line(settings: Content, name: str, found: list[tuple[str, dict[str, Any]]]) -> Spent:
    records = [record for _, record in found]
    by_benchmark = {b: [record for other, record in found if other == b] for b in settings.benchmarks}
    gpu_seconds = sum(record["seconds"] * record["gpus"] for record in records)
    on_gpus = [record for record in records if record["gpus"]]
    tokens = sum(record["tokens"] or 0 for record in records)
    return Spent(
        name,
        [duration(sum(r["seconds"] for r in of)) if of else "-" for of in by_benchmark.values()],
        duration(sum(record["seconds"] for record in records)),
        f"{gpu_seconds / 3600:.2g}" if gpu_seconds else "-",
        (_energy(on_gpus, "gpu_joules"), _energy(records, "cpu_joules")),
        f"{tokens / 1e6:,.1f}" if tokens else "-",
        ", ".join(sorted({record["device"] for record in records})),
    )


def _energy(records: list[dict[str, Any]], key: str) -> str:
    """The sum, in watt hours; unknown where one record lacks it."""
    joules = [record[key] for record in records]
    if not joules or None in joules:
        return "-"
    hours = sum(joules) / 3600
    return f"{hours:.1f} Wh" if hours < 1000 else f"{hours / 1000:.1f} kWh"

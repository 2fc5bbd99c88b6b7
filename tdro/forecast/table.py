"""A forecast as people and programs read it: a line, a table for the terminal, JSON."""

from datetime import UTC, datetime
from typing import Any

from tdro.forecast.forecast import Forecast, Line

_HEADINGS = ("rule", "model", "jobs", "tokens", "FLOP", "time", "GPU hours", "disk", "peak memory")


def table(forecast: Forecast) -> str:
    """The lines and their sum, and below them where the figures come from."""
    from tdro.report.plain import plain, plain_table

    shown = plain_table()
    for at, heading in enumerate(_HEADINGS):
        shown.add_column(heading, justify="left" if at < 2 else "right", overflow="fold")
    for line in forecast.lines:
        shown.add_row(*cells(line))
    shown.add_row(*cells(total(forecast)))
    notes = "\n".join(f"- {sentence}" for sentence in forecast.said)
    return (
        f"{plain(shown)}\nOn {forecast.device}. Times of jobs are added up, also where they run side by side.\n{notes}"
    )


def total(forecast: Forecast) -> Line:
    """The sum of all lines, with the largest memory."""
    whole = (sum(getattr(line, key) for line in forecast.lines) for key in ("jobs", "tokens", "flops", "disk"))
    jobs, tokens, flops, disk = whole
    memory = max((line.memory for line in forecast.lines), default=0)
    return Line("all", "", None, jobs, tokens, flops, forecast.seconds, forecast.gpu_hours, disk, memory)


def cells(line: Line) -> tuple[str, ...]:
    """What the table shows of a line."""
    model = (line.model or "").rstrip("/").rpartition("/")[2] if line.model else ""
    model = line.model.removeprefix("package:").partition("=")[0] if model and ":" in line.model else model
    time = "unknown" if line.seconds is None else spoken(line.seconds)
    hours = "unknown" if line.gpu_hours is None else _hours(line.gpu_hours)
    figures = (f"{line.jobs:,}", short(line.tokens), short(line.flops), time, hours)
    return (line.rule, model, *figures, _bytes(line.disk), _bytes(line.memory))


def _hours(hours: float) -> str:
    return "" if not hours else f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}" if hours >= 1 else f"{hours:.2g}"


def spoken(seconds: float) -> str:
    """A time: ``8 s``, ``4 min``, ``3.2 h``, ``410 h``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:,.{1 if seconds < 360_000 else 0}f} h"


def short(number: float) -> str:
    """A large number: ``610 k``, ``1.2 M``, ``3.4e+15``."""
    if not number:
        return ""
    for size, letter in ((1e12, ""), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number:.1e}" if not letter else f"{number / size:.3g}{letter}"
    return f"{number:.0f}"


def _bytes(number: float) -> str:
    return "" if not number else f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{max(1, number / 1e6):.0f} MB"


def line(forecast: Forecast) -> str:
    """The forecast in one line, for the start of a run."""
    jobs = sum(line.jobs for line in forecast.lines)
    hours = f", {forecast.gpu_hours:.3g} GPU hours" if forecast.gpu_hours else ""
    disk = sum(line.disk for line in forecast.lines)
    unknown = sorted({line.rule for line in forecast.lines if line.seconds is None})
    left_out = f"; without {', '.join(unknown)}, which nobody can tell" if unknown else ""
    return (
        f"Forecast: a whole run has {jobs} jobs of {spoken(forecast.seconds)} together on {forecast.device}{hours}, "
        f"{_bytes(disk)} of disk"
        f"{left_out}. By rule: tdro forecast"
    )


def as_json(forecast: Forecast) -> dict[str, Any]:
    """The forecast as it is kept for the report."""
    made = datetime.now(UTC).isoformat(timespec="seconds")
    lines = [line._asdict() for line in forecast.lines]
    return {"made": made, "device": forecast.device, "lines": lines, "said": forecast.said}

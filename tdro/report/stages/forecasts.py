"""What a run was expected to take, beside what it took."""

import re
from dataclasses import dataclass
from pathlib import Path

from tdro.artifacts.files import read_json
from tdro.errors import UserError
from tdro.formats import duration
from tdro.report.stages.jobs import Rule

#: A rule whose time lies further from its forecast than this factor is marked.
FACTOR = 1.5


@dataclass(frozen=True)
class Compared:
    """One rule: the forecast for as many jobs as were measured, what they took, and the quotient of the two.

    ``cpu`` is what the processors worked for it: far less than was measured where other work ran on the machine.
    """

    name: str
    jobs: int
    forecast: str
    measured: str
    ratio: str
    cpu: str
    off: bool


@dataclass(frozen=True)
class Forecast:
    """The comparison of all rules, and where the forecast comes from."""

    made: str
    device: str
    said: list[str]
    lines: list[Compared]
    total: Compared


def compare(file: Path, measured: list[Rule]) -> Forecast | None:
    """The forecast that was made when the last run started, beside the benchmark files.

    Args:
        file: ``LOGS/forecast.json``; None is returned where there is none.
        measured: Time by rule; rules that were not forecast are left out, and so are those whose time was not known.

    Raises:
        UserError: for a file that is no forecast.
    """
    if not file.is_file():
        return None
    content = read_json(file)
    try:
        expected = _by_rule(content["lines"])
        made, device, said = (content[key] for key in ("made", "device", "said"))
    except (KeyError, TypeError) as error:
        raise UserError(f"{file} is no forecast of `tdro forecast` ({error}); delete it.") from None
    pairs = [(rule, expected[rule.name] * rule.jobs) for rule in measured if rule.name in expected]
    if not pairs:
        return None
    lines = [_compared(rule.name, rule.jobs, seconds, rule.seconds, rule.cpu_seconds) for rule, seconds in pairs]
    whole = [(rule.jobs, seconds, rule.seconds, rule.cpu_seconds) for rule, seconds in pairs]
    total = _compared("all", *(sum(column) for column in zip(*whole, strict=True)))
    return Forecast(made, device, [_handed_on(sentence) for sentence in said], lines, total)


def _handed_on(sentence: str) -> str:
    """A sentence without the folders of this machine: of a path, such as that of a base, the last part."""
    return re.sub(r"""(?<![\w./])/(?:[^\s/,;:"'()]+/)+""", "", sentence)


def _by_rule(lines: list[dict]) -> dict[str, float]:
    """Seconds of a job by the folder of its benchmark file; of a rule one of whose times is unknown none."""
    jobs: dict[str, int] = {}
    seconds: dict[str, float] = {}
    unknown = {line["logs"] for line in lines if line["seconds"] is None}
    for line in lines:
        if line["logs"] not in unknown:
            jobs[line["logs"]] = jobs.get(line["logs"], 0) + line["jobs"]
            seconds[line["logs"]] = seconds.get(line["logs"], 0.0) + line["seconds"]
    return {rule: seconds[rule] / number for rule, number in jobs.items() if number}


def _compared(name: str, jobs: int, forecast: float, measured: float, cpu: float) -> Compared:
    ratio = measured / forecast if forecast else 0.0
    off = not 1 / FACTOR <= ratio <= FACTOR
    return Compared(name, jobs, duration(forecast), duration(measured), f"{ratio:.2f}", duration(cpu), off)

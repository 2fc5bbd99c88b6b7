"""A forecast: what each rule of a configuration takes on a device."""

from pathlib import Path
from typing import NamedTuple

from tdro.artifacts.layout import Layout
from tdro.forecast import telling
from tdro.forecast.evaluating import Scoring
from tdro.forecast.machine import Machine, this_machine
from tdro.forecast.rates import Asked, Rates, device, probed, rates
from tdro.forecast.sizes import ASSUMED, COUNTED, EXPECTED, NOTHING, NUMBER, Sizes
from tdro.forecast.work import Work
from tdro.forecast.works import Works
from tdro.formats import abridged, duration
from tdro.pipeline import threads
from tdro.pipeline.jobs import Jobs

#: Rules whose benchmark files lie in the folder of another.
LOGS = {"evaluate_bm25": "evaluate_untrained"}
# Names of datasets that a sentence lists.
_MOST = 10


class Line(NamedTuple):
    """What all jobs of a rule with one model take.

    Attributes:
        rule: The rule.
        logs: Folder of its benchmark files.
        model: Base of the model; None without one.
        jobs: How many.
        tokens: That they read.
        flops: Operations of learning, reading and searching.
        seconds: Wall time of the jobs, added up; None where it is not known.
        gpu_hours: The same times the GPUs of a job.
        disk: Bytes that stay.
        memory: Bytes at the peak of one process: of its GPU where it uses one, else of the machine.
    """

    rule: str
    logs: str
    model: str | None
    jobs: int
    tokens: float
    flops: float
    seconds: float | None
    gpu_hours: float | None
    disk: float
    memory: float


class Forecast(NamedTuple):
    """Lines, where their figures come from, and what is not known."""

    device: str
    lines: list[Line]
    said: list[str]

    @property
    def seconds(self) -> float:
        """Of all jobs whose time is known."""
        return sum(line.seconds or 0 for line in self.lines)

    @property
    def gpu_hours(self) -> float:
        """The same."""
        return sum(line.gpu_hours or 0 for line in self.lines)


def of_jobs(
    jobs: Jobs, layout: Layout, root: Path, asked: Asked, *, local: bool = True, study: bool = False
) -> Forecast:
    """The forecast of a configuration.

    Args:
        jobs: Its jobs.
        layout: Where its results lie, as far as there are any.
        root: The project's folder.
        asked: The device; without a name this machine, whose probes count then.
        local: Whether files of models that are on this machine count.
        study: Of a study, which measures dev queries and chooses, too.

    Raises:
        UserError: for a device whose rates nobody has stated.
    """
    machine = this_machine()
    on_cpu = (asked.device or "").lower() == "cpu" or not (asked.device or machine.gpus)
    gpus = 0 if on_cpu else asked.gpus or (1 if asked.device else len(machine.gpus))
    sizes = Sizes(jobs, layout)
    works = Works(jobs, sizes, layout, root, gpus, local=local)
    all_works = works.all(study=study)
    speeds, said = _speeds(all_works, asked, machine)
    lines = [_line(work, speeds[work.model, work.cpu], gpus) for work in all_works if work.jobs]
    if study:
        said += telling.least(jobs, sizes)
    where = f"{asked.device or machine} ({gpus} GPUs a training)" if gpus else asked.device or str(machine)
    said += [*_too_large(all_works, asked, machine), *_longest(works, speeds, gpus)]
    return Forecast(where, lines, [*_known(sizes), *dict.fromkeys(works.readers.said), *said])


def scoring_jobs(works: Works, speeds: dict[tuple[str | None, bool], Rates], gpus: int) -> list[tuple[Line, Scoring]]:
    """What each job that scores a trained retriever takes, one by one; of those whose network is known."""
    found = []
    for model in works.jobs.config.models:
        on_cpu = works.readers.on_cpu(model)
        for job in works.evaluating.scoring(works.readers.bases[model.name]):
            found.append((_line(job.work._replace(cpu=on_cpu), speeds[job.work.model, on_cpu], gpus), job))
    return [(line, job) for line, job in found if line.seconds is not None]


def _longest(works: Works, speeds: dict[tuple[str | None, bool], Rates], gpus: int) -> list[str]:
    """A sentence on the longest of them, for a limit of time."""
    jobs = scoring_jobs(works, speeds, gpus)
    if not jobs:
        return []
    line, job = max(jobs, key=lambda one: one[0].seconds or 0)
    parts = f", a part of {job.times}," if job.times > 1 else ""
    return [
        f"longest job that scores a retriever: `{job.rule}` of {job.name}{parts} with {line.model}, "
        f"{duration(line.seconds or 0)}"
    ]


def _too_large(works: list[Work], asked: Asked, machine: Machine) -> list[str]:
    """Sentences on the rules that need more memory than a GPU of the device has."""
    gpu = device(asked.device or (machine.gpus[0] if machine.gpus else ""))
    return [
        f"{work.rule} of {work.model} needs {work.memory / 1e9:.0f} GB of a GPU that has {gpu.memory / 1e9:.0f} (by "
        "arithmetic): split it (`accelerate`), or lower `mini_batch_tokens` or `encoding.batch_size`"
        for work in works
        if gpu and not work.cpu and work.memory > gpu.memory
    ]


def _speeds(
    works: list[Work], asked: Asked, machine: Machine
) -> tuple[dict[tuple[str | None, bool], Rates], list[str]]:
    """Rates of each model, on the device or, where it leaves GPUs alone, on the CPU; and where they come from."""
    used = {"training": min(threads.TRAINING, machine.cores), "encoding": threads.encoding(machine.cores)}
    stated = rates(asked, machine, used)
    on_cpu = rates(Asked("cpu"), machine, used)
    of_base = {} if asked.device else {w.model: probed(w.model) for w in works if w.model}
    measured = {base: found for base, found in of_base.items() if found}
    any_probe = next(iter(measured.values()), None)
    speeds = {}
    for work in works:
        table = on_cpu if work.model and work.cpu else stated
        own = measured.get(work.model) if not (work.model and work.cpu and machine.gpus) else None
        speeds[work.model, work.cpu] = own or (table if asked.device else any_probe or table)
    said = list(dict.fromkeys(f"rates of {base}: {found.said}" for base, found in measured.items()))
    without = sorted({w.model for w in works if w.model and w.model not in measured})
    if measured and without:
        said.append(f"rates of {', '.join(without)}: those of the probe of another model")
    if not measured:
        said.append(
            f"rates: {stated.said}; `tdro probe` measures them" if not asked.device else f"rates: {stated.said}"
        )
    return speeds, said


def _line(work: Work, speed: Rates, gpus: int) -> Line:
    flops = work.training + work.encoding + work.search
    logs = LOGS.get(work.rule, work.rule)
    used = 0 if work.cpu else gpus if work.trains else 1
    if work.unknown:
        return Line(work.rule, logs, work.model, work.jobs, work.tokens, flops, None, None if gpus else 0.0, 0, 0)
    start = (speed.start_training if work.trains else speed.start) if work.model else 0
    seconds = work.light * speed.pace + start * work.jobs
    seconds += work.training / speed.training / max(1, used)
    seconds += work.encoding / speed.encoding + work.search / speed.search
    return Line(
        *(work.rule, logs, work.model, work.jobs, work.tokens, flops),
        *(seconds, seconds / 3600 * used, work.disk, work.memory),
    )


def _known(sizes: Sizes) -> list[str]:
    """Sentences on how the sizes of the datasets are known."""
    said = {
        COUNTED: "counted: {number} datasets",
        EXPECTED: "taken from `expected_rows` of the registry: sizes of {number} datasets",
        NUMBER: f"assumed: {ASSUMED.query_words:g} words a query and {ASSUMED.passage_words:g} a passage, of {{names}}",
        NOTHING: f"assumed: {ASSUMED.queries:,} queries and {ASSUMED.passages:,} passages, of {{names}}; "
        "`expected_rows` in the registry says better",
    }
    found = {known: sorted({name for name, texts in sizes.all() if texts.known == known}) for known in said}
    return [
        sentence.format(number=len(names), names=abridged(names, _MOST))
        for known, sentence in said.items()
        if (names := found[known])
    ]

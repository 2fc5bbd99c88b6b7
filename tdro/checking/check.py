"""A whole configuration is looked at: its files, the first rows of its data, its models, mixtures and time."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from tdro.artifacts.layout import Layout
from tdro.checking.cuttexts import Cut, CutTexts, sentences
from tdro.checking.facts import Facts
from tdro.checking.findings import Finding, findings
from tdro.checking.looks import look_at
from tdro.checking.overlaps import overlaps
from tdro.checking.shares import shares
from tdro.config.registry import Benchmark, ExpectedRows, Task
from tdro.forecast.forecast import Forecast, of_jobs
from tdro.forecast.rates import Asked
from tdro.forecast.readers import Readers
from tdro.pipeline import start
from tdro.pipeline.jobs import Jobs
from tdro.readers.fetch import dataset_job

#: Rows of each source that are looked at.
ROWS = 5000


class Checked(NamedTuple):
    """What a configuration and its data are.

    Attributes:
        facts: Of each dataset, tasks first.
        cuts: Of each dataset, what the models cut.
        proxy: The name of the model whose cuts a table shows.
        findings: What is odd, the fatal first.
        sizes: Training queries of each task, and whether it may be more.
        shares: The share of each task in each mixture; None for one that is told later.
        rows: Rows that the training of each mixture draws.
        forecast: What a run will take; None where a task has nothing to train on.
        said: What is not known of the models.
    """

    facts: list[Facts]
    cuts: dict[str, list[Cut]]
    proxy: str
    findings: list[Finding]
    sizes: dict[str, tuple[int, bool]]
    shares: dict[str, dict[str, float] | None]
    rows: dict[str, int]
    forecast: Forecast | None
    said: list[str]

    @property
    def fatal(self) -> bool:
        """Whether the configuration cannot run."""
        return any(finding.fatal for finding in self.findings)


def check(jobs: Jobs, root: Path, layout: Layout, most: int = ROWS) -> Checked:
    """Look at a configuration.

    Args:
        jobs: Its jobs.
        root: The project's folder.
        layout: Where its results lie, as far as there are any: what was fetched is not fetched again.
        most: Rows of each source that are looked at.
    """
    datasets: dict[str, Task | Benchmark] = {**jobs.tasks, **jobs.benchmarks}
    facts = [_facts(name, entry, jobs, layout, most) for name, entry in datasets.items()]
    readers = Readers(jobs, layout, root, 0, local=True)
    of_models = CutTexts(jobs, readers)
    cuts = {one.look.name: list(of_models.of(one)) for one in facts}
    found = _of_files(jobs, root, datasets)
    told = {finding.dataset for finding in found}
    for one in facts:
        own = findings(one, jobs.config.data, jobs.config.training.batch_size)
        found += [finding for finding in own if not (one.look.wrong and one.look.name in told)]
        found += [Finding(one.look.name, sentence) for sentence in sentences(cuts[one.look.name])]
    found += overlaps(facts, jobs.config.dedup.distance, jobs.compared)
    found += [Finding("config", sentence) for sentence in start.of_configuration(jobs)]
    sizes = {one.look.name: _size(one, jobs.tasks[one.look.name]) for one in facts if one.look.name in jobs.tasks}
    numbers = {name: number for name, (number, _) in sizes.items()}
    usable = bool(numbers) and all(numbers.values())
    counted = _with_sizes(jobs, facts, numbers, root) if usable else jobs
    return Checked(
        facts,
        cuts,
        of_models.proxy,
        sorted(found, key=lambda finding: not finding.fatal),
        sizes,
        shares(jobs, numbers) if usable else {},
        {name: jobs.training_rows(name) for name in jobs.config.mixtures},
        of_jobs(counted, layout, root, Asked(None, None)) if usable else None,
        list(dict.fromkeys(readers.said)),
    )


def _facts(name: str, entry: Task | Benchmark, jobs: Jobs, layout: Layout, most: int) -> Facts:
    job = dataset_job(entry.source)
    manifest = Path(layout.fetched(job.key)) if job else None
    look = look_at(name, entry, most, manifest if manifest and manifest.is_file() else None)
    return Facts(look, jobs.config.dedup.distance)


def _of_files(jobs: Jobs, root: Path, datasets: Collection[str]) -> list[Finding]:
    """What is wrong with local files, those of a dataset by its name."""
    wrong, to_come = start.unusable(jobs, root)
    found = []
    for sentence in (*wrong, *to_come):
        registry, _, told = sentence.partition(": ")
        name, _, said = told.partition(": ")
        own = registry == jobs.config.registry and name in datasets
        found.append(Finding(name, said, fatal=True) if own else Finding("config", sentence, fatal=True))
    return found


def _size(facts: Facts, entry: Task) -> tuple[int, bool]:
    """Queries that a task will be trained on, and whether it may have more."""
    look = facts.look
    expected = entry.expected_rows.queries
    left = max(0, facts.expected_queries() - entry.held_out - entry.dev)
    number = left if look.ended or not expected else max(left, expected)
    limited = entry.rows is not None and number >= entry.rows
    return (entry.rows if limited else number), not (look.ended or expected or limited)


def _with_sizes(jobs: Jobs, facts: list[Facts], numbers: Mapping[str, int], root: Path) -> Jobs:
    """The same jobs; where the registry expects nothing of a task, what was counted is expected."""
    entries = dict(jobs.registry.tasks)
    for one in facts:
        name = one.look.name
        if name in numbers:
            counted = {
                "queries": numbers[name],
                "passages": max(1, one.expected_passages()),
                "query_words": one.query_words or None,
                "passage_words": one.passage_words or None,
            }
            said = entries[name].expected_rows.model_dump(exclude_none=True, exclude_defaults=True)
            entries[name] = entries[name].model_copy(update={"expected_rows": ExpectedRows(**(counted | said))})
    return Jobs(jobs.config, jobs.registry.model_copy(update={"tasks": entries}), root)

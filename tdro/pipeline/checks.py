"""Names and numbers of a configuration that only a job would find wrong, after hours perhaps."""

import re
from collections.abc import Iterator
from pathlib import Path

from tdro.artifacts.filestates import nameable
from tdro.artifacts.layout import DEV_ROWS
from tdro.config import mixturenames
from tdro.config.launchfiles import configurations
from tdro.config.nearest import hint, path_hint
from tdro.config.registry import Benchmark, Task
from tdro.errors import UserError
from tdro.mixtures.weights import read_weights
from tdro.models.kinds import is_embedder
from tdro.pipeline import experts
from tdro.pipeline.jobs import Jobs
from tdro.pipeline.soups import weighed
from tdro.pipeline.testsets import TestSet
from tdro.readers.base import check_source
from tdro.readers.fetch import PREFIX, is_local
from tdro.readers.testsets.base import SHARED_CORPUS, check_testset, is_testset
from tdro.retrieval.indices import check_index

_OF_THE_HUB = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?")


def check(jobs: Jobs, root: Path) -> None:
    """Look at what the parts of a configuration say of each other, and of files and names in the project.

    Raises:
        UserError: for the first thing that is wrong.
    """
    _check_models(jobs)
    _check_mixtures(jobs)
    _check_experts(jobs)
    check_index(jobs.config.mining.search)
    _check_negatives(jobs)
    _check_losses(jobs)
    _check_launches(jobs, root)
    _check_files(jobs)
    _check_dev(jobs)
    datasets: dict[str, Task | Benchmark] = {**jobs.tasks, **jobs.benchmarks}
    for name, dataset in datasets.items():
        try:
            _check_dataset(dataset)
        except UserError as error:
            raise UserError(f"{jobs.config.registry}: {name}: {error}") from None
    for test_set in jobs.tests.chosen.values():
        jobs.tests.corpus(test_set.corpus)


def _check_models(jobs: Jobs) -> None:
    """Raises UserError: for a model's name that is no folder, and that no repository of the hub can have."""
    names = {f"models.{at}.base": model.base for at, model in enumerate(jobs.config.models)}
    names["mining.encode.model"] = jobs.config.mining.encode.model
    if jobs.config.mining.rescore:
        names["mining.rescore.model"] = jobs.config.mining.rescore.model
    for key, name in names.items():
        if not (name.startswith(PREFIX) or is_local(name) or _OF_THE_HUB.fullmatch(name)):
            raise UserError(
                f"config: `{key}`: {name!r} is neither a folder that is there{path_hint(name)} nor ORG/NAME of the "
                "hub; correct it."
            )


def undistilled(jobs: Jobs) -> Iterator[str]:
    """A sentence on the tasks that `training.distill` finds no scores for."""
    provided = [name for name in jobs.tasks if name not in jobs.mined]
    if jobs.config.training.distill and provided:
        yield (
            f"config: `training.distill`: no cross-encoder scores the provided negatives of {', '.join(provided)}; "
            "the rows of such a task are trained without"
        )


def unembedded(jobs: Jobs) -> Iterator[str]:
    """A sentence on the tasks of which `chameleon` knows no embedding."""
    provided = [name for name in jobs.tasks if name not in jobs.mined]
    if jobs.asks_for("chameleon") and provided:
        yield (
            f"config: mixture chameleon: the miner embeds no text of {', '.join(provided)}, whose negatives are "
            "provided; such a task keeps its share of uniform, and the others divide the rest"
        )


def _check_mixtures(jobs: Jobs) -> None:
    """Raises UserError: for a mixture that keeps no task, names none or can tell none from another, or a soup with a
    base that finds nothing by itself."""
    if jobs.asks_for("chameleon") and len(jobs.mined) < 3:
        raise UserError(
            f"config: mixture chameleon compares the embeddings of mined tasks, and {len(jobs.mined)} of the tasks "
            "are mined; from three on their shares can differ. Add tasks with `negatives: mined`, or remove it."
        )
    for name in weighed(jobs.config):
        mixture = mixturenames.parse(name)
        if mixture.selects and not mixturenames.kept(mixture, len(jobs.tasks)):
            raise UserError(f"config: mixture {name!r} keeps none of {len(jobs.tasks)} tasks; raise its percentage.")
        if mixture.of_task and mixture.name not in jobs.tasks:
            meant, known = hint(mixture.name, jobs.tasks), ", ".join(jobs.tasks)
            raise UserError(f"config: mixture {name!r}: {mixture.name!r}{meant} is none of the tasks: {known}.")
    for name in filter(jobs.soups.has_base, jobs.config.mixtures):
        for model in jobs.config.models:
            if not is_embedder(model):
                raise UserError(
                    f"config: mixture {name!r} averages with the base of model {model.name!r}, {model.base}, which "
                    "is no embedding model before a training; take its `base` or @SHARE away."
                )


def _check_experts(jobs: Jobs) -> None:
    """Raises UserError: where merged experts would have too few tasks, or nothing to be measured on."""
    for name in experts.asked_for(jobs.config):
        if len(jobs.tasks) < 3:
            raise UserError(
                f"config: mixture {name} compares the tasks by an expert of each, and there are {len(jobs.tasks)}; "
                "from three on they can be told apart. Add tasks, or remove it."
            )
        if name != "prune" and DEV_ROWS not in jobs.config.dev:
            raise UserError(
                f"config: mixture {name} is chosen on dev rows of the tasks: set `dev` of tasks in "
                f"{jobs.config.registry}, and name {DEV_ROWS} under `dev`, or remove it."
            )
        if not jobs.tests.dev:
            raise UserError(
                f"config: mixture {name} is chosen on dev queries, and `dev` names none: name benchmarks that are not "
                f"reported, or set `dev` of tasks in {jobs.config.registry} and name {DEV_ROWS}."
            )
        if name == "transfer" and (lacking := [task for task in jobs.tasks if task not in jobs.dev_tasks]):
            raise UserError(
                f"config: mixture transfer asks which task helps which, and {lacking[0]!r} has no dev rows; set `dev` "
                f"of every task in {jobs.config.registry}, or remove it."
            )


def unlearnt(jobs: Jobs) -> Iterator[str]:
    """A sentence on experts whose steps do not reach all tasks."""
    if jobs.experts and (steps := jobs.training(jobs.experts[-1]).steps) < len(jobs.tasks):
        yield (
            f"config: `experts.steps`: an expert takes {steps} steps, fewer than there are tasks, so that it sees some "
            "tasks by chance alone; raise it, or `training.steps`"
        )


def _check_negatives(jobs: Jobs) -> None:
    """Raises UserError: when a training wants more hard negatives than mining leaves a query."""
    config, samples = jobs.config, jobs.config.mining.select.samples
    for key, negatives in (("training", config.training.negatives), ("tdro", config.tdro.negatives)):
        if jobs.mined and negatives > samples:
            raise UserError(
                f"config: `{key}.negatives` {negatives} is more than `mining.select.samples` {samples}, so that rows "
                f"of {jobs.mined[0]!r} would name a negative twice; raise the samples or lower the negatives."
            )


def _check_losses(jobs: Jobs) -> None:
    """Raises UserError: where a task would have no negative, or no task anything to distil."""
    training, alone = jobs.config.training, jobs.own_negatives
    if alone and not training.negatives:
        raise UserError(
            f"{jobs.config.registry}: {alone[0]}: `in_batch: false` leaves its rows their own hard negatives, and "
            "`training.negatives` is 0; raise that, or remove `in_batch`."
        )
    if training.distill and not jobs.mined:
        raise UserError(
            "config: `training.distill` learns the scores of mined negatives, and all tasks have `negatives: "
            "provided`; remove `training.distill`."
        )


def _check_launches(jobs: Jobs, root: Path) -> None:
    """Raises UserError: for a launch configuration that there is not."""
    known = configurations(root)
    for model in jobs.config.models:
        if model.accelerate not in known:
            raise UserError(
                f"config: model {model.name!r}: no launch configuration {model.accelerate!r}; there are "
                f"{', '.join(known)}."
            )


def _check_files(jobs: Jobs) -> None:
    """Raises UserError: for a file of weights or of queries that is none, or weighs other tasks."""
    for name, file in jobs.config.weights.items():
        if not jobs.weights_file(name).is_file():
            raise UserError(f"config: `weights.{name}`: {file} is no file; correct the path or take it out.")
        if not nameable([file]):
            raise UserError(f"config: `weights.{name}`: {file} has braces, Snakemake's sign for wildcards; rename it.")
        weighted = {task for task, weight in read_weights(jobs.weights_file(name)).weights.items() if weight}
        if unknown := sorted(weighted - set(jobs.tasks)):
            meant = hint(unknown[0], jobs.tasks)
            raise UserError(
                f"config: `weights.{name}`: {file} weighs {unknown[0]!r}{meant}, which is none of the tasks "
                f"({', '.join(jobs.tasks)}); rename it in the file or add the task."
            )
    for file in jobs.config.dedup.queries:
        if not Path(file).is_file():
            raise UserError(f"config: `dedup.queries`: {file} is no file; correct the path or take it out.")


def _check_dev(jobs: Jobs) -> None:
    """Raises UserError: where choices would be made on what is reported, or on what has no dev loss or dev rows."""
    tests = jobs.tests.chosen.values()
    reported = [test for test in tests if test.name not in jobs.tests.dev]
    for test in tests:
        if test.name not in jobs.tests.dev:
            continue
        if test.entry.source.reader == "mkqa":
            raise UserError(
                f"config: dev names {test.benchmark!r}, which has answers and no relevant passages, hence no dev loss; "
                "name a benchmark with relevant passages."
            )
        if same := [other for other in reported if other.corpus == test.corpus or _source(other) == _source(test)]:
            raise UserError(
                f"config: dev names {test.benchmark!r}, which shares its passages or its source with the benchmark "
                f"{same[0].benchmark!r}: what is chosen on the one is not measured by the other; take one of them out."
            )
    if jobs.config.tdro.rows == "dev" and (without := [name for name in jobs.tasks if name not in jobs.dev_tasks]):
        raise UserError(
            f"config: `tdro.rows: dev` measures every task on its dev rows, and {without[0]!r} has none; set `dev` in "
            f"{jobs.config.registry}, or choose other rows."
        )


def _source(test: TestSet) -> tuple[str | None, ...]:
    """Where a test set's rows come from, whichever of its parts it is; other rows of one file are another source."""
    source = test.entry.source
    return source.reader, source.hub, source.package, source.path, repr(source.where)


def _check_dataset(dataset: Task | Benchmark) -> None:
    """Raises UserError: for a source that cannot be read, or keys that only a benchmark in its own format has."""
    if isinstance(dataset, Benchmark) and is_testset(dataset.source):
        return check_testset(dataset.source, dataset.parts)
    check_source(dataset.source)
    if isinstance(dataset, Benchmark) and (dataset.parts or dataset.corpus):
        raise UserError(f"`parts` and `corpus` are for the readers {', '.join(SHARED_CORPUS)}; remove them.")

"""What each rule hands its command: the part of the configuration that the job depends on.

A rule's ``params`` hold one of these, so a changed key reruns the jobs that read it and no others.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, model_validator

from tdro import mixtures
from tdro.config import Config, Data, Encoding, Model, Tdro, Training, select
from tdro.errors import UserError
from tdro.fetched import FetchJob, dataset_job, model_job
from tdro.indices import check_index
from tdro.layout import Layout
from tdro.registry import IN_DOMAIN, Benchmark, BenchmarkRows, Prompted, Registry, Task, TaskRows
from tdro.report.content import Content
from tdro.sections import Name, Section, Seed, load, parse
from tdro.sources import check_source


class PrepareJob(Section):
    """``tdro prepare``: one dataset and what to keep of it."""

    task: TaskRows | None = None
    benchmark: BenchmarkRows | None = None
    data: Data = Data()

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.task is None) == (self.benchmark is None):
            raise ValueError("give either `task` or `benchmark`")
        return self


class PlanJob(Section):
    """``tdro plan``: the shape of the batches."""

    layout: Literal["homogeneous", "mixed"]
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    negatives: int = Field(ge=0)
    seed: Seed


class TrainJob(Section):
    """``tdro train``."""

    model: Model
    encoding: Encoding = Encoding()
    training: Training = Training()
    tasks: dict[Name, Prompted]
    seed: Seed = 42


class ReferenceJob(Section):
    """``tdro reference``."""

    encoding: Encoding = Encoding()
    temperature: float = Field(gt=0)
    tasks: dict[Name, Prompted]
    seed: Seed = 42


class OptimizeJob(Section):
    """``tdro optimize``."""

    model: Model
    encoding: Encoding = Encoding()
    tdro: Tdro = Tdro()
    tasks: dict[Name, Prompted]
    seed: Seed = 42


class EvalDataset(Prompted):
    """One dataset of a benchmark."""

    folder: str = Field(description="Holds corpus.parquet and queries.parquet; `positives` are the relevant passages.")
    language: str = Field(description="ISO 639 codes, comma separated, or `multilingual`.")


class EvaluateJob(Section):
    """``tdro evaluate``: the datasets of a benchmark."""

    datasets: dict[Name, EvalDataset] = Field(min_length=1)
    encoding: Encoding = Encoding()


class Jobs:
    """The jobs of one configuration."""

    def __init__(self, config: Config, registry: Registry) -> None:
        self.config = config
        self.tasks, self.benchmarks = select(config, registry)
        for mixture in config.mixtures:
            parsed = mixtures.parse(mixture)
            if parsed.kind in ("top", "bottom") and not mixtures.kept(parsed, len(self.tasks)):
                raise UserError(
                    f"config: mixture {mixture!r} keeps none of {len(self.tasks)} tasks; raise its percentage."
                )
        self._prompts = {
            name: Prompted(instruction=t.instruction, symmetric=t.symmetric) for name, t in self.tasks.items()
        }

    @classmethod
    def read(cls, values: Mapping[str, Any], root: Path) -> "Jobs":
        """The jobs of a configuration that is not validated yet.

        Args:
            values: Content of a configuration file.
            root: Where its registry is looked for when the working folder has none of that path.

        Raises:
            UserError: for anything wrong in the configuration or its registry.
        """
        config = parse(Config, dict(values), "config")
        registry = config.registry if Path(config.registry).exists() else root / config.registry
        jobs = cls(config, load(registry, Registry))
        jobs._check_names(root)
        return jobs

    def _check_names(self, root: Path) -> None:
        """Names that only a job would miss, after hours perhaps."""
        check_index(self.config.mining.search.index)
        for model in self.config.models:
            if not (root / "config" / "accelerate" / f"{model.accelerate}.yaml").is_file():
                known = ", ".join(sorted(file.stem for file in (root / "config" / "accelerate").glob("*.yaml")))
                raise UserError(
                    f"config: model {model.name!r}: no launch configuration {model.accelerate!r}; there are {known}."
                )
        for file in self.config.dedup.queries:
            if not Path(file).is_file():
                raise UserError(f"config: `dedup.queries`: {file} is no file; correct the path or take it out.")
        for name, dataset in {**self.tasks, **self.benchmarks}.items():
            try:
                check_source(dataset.source)
            except UserError as error:
                raise UserError(f"{self.config.registry}: {name}: {error}") from None

    def model(self, name: str) -> Model:
        """The model of that name."""
        return next(m for m in self.config.models if m.name == name)

    def datasets(self, benchmark: str) -> Mapping[str, Task | Benchmark]:
        """The datasets of a benchmark: the tasks with held-out rows, or the benchmark itself."""
        if benchmark == IN_DOMAIN:
            return {name: task for name, task in self.tasks.items() if task.held_out}
        return {benchmark: self.benchmarks[benchmark]}

    def prepare(self, dataset: str) -> PrepareJob:
        """Job that prepares a task or benchmark."""
        if dataset in self.tasks:
            return PrepareJob(task=_part(self.tasks[dataset], TaskRows), data=self.config.data)
        return PrepareJob(benchmark=_part(self.benchmarks[dataset], BenchmarkRows), data=self.config.data)

    def dataset_fetch(self, name: str) -> FetchJob | None:
        """What a task or benchmark needs fetched; None for local data."""
        return dataset_job({**self.tasks, **self.benchmarks}[name].source)

    def model_fetch(self, name: str) -> FetchJob | None:
        """What a model's base needs fetched; None for a local folder."""
        model = self.model(name)
        return model_job(model.base, model.revision, model.sha256)

    def miner_fetch(self) -> FetchJob | None:
        """What the miner needs fetched; None for a local folder."""
        encode = self.config.mining.encode
        return model_job(encode.model, encode.revision, encode.sha256)

    def rescorer_fetch(self) -> FetchJob | None:
        """What the cross-encoder needs fetched; None for a local folder, or without one."""
        rescore = self.config.mining.rescore
        return model_job(rescore.model, rescore.revision, rescore.sha256) if rescore else None

    def fetches(self) -> dict[str, FetchJob]:
        """Everything to fetch, by key: what several datasets or models share stands here once."""
        jobs = [self.dataset_fetch(name) for name in (*self.tasks, *self.benchmarks)]
        jobs += [self.model_fetch(model.name) for model in self.config.models]
        if any(task.negatives == "mined" for task in self.tasks.values()):
            jobs += [self.miner_fetch(), self.rescorer_fetch()]
        return {job.key: job for job in jobs if job}

    def plan(self, mixture: str | None, seed: int) -> PlanJob:
        """Job that plans the training on a mixture, or, for None, tDRO."""
        source, layout = (self.config.training, "homogeneous") if mixture else (self.config.tdro, "mixed")
        return PlanJob(
            layout=layout, steps=source.steps, batch_size=source.batch_size, negatives=source.negatives, seed=seed
        )

    @property
    def learns(self) -> bool:
        """Whether any mixture needs tDRO."""
        return any(mixtures.parse(mixture).learnt for mixture in self.config.mixtures)

    @property
    def training_rows(self) -> int:
        """Rows that one training draws."""
        return self.config.training.steps * self.config.training.batch_size

    def train(self, model: str, seed: int) -> TrainJob:
        """Job that trains a retriever."""
        config = self.config
        return TrainJob(
            model=self.model(model), encoding=config.encoding, training=config.training, tasks=self._prompts, seed=seed
        )

    def reference(self, seed: int) -> ReferenceJob:
        """Job that computes the reference losses."""
        config = self.config
        return ReferenceJob(
            encoding=config.encoding, temperature=config.tdro.temperature, tasks=self._prompts, seed=seed
        )

    def optimize(self, model: str, seed: int) -> OptimizeJob:
        """Job that learns the weights."""
        config = self.config
        return OptimizeJob(
            model=self.model(model), encoding=config.encoding, tdro=config.tdro, tasks=self._prompts, seed=seed
        )

    def evaluate(self, benchmark: str, layout: Layout) -> EvaluateJob:
        """Job that scores a retriever on a benchmark."""
        datasets = {
            name: EvalDataset(
                folder=layout.dataset(benchmark, name),
                language=d.language,
                instruction=d.instruction[:1],
                symmetric=d.symmetric,
            )
            for name, d in self.datasets(benchmark).items()
        }
        return EvaluateJob(datasets=datasets, encoding=self.config.encoding)

    def report(self) -> Content:
        """Job that writes the report."""
        config = self.config
        return Content(
            models=[m.name for m in config.models],
            proxy=config.proxy,
            seeds=config.seeds,
            mixtures=config.mixtures,
            tasks=list(self.tasks),
            kinds={name: f"{task.category}, {task.language}" for name, task in self.tasks.items()},
            benchmarks={b: list(self.datasets(b)) for b in config.benchmarks},
            training_rows=self.training_rows,
            report=config.report,
        )


Part = TypeVar("Part", bound=Section)


def _part(entry: Section, section: type[Part]) -> Part:
    """The keys of a registry's entry that ``section`` has."""
    return section(**{key: getattr(entry, key) for key in section.model_fields})

"""What each rule hands its command: the part of the configuration that the job depends on.

A rule's ``params`` hold one of these, so a changed key reruns the jobs that read it and no others.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, model_validator

from tdro.config import Config, Data, Encoding, Model, Tdro, Training, select
from tdro.errors import UserError
from tdro.indices import check_index
from tdro.layout import Layout
from tdro.registry import IN_DOMAIN, Benchmark, BenchmarkRows, Prompted, Registry, Task, TaskRows
from tdro.report.content import Content
from tdro.sections import Name, Section, Seed, load, parse
from tdro.sources import check_source
from tdro.weights import heaviest_count


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
            if mixture.startswith("top") and not heaviest_count(len(self.tasks), mixture):
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

    def plan(self, mixture: str | None, seed: int) -> PlanJob:
        """Job that plans the training on a mixture, or, for None, tDRO."""
        source, layout = (self.config.training, "homogeneous") if mixture else (self.config.tdro, "mixed")
        return PlanJob(
            layout=layout, steps=source.steps, batch_size=source.batch_size, negatives=source.negatives, seed=seed
        )

    def train(self, model: str, seed: int) -> TrainJob:
        """Job that trains a retriever."""
        config = self.config
        return TrainJob(
            model=self.model(model), encoding=config.encoding, training=config.training, tasks=self._prompts, seed=seed
        )

    def reference(self) -> ReferenceJob:
        """Job that computes the reference losses."""
        config = self.config
        return ReferenceJob(encoding=config.encoding, temperature=config.tdro.temperature, tasks=self._prompts)

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
                instruction=d.instruction,
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
            training_rows=config.training.steps * config.training.batch_size,
            report=config.report,
        )


Part = TypeVar("Part", bound=Section)


def _part(entry: Section, section: type[Part]) -> Part:
    """The keys of a registry's entry that ``section`` has."""
    return section(**{key: getattr(entry, key) for key in section.model_fields})

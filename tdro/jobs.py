"""What each rule hands its command: the part of the configuration that the job depends on.

A rule's ``params`` hold one of these, so a changed key reruns the jobs that read it and no others.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tdro.config import (
    IN_DOMAIN,
    Benchmark,
    BenchmarkRows,
    Config,
    Data,
    Encoding,
    Model,
    Name,
    Prompted,
    Registry,
    Section,
    Seed,
    Task,
    TaskRows,
    Tdro,
    Training,
    load,
    parse,
    select,
)
from tdro.errors import UserError
from tdro.layout import Layout
from tdro.report.content import Content
from tdro.weights import heaviest_count


class PrepareJob(Section):
    """``tdro prepare``: one dataset and what to keep of it."""

    dataset: TaskRows | BenchmarkRows
    data: Data = Data()


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
        return cls(config, load(registry, Registry))

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
        entry, section = (self.tasks, TaskRows) if dataset in self.tasks else (self.benchmarks, BenchmarkRows)
        rows = {key: getattr(entry[dataset], key) for key in section.model_fields}
        return PrepareJob(dataset=section(**rows), data=self.config.data)

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

"""What each command reads: a section of its own, which a rule passes as `--settings`.

A rule's ``params`` hold one of these, so a changed key reruns the jobs that read it and no others.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tdro.artifacts.layout import IN_DOMAIN
from tdro.config.data import Data
from tdro.config.dimensions import Dimensions
from tdro.config.experts import Experts
from tdro.config.models import Encoding, Model
from tdro.config.prompts import Prompts
from tdro.config.registry import BenchmarkRows, Prompted, Source, TaskRows
from tdro.config.schema import Report
from tdro.config.sections import Name, Section, Seed, Text, Unwatched
from tdro.config.soups import Method, TriedShare
from tdro.config.training import Mixture, Tdro, Training

#: The mixture that every difference is measured against.
BASELINE = "uniform"


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


class Bag(Section):
    """Some of the rows of each task."""

    percent: int = Field(ge=1, le=100)
    """How many."""
    number: Seed
    """Which: another number draws others."""


class PlanJob(Section):
    """``tdro plan``: the shape of the batches."""

    layout: Literal["homogeneous", "mixed"]
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    negatives: int = Field(ge=0)
    seed: Seed
    rows: Literal["fresh", "same", "dev"] = "same"
    """`fresh`: first rows that `--baseline` has not drawn; `dev`: those that no training draws."""
    bag: Bag | None = None
    """The plan sees these rows only."""


class TextsJob(Section):
    """What every command has that reads the texts of a plan."""

    encoding: Encoding = Encoding()
    tasks: dict[Name, Prompted]
    seed: Seed = 42


class ExportDataJob(Section):
    """``tdro export-data``."""

    tasks: dict[Name, Prompted] = Field({})
    """Instructions of the tasks; none: rows are exported without."""
    seed: Seed = 42
    """Decides which of several wordings a row carries, as in a training."""


class TrainJob(TextsJob):
    """``tdro train``."""

    model: Model
    training: Training = Training()
    own_negatives: list[Name] = Field([])
    """Tasks whose rows have their own hard negatives only."""

    @model_validator(mode="after")
    def _something_to_compare_with(self) -> Self:
        if self.own_negatives and not self.training.negatives:
            raise ValueError(f"rows of {self.own_negatives[0]!r} would have no negative; raise training.negatives")
        return self


class TrainedOn(Section):
    """What is said of a training dataset where a model is handed on."""

    language: Text
    """As in the registry."""
    licence: Text | None = None
    """As in the registry."""
    mteb: list[Text] | None = None
    """As in the registry."""
    hub: str | None = None
    """The hub dataset that it was read from."""


class ExportJob(Section):
    """``tdro export``."""

    licence: Text | None = None
    """Licence of the model as the hub names it: `apache-2.0`."""
    tasks: dict[Name, TrainedOn] = Field({})
    """The datasets that the model was trained on, or more."""


class BaseJob(Section):
    """``tdro base``."""

    model: Model
    encoding: Encoding = Encoding()


class ReferenceJob(TextsJob):
    """``tdro reference``."""

    temperature: float = Field(gt=0)


class OptimizeJob(TextsJob):
    """``tdro optimize``."""

    model: Model
    tdro: Tdro = Tdro()


class CorpusJob(Section):
    """``tdro prepare-corpus``: where a corpus lies."""

    source: Source
    part: Name | None = None
    data: Data = Data()


class QueriesJob(CorpusJob):
    """``tdro prepare-queries``: where a query set lies, and how much of it to keep."""

    queries: int | None = Field(None, ge=1)


class EvalDataset(Prompted):
    """One test set."""

    corpus: str
    """Its corpus.parquet."""
    queries: str
    """Its queries.parquet: the relevant passages or the answers of each query."""
    max_words: int | None = None
    """Its passages were cut after so many words; null: they were not."""
    rankings: str | None = None
    """The passages that its queries find, by search-corpus and merge-rankings; null: its passages are encoded."""


class Miner(Section):
    """The miner as a retriever."""

    model: str
    revision: str | None = None
    sha256: str | None = None
    prompts: Prompts = Prompts()
    max_length: int = 512
    batch_size: Annotated[int, Unwatched] = 64


#: What ranks without having been trained here.
Retriever = Literal["bm25"] | Miner | Model


class SearchCorpusJob(Section):
    """``tdro search-corpus``: test sets that search one corpus, and the retriever unless it is a trained one."""

    tests: dict[Name, EvalDataset] = Field(min_length=1)
    """Test sets by name."""
    encoding: Encoding = Encoding()
    retriever: Miner | Model | None = None
    """The miner or a base model; null takes `--model`."""
    dimensions: Dimensions = Field([])
    """Passages are also found by embeddings cut to these."""


class EvaluateJob(Section):
    """``tdro evaluate``: test sets, and the retriever unless it is a trained one."""

    benchmarks: dict[str, Annotated[dict[Name, EvalDataset], Field(min_length=1)]] = Field(min_length=1)
    """Test sets by name, of each benchmark; files are named after it (`NAME@sample`: evaluated on a sample)."""
    encoding: Encoding = Encoding()
    retriever: Retriever | None = None
    """`bm25`, the miner or a base model; null takes `--model`."""
    dimensions: Dimensions = Field([])
    """Embeddings are also scored cut to these."""


class DevPoolJob(Section):
    """``tdro dev-pool``."""

    seed: Seed = 42
    """Decides which passages all queries of the dataset are ranked among."""


class DevDataset(Prompted):
    """A dataset that choices are made on."""

    corpus: str
    """Its corpus.parquet."""
    queries: str
    """Its queries.parquet."""
    candidates: str
    """What its dev queries are ranked among, by dev-pool."""


class DevScoresJob(Section):
    """``tdro dev-scores``."""

    datasets: dict[Name, DevDataset] = Field(min_length=1)
    encoding: Encoding = Encoding()
    temperature: float = Field(gt=0)


class ExpertScoresJob(DevScoresJob):
    """``tdro expert-scores``."""

    tasks: list[Name] = Field(min_length=2)
    """Tasks of the experts, in their order."""
    rho: float = Experts().rho
    candidates: int | None = Experts().candidates
    seed: Seed = 42
    """Decides which mixtures are tried."""


class FitLawJob(Section):
    """``tdro fit-law``."""

    rho: float = Experts().rho
    seed: Seed = 42
    """Decides the starts of the fit, and which mixtures are left out together."""


class PruneJob(Section):
    """``tdro prune-candidates`` and ``tdro prune``."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of the intervals, and 1 minus that of the corrected p."""
    samples: int = Field(10_000, ge=100)
    """Resamples of the dev queries."""
    seed: Seed = 42
    """Decides the resamples."""


class SoupScoresJob(DevScoresJob):
    """``tdro soup-scores``."""

    shares: list[TriedShare] = Field([])
    """Parts of the trained models beside the base to try; none for a soup without it."""
    method: Method = "linear"


class Curve(Section):
    """Soups that differ in their share of the base alone."""

    shares: dict[Mixture, float | None]
    """Share of the trained models in each; null: dev queries have chosen it."""
    whole: Mixture | None = None
    """The mixture that is the soup with a share of 1, where it is one training."""


class Compared(Section):
    """What every comparison of mixtures covers."""

    models: list[Name] = Field(min_length=1)
    """Retrievers that were trained and scored."""
    seeds: list[int] = Field(min_length=1)
    mixtures: list[Mixture] = Field(min_length=1)
    trainings: dict[Mixture, float] = Field({})
    """What has to be trained for each mixture, in trainings on `uniform` (tdro.pipeline.trainings)."""
    report: Report = Report()

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        if BASELINE not in self.mixtures:
            raise ValueError(f"mixtures must contain {BASELINE!r}: every difference is measured against it")
        return self

    @property
    def challengers(self) -> list[str]:
        """The mixtures that are compared with the baseline."""
        return [mixture for mixture in self.mixtures if mixture != BASELINE]


class RecommendJob(Compared):
    """``tdro recommend``: whose scores a choice is made on."""

    dev: dict[Name, list[Name]] = Field(min_length=1)
    """Datasets of everything that choices are made on: the tasks with dev rows for `dev_rows`, else the benchmark."""


class Content(Compared):
    """``tdro report``: models, seeds, mixtures and datasets that a report covers."""

    proxy: Name
    """The model whose trajectory gave the weights."""
    tasks: list[Name] = Field(min_length=1)
    kinds: dict[Name, str] = Field({})
    """Category and language of each task, shown beside its weights."""
    benchmarks: dict[Name, list[Name]] = Field(min_length=1)
    """Datasets of each benchmark: tasks with held-out rows for `in_domain`, else the benchmark itself."""
    training_rows: int | None = Field(None, ge=1)
    """Rows that one training draws (steps x batch size); null hides passes over a dataset."""
    other_rows: dict[Mixture, int] = Field({})
    """Rows of those trainings that draw others, such as that of `longer`."""
    courses: list[str] = Field([])
    """Runs of tDRO: their folders' names (mixturenames.Mixture.course)."""
    suites: dict[Name, list[Name]] = Field({})
    """Benchmarks that are averaged under one name, such as BEIR."""
    untrained: list[Name] = Field([])
    """Retrievers that nothing was trained for, such as `bm25`."""
    dimensions: Dimensions = Field([])
    """Dimensions that embeddings were also cut to and scored at."""
    sampled: list[Name] = Field([])
    """Datasets that were evaluated on a sample of their corpus."""
    corpora: dict[Name, str] = Field({})
    """The corpus that each dataset out of domain searched, or its sample: whose passages the examples show."""
    told: list[Mixture] = Field([])
    """Mixtures whose dev losses stand beside what merged experts foretell; none where there are no experts."""
    pruned: bool = False
    """Whether tasks were looked for that a training is better off without."""
    measured_soups: list[Mixture] = Field([])
    """Averages of models that were compared with their ingredients on dev queries."""
    curves: dict[Name, Curve] = Field({})
    """Soups with several shares of the base, by the soup's name."""

    @model_validator(mode="after")
    def _benchmarks_hold_something(self) -> Self:
        empty = [name for name, datasets in self.benchmarks.items() if not datasets]
        if empty:
            raise ValueError(f"benchmark {empty[0]!r} lists no dataset")
        strays = [(suite, b) for suite, members in self.suites.items() for b in members if b not in self.benchmarks]
        if strays:
            raise ValueError(f"suite {strays[0][0]!r} lists {strays[0][1]!r}, which is no benchmark of the report")
        return self

    def rows_of(self, mixture: str) -> int | None:
        """Rows that the training of a mixture draws; None where passes are hidden."""
        return self.other_rows.get(mixture, self.training_rows) if self.training_rows else None

    @property
    def out_of_domain(self) -> list[str]:
        """The benchmarks that are no held-out rows of a training task."""
        return [name for name in self.benchmarks if name != IN_DOMAIN]


class TablesJob(Section):
    """``tdro tables``: what the run's figures are of."""

    measure: str = "released"
    evaluated: dict[Name, int] = Field({})
    """Datasets evaluated of each suite."""

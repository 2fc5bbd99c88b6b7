"""What a report covers: the part of the configuration that the rule passes on."""

from pydantic import Field, model_validator

from tdro.artifacts.layout import IN_DOMAIN
from tdro.config.dimensions import Dimensions
from tdro.config.schema import Mixture, Report
from tdro.config.sections import Name, Section

#: The mixture that every difference is measured against.
BASELINE = "uniform"


class Content(Section):
    """Models, seeds, mixtures and datasets of one report."""

    models: list[Name] = Field(min_length=1, description="Retrievers that were trained and evaluated.")
    proxy: Name = Field(description="The model whose trajectory gave the weights.")
    seeds: list[int] = Field(min_length=1)
    mixtures: list[Mixture] = Field(min_length=1)
    tasks: list[Name] = Field(min_length=1)
    kinds: dict[Name, str] = Field({}, description="Category and language of each task, shown beside its weights.")
    benchmarks: dict[Name, list[Name]] = Field(
        min_length=1,
        description="Datasets of each benchmark: tasks with held-out rows for `in_domain`, else the benchmark itself.",
    )
    training_rows: int | None = Field(
        None, ge=1, description="Rows that one training draws (steps x batch size); null hides passes over a dataset."
    )
    courses: list[str] = Field([], description="Runs of tDRO: their folders' names (mixturenames.Mixture.course).")
    suites: dict[Name, list[Name]] = Field({}, description="Benchmarks that are averaged under one name, such as BEIR.")
    untrained: list[Name] = Field([], description="Retrievers that nothing was trained for, such as `bm25`.")
    dimensions: Dimensions = Field([], description="Dimensions that embeddings were also cut to and scored at.")
    report: Report = Report()

    @model_validator(mode="after")
    def _comparable(self):
        if BASELINE not in self.mixtures:
            raise ValueError(f"mixtures must contain {BASELINE!r}: every difference is measured against it")
        empty = [name for name, datasets in self.benchmarks.items() if not datasets]
        if empty:
            raise ValueError(f"benchmark {empty[0]!r} lists no dataset")
        strays = [(suite, b) for suite, members in self.suites.items() for b in members if b not in self.benchmarks]
        if strays:
            raise ValueError(f"suite {strays[0][0]!r} lists {strays[0][1]!r}, which is no benchmark of the report")
        return self

    @property
    def challengers(self) -> list[str]:
        """The mixtures that are compared with the baseline."""
        return [mixture for mixture in self.mixtures if mixture != BASELINE]

    @property
    def out_of_domain(self) -> list[str]:
        """The benchmarks that are no held-out rows of a training task."""
        return [name for name in self.benchmarks if name != IN_DOMAIN]

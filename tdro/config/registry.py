"""Datasets: one entry each in ``config/tasks/*.yaml``, which becomes a :class:`Registry`."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tdro.artifacts.layout import IN_DOMAIN
from tdro.config.complaints import PATTERNS
from tdro.config.localpaths import expanded
from tdro.config.sections import Checksum, Name, Section, Text

#: What a model calls the prompt before all its queries, and that before all its passages.
QUERY, DOCUMENT = "query", "document"


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Columns(Section):
    """Names of the columns (of JSON lines: the keys) that the reader `table` reads."""

    query: Text = Field(description="Column of the queries, each a string.")
    positive: Text = Field(description="Column of the passages that answer them: a string or a list of strings.")
    negatives: Text | None = Field(None, description="Column of hard negatives: a string or a list of strings.")
    title: Text | None = Field(None, description="Column of the positives' titles: a string, or one a positive.")
    query_id: Text | None = Field(None, description="Column of the queries' identifiers.")

    @model_validator(mode="after")
    def _two_texts(self) -> Self:
        if self.query in (self.positive, self.negatives) or self.positive == self.negatives:
            raise ValueError("query, positive and negatives must be different columns")
        return self


class Source(Section):
    """Where the rows of a dataset come from, and the reader (tdro/sources) that understands them."""

    reader: Name = Field(description="Name of the reader: a module of tdro/sources.")
    path: Annotated[str, AfterValidator(expanded)] | None = Field(
        None,
        description="File or folder: local, or with `hub` inside the repository; of rows also a pattern.",
    )
    columns: Columns | None = Field(None, description="Names of columns, for the reader `table`.")
    hub: str | None = Field(
        None,
        description="`ORG/NAME` of the hub dataset that holds the data.",
        pattern=PATTERNS["repository"][0],
    )
    revision: str | None = Field(None, description="Commit, tag or branch of the hub dataset; null is main.")
    package: str | None = Field(
        None,
        description="`NAME==VERSION` of the pip package that holds the data.",
        pattern=PATTERNS["package"][0],
    )
    sha256: Checksum | None = Field(None, description="Checksum of the package's archive.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.hub and self.package:
            raise ValueError("`hub` and `package` exclude each other; remove one")
        if self.revision and not self.hub:
            raise ValueError("`revision` is that of a hub dataset; name it as `hub` or remove the key")
        if self.hub and self.path and (self.path.startswith(("/", "~")) or ".." in self.path.split("/")):
            raise ValueError(
                f"with `hub`, `path` {self.path!r} must lie inside the repository; remove `hub` for local data"
            )
        return self


class Prompted(Section):
    """How a retriever is told what is searched for."""

    instruction: Annotated[
        list[Text],
        BeforeValidator(_listed, json_schema_input_type=Text | list[Text]),
        Field(
            min_length=1,
            description="What a searcher wants, in one English sentence; of several wordings each row takes one.",
        ),
    ]
    symmetric: bool = Field(False, description="Both sides are queries, so both carry the instruction.")


class TaskRows(Section):
    """What preparation reads of a training dataset's entry."""

    source: Source
    negatives: Literal["mined", "provided"] = Field("mined", description="Where hard negatives come from.")
    rows: int | None = Field(None, ge=2, description="Largest number of training queries; null keeps all.")
    held_out: int = Field(0, ge=0, description="Queries kept out of training, for the in-domain benchmark.")
    held_out_corpus: int = Field(1000, ge=1, description="Passages of the in-domain benchmark's corpus.")


class BenchmarkRows(Section):
    """What preparation reads of a benchmark's entry."""

    source: Source
    parts: list[Name] = Field(
        [], description="Languages or sub-collections, evaluated one by one and averaged; `{part}` in the path is each."
    )
    queries: int | None = Field(None, ge=1, description="Largest number of queries; null keeps all.")


class Described(Prompted):
    """What is said of every dataset beside its rows."""

    language: Text = Field(description="ISO 639 codes, comma separated, or `multilingual`.")


class Task(Described, TaskRows):
    """One training dataset."""

    category: Text = Field(description="Kind of data (documentation, medical, ...), shown in the report.")
    in_batch: bool = Field(
        True,
        description="Passages of the batch's other rows are negatives, too; false takes a row's own hard ones only.",
    )


class Benchmark(Described, BenchmarkRows):
    """One benchmark, beside the held-out rows of the tasks."""

    corpus: Name | None = Field(None, description="Another benchmark, the passages of which are searched.")
    suite: Name | None = Field(None, description="Benchmarks of one suite are averaged under its name.")

    def datasets(self, name: str) -> dict[str, str | None]:
        """Names of what is evaluated, each with its part: the benchmark itself, or its parts one by one."""
        return {f"{name}-{part}": part for part in self.parts} or {name: None}


class Registry(Section):
    """A file of datasets: ``config/tasks/*.yaml``."""

    tasks: dict[Name, Task] = Field(min_length=1)
    benchmarks: dict[Name, Benchmark] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        shared = sorted((set(self.tasks) & set(self.benchmarks)) | ({IN_DOMAIN} & set(self.benchmarks)))
        if shared:
            raise ValueError(f"benchmark {shared[0]!r} has the name of a task or of the in-domain benchmark; rename it")
        if kept := sorted({QUERY, DOCUMENT} & set(self.tasks)):
            raise ValueError(f"task {kept[0]!r} has the name of a prompt that every model keeps; rename it")
        suites = {entry.suite for entry in self.benchmarks.values()} & {*self.benchmarks, "out_of_domain"}
        if suites:
            raise ValueError(f"suite {min(suites)!r} has the name of a benchmark or of the average; rename it")
        known = [name for benchmark, entry in self.benchmarks.items() for name in entry.datasets(benchmark)]
        twice = sorted({name for name in known if known.count(name) > 1})
        if twice:
            raise ValueError(f"two parts of benchmarks have the name {twice[0]!r}; rename a benchmark or a part")
        return self

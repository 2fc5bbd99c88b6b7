"""``data`` and ``dedup``: which rows of a dataset are kept, and which are left out as too near an evaluation query."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from tdro.config.sections import LocalPath, Name, Section, Seed

#: Endings of the files of queries that `tdro/readers/queryfiles.py` reads.
KINDS = (".txt", ".tsv", ".jsonl", ".parquet")


class Data(Section):
    """What `prepare` keeps of the rows that a reader yields."""

    min_words: int = Field(1, ge=0)
    """Pairs whose query or passage is shorter are dropped; a Chinese or Japanese character is a word."""
    max_words: int | None = Field(None, ge=1)
    """Longer passages are cut after so many words; null leaves them as they are."""
    drop_echoes: Literal["none", "same", "near"] = "same"
    """Which positives that repeat their query are dropped: none; those that say the same, but for case and sentence
    marks; or also those that nearly do (docs/algorithm.md). All are counted (report, *positive says the same as the
    query*); a query with no other positive is dropped and counted."""
    max_bad_rows: int = Field(0, ge=0)
    """Malformed rows of a dataset that may be left out. They are all counted (report, *malformed*) and the first five
    quoted with file, line and reason; with more than these, preparation stops and writes nothing. A file that cannot be
    read as a whole stops it always."""
    seed: Seed = 42
    """Decides which rows are held out, and which are kept where `rows` limits them."""


class Dedup(Section):
    """Training queries that nearly equal an evaluation query, or each other, are removed."""

    distance: int = Field(2, ge=0, le=15)
    """Training queries whose 64-bit SimHash differs from that of an evaluation query in at most so many bits are
    removed."""
    within: bool = False
    """Also remove a query that is so near an earlier one of its task that stays; row by row, in the order of the
    file."""
    against: list[Name] | None = None
    """Benchmarks whose queries training must not repeat (`in_domain` is one); null takes all that are evaluated on or
    named under `dev`. On one that is left out a retriever can be evaluated later without another training. The leak
    check looks at all that are evaluated on and tells what that costs. Dev rows of tasks are always compared."""
    queries: list[LocalPath] = Field([])
    """Local files of further queries to compare with: `.txt` (a query a line), `.tsv` (identifier, tab, query),
    `.jsonl` (text under `query`, `question` or `text`), `.parquet` (column `query`). A file goes by its name, so no two
    may share one. The leak check looks for them as well."""

    @model_validator(mode="after")
    def _files_are_told_apart(self) -> Self:
        names = [Path(file).name for file in self.queries]
        twice = [name for i, name in enumerate(names) if name in names[:i]]
        if twice:
            raise ValueError(f"queries names two files {twice[0]!r}; `duplicates.parquet` knows a file by its name")
        for file in self.queries:
            if Path(file).suffix.lower() not in KINDS:
                raise ValueError(f"queries: {file!r} must end in one of {', '.join(KINDS)}")
        return self

"""``data`` and ``dedup``: which rows of a dataset are kept, and which are left out as too near an evaluation query."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from tdro.config.sections import LocalPath, Section, Seed

#: Endings of the files of queries that `tdro/readers/queryfiles.py` reads.
KINDS = (".txt", ".tsv", ".jsonl", ".parquet")


class Data(Section):
    """What `prepare` keeps of the rows that a reader yields."""

    min_words: int = Field(
        1, ge=0, description="Shorter queries and passages are dropped; a Chinese or Japanese character is a word."
    )
    max_words: int | None = Field(None, ge=1, description="Longer passages are cut after this many words.")
    drop_echoes: Literal["none", "same", "near"] = Field(
        "same",
        description="Positives that repeat their query and are dropped: none, those that say the same (but for case "
        "and sentence marks), or those that nearly do as well.",
    )
    max_bad_rows: int = Field(
        0, ge=0, description="Malformed lines of a dataset that are counted and left out; with more, preparation stops."
    )
    seed: Seed = Field(42, description="Seed of the held-out split and of the choice of rows.")


class Dedup(Section):
    """Training queries that nearly equal an evaluation query, or each other, are removed."""

    distance: int = Field(
        2, ge=0, le=15, description="Largest Hamming distance of 64-bit SimHashes that counts as equal."
    )
    within: bool = Field(False, description="Remove a query that nearly equals an earlier one of its task, too.")
    queries: list[LocalPath] = Field(
        [], description="Local files of further queries to compare with: " + ", ".join(KINDS)
    )

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

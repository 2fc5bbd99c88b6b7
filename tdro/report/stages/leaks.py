"""Evaluation texts that the leak check found in the training data."""

from collections.abc import Mapping
from dataclasses import dataclass

from tdro.artifacts.files import read_table
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import LEAKS
from tdro.errors import UserError
from tdro.formats import cut, percent

# Examples of a benchmark.
_EXAMPLES = 3

# What is looked for where, as `leaks.parquet` names it.
_LEAK_KINDS = ("query_in_query", "query_in_positive", "passage_in_query", "passage_in_positive")


@dataclass(frozen=True)
class Leak:
    """Evaluation texts of a benchmark that training texts contain.

    Attributes:
        counts: queries in a training query, queries in a positive, relevant passages in a query, in a positive.
        examples: some of them with both texts.
    """

    benchmark: str
    queries: int
    passages: int
    counts: list[int]
    examples: list[dict]

    @property
    def found(self) -> int:
        """All of them, whatever the kind."""
        return sum(self.counts)

    @property
    def shares(self) -> list[str]:
        """The counts in percent of the queries or passages."""
        totals = (self.queries, self.queries, self.passages, self.passages)
        return [
            percent(round(count / total, 3)) if total else "" for count, total in zip(self.counts, totals, strict=True)
        ]


def leaks(benchmarks: Mapping[str, list[str]], layout: Layout) -> list[Leak]:
    """The leaks of every benchmark, its datasets together, then those of further files of queries.

    Raises:
        UserError: when ``leaks.parquet`` is missing or lacks a dataset.
    """
    rows = {row["dataset"]: row for row in read_table(layout.leaks, LEAKS).to_pylist()}
    known = {dataset for datasets in benchmarks.values() for dataset in datasets}
    missing = sorted(known - set(rows))
    if missing:
        raise UserError(f"{layout.leaks} says nothing of {missing[0]!r}. Delete it and let the workflow make it again.")
    groups = dict(benchmarks) | {name: [name] for name in rows if name not in known}
    return [_leak(name, [rows[dataset] for dataset in datasets]) for name, datasets in groups.items()]


def _leak(name: str, rows: list[dict]) -> Leak:
    """The rows of a benchmark's datasets as one; examples that are no exact repetition come first."""
    queries, passages, *counts = (sum(row[key] for row in rows) for key in ("queries", "passages", *_LEAK_KINDS))
    examples = sorted((leak for row in rows for leak in row["examples"]), key=lambda leak: leak["share"])[:_EXAMPLES]
    texts = [{key: cut(leak[key]) for key in ("evaluation", "training")} for leak in examples]
    shown = [
        leak | text | {"percent": percent(round(leak["share"], 2))} for leak, text in zip(examples, texts, strict=True)
    ]
    return Leak(name, queries, passages, counts, shown)

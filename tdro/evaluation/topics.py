"""The queries of a test set, with what decides whether a passage is relevant."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from tdro.artifacts.files import check_columns, read_table
from tdro.artifacts.lists import Lists
from tdro.artifacts.schemas import QUERIES, TEST_QUERIES
from tdro.config.commands import EvalDataset
from tdro.data.corpora import passages, whole_rows
from tdro.errors import UserError


@dataclass(frozen=True)
class Topics:
    """The queries of a test set that can be scored: by the rows of relevant passages with grades, or by answers."""

    ids: list[str]
    texts: list[str]
    positives: list[list[int]]
    grades: list[list[int]]
    answers: list[list[str]] | None


def read_topics(tests: Mapping[str, EvalDataset]) -> dict[str, Topics]:
    """The queries of each test set.

    Raises:
        UserError: as :func:`read_queries`.
    """
    return {name: read_queries(Path(test.queries), Path(test.corpus)) for name, test in tests.items()}


def read_queries(queries: Path, corpus: Path) -> Topics:
    """The queries of a test set that can be scored; those without a relevant passage are left out.

    Positives are rows of the corpus, also of a sampled one, whereas ``queries`` names those of the whole one.

    Raises:
        UserError: when a file is missing or wrong, no query is left, or one names a passage that the corpus lacks.
    """
    number = passages(corpus)
    judged = set(TEST_QUERIES.names) <= set(check_columns(queries, QUERIES))
    table = read_table(queries, TEST_QUERIES if judged else QUERIES)
    if judged and len(table) and not table["answers"].null_count:
        empty = [[] for _ in range(len(table))]
        return Topics(
            table["query_id"].to_pylist(), table["query"].to_pylist(), empty, empty, table["answers"].to_pylist()
        )
    decides = table["grades" if judged else "positives"]  # a passage that the corpus lacks has a grade, too
    table = table.filter(pc.greater(pc.fill_null(pc.list_value_length(decides), 0), 0))
    if not len(table):
        raise UserError(f"{queries} holds no query with a positive; evaluation needs at least one.")
    positives = _in_corpus(Lists.from_arrow(table["positives"]), queries, corpus, number)
    grades = table["grades"].to_pylist() if judged else [[1] * len(rows) for rows in positives]
    if any(len(values) < len(rows) for values, rows in zip(grades, positives, strict=True)):
        raise UserError(f"{queries} has a query with fewer grades than positives; prepare it again.")
    return Topics(table["query_id"].to_pylist(), table["query"].to_pylist(), positives, grades, None)


def _in_corpus(positives: Lists, queries: Path, corpus: Path, number: int) -> list[list[int]]:
    """Positives as rows of the corpus, which must have them."""
    rows, sample = positives.values, whole_rows(corpus)
    if sample is None:
        wrong = rows[(rows < 0) | (rows >= number)]
        there, mend = f"has rows 0 to {number - 1}", "prepare both files again"
    else:
        wrong = rows[~np.isin(rows, sample)]
        there, mend = "is a sample without it", "delete the sample and let the workflow make it again"
        rows = np.searchsorted(sample, rows)
    if len(wrong):
        raise UserError(f"{queries} names passage {wrong[0]} as a positive, but {corpus} {there}; {mend}.")
    return Lists(rows, positives.starts).arrow().to_pylist()

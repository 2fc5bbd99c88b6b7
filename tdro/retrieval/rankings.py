"""Rankings on disk: of a corpus that is searched in parts, what each part has for every query, and the best of all."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tdro.artifacts.files import count_rows, read_batches, read_table, table_writer
from tdro.artifacts.lists import Lists
from tdro.artifacts.schemas import RANKINGS
from tdro.errors import UserError
from tdro.retrieval.exact import Ranking
from tdro.retrieval.merging import merged, none_yet


def write_rankings(path: Path, rankings: Iterable[tuple[str, Sequence[str], Sequence[Ranking]]]) -> None:
    """Write the rankings of several test sets.

    Args:
        path: File to write.
        rankings: Name of each test set, identifiers of its queries, and its rankings at one dimension or more.
    """
    with table_writer(path, RANKINGS) as file:
        for name, ids, found in rankings:
            for ranking in found:
                file.append(_table(name, ids, ranking))
                file.flush()  # a group of rows a test set and dimension, so that others are not read with it


def _table(name: str, ids: Sequence[str], ranking: Ranking) -> pa.Table:
    there = ranking.rows >= 0
    kept = {"rows": ranking.rows[there].astype(np.int32), "scores": ranking.scores[there]}
    lists = {key: Lists.of(values, there.sum(axis=1)).arrow() for key, values in kept.items()}
    columns = {"dataset": [name] * len(ids), "dimension": [ranking.dimension] * len(ids), "query_id": ids}
    return pa.table(columns | lists, schema=RANKINGS)


def merge_rankings(parts: Sequence[Path], output: Path, depth: int) -> None:
    """Write the best passages of each query among those of all parts of a corpus, test set by test set.

    Args:
        parts: The files of :func:`write_rankings`, of every part, in any order; one of a part without a passage has no
            row.
        output: File to write.
        depth: Passages a query.

    Raises:
        UserError: for a file that is missing, or of other queries than the others.
    """
    parts = sorted((part for part in parts if count_rows(part)), key=_any_row)
    if not parts:
        raise UserError(f"no part holds a ranking for {output}; search the corpus again.")
    first = parts[0]

    def all_of_them() -> Iterator[tuple[str, Sequence[str], Sequence[Ranking]]]:
        for name in pc.unique(read_table(first, pa.schema([RANKINGS.field("dataset")]))["dataset"]).to_pylist():
            of_first = read_table(first, RANKINGS, pc.field("dataset") == name)
            ids = of_first.filter(pc.field("dimension") == of_first["dimension"][0].as_py())["query_id"].to_pylist()
            yield name, ids, read_rankings(parts, name, ids, depth)

    write_rankings(output, all_of_them())


def _any_row(part: Path) -> int:
    """A row of a part, whose rows are all below those of the next part."""
    return next(read_batches(part, pa.schema([RANKINGS.field("rows")]), 1))["rows"][0][0].as_py()


def read_rankings(parts: Sequence[Path], name: str, ids: Sequence[str], depth: int) -> list[Ranking]:
    """The best passages of each query of a test set, among those of all files.

    Args:
        parts: Files of :func:`write_rankings`, those of a corpus' first rows first.
        name: The test set.
        ids: Identifiers of the queries, in their order.
        depth: Passages a query.

    Returns:
        The ranking by whole embeddings, then those by their first numbers, the largest dimension first.

    Raises:
        UserError: for a file that is missing, or of other queries.
    """
    best: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for part in parts:
        table = read_table(part, RANKINGS, pc.field("dataset") == name)
        for dimension in pc.unique(table["dimension"]).to_pylist():
            found = table.filter(pc.field("dimension") == dimension)
            if found["query_id"].to_pylist() != list(ids):
                raise UserError(f"{part} is of other queries of {name} than are asked now; delete it and search again.")
            best[dimension] = merged(best.get(dimension, none_yet(len(ids), depth)), _arrays(found, depth), depth)
    if not best:
        raise UserError(f"{parts[0]} has no ranking of {name}; delete it and search again.")
    return [Ranking(dimension, *best[dimension]) for dimension in sorted(best, reverse=True)]


def _arrays(table: pa.Table, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and scores of shape (queries, depth), row -1 where there are fewer."""
    rows, scores = none_yet(len(table), depth)
    found, told = Lists.from_arrow(table["rows"]), Lists.from_arrow(table["scores"])
    there = np.arange(depth) < found.lengths[:, None]
    rows[there], scores[there] = found.values, told.values
    return rows, scores

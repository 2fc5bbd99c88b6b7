"""Hard negatives out of the candidates: filter and sample.

    candidates.parquet (or rescored.parquet), corpus.parquet, queries.parquet -> negatives.parquet

``negatives.parquet`` has the schema :data:`tdro.artifacts.schemas.NEGATIVES`: a row a query, negatives by
falling score, then those that filled a gap, whose score is null. Its counts tell how many candidates
each filter dropped. Nothing is encoded here, so that another selection takes seconds.
"""

import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tdro.artifacts.files import read_batches, read_texts, table_writer
from tdro.artifacts.lists import Lists
from tdro.artifacts.schemas import CANDIDATES, CORPUS, NEGATIVES
from tdro.config.mining import Select
from tdro.errors import UserError
from tdro.mining.candidates import carried_counts, check_candidates
from tdro.mining.filters import Block, Passages, Selection, select
from tdro.mining.queries import read_positives
from tdro.mining.ranks import nearest, tell
from tdro.text.relations import said_keys
from tdro.text.strings import passage_texts

log = logging.getLogger(__name__)

#: Queries, and passages, at a time.
ROWS = 8192


def select_negatives(candidates: Path, corpus: Path, queries: Path, output: Path, settings: Select) -> None:
    """Write the hard negatives of every query of a task.

    Which candidates are kept, and what a rank is, says :func:`tdro.mining.filters.select`. With
    ``too_few: drop`` a query left with fewer than ``samples`` has no row in the output; otherwise it
    may have fewer, or none, where the corpus is too small to give more.

    Args:
        candidates: ``candidates.parquet``, or ``rescored.parquet``.
        corpus: The task's ``corpus.parquet``.
        queries: The task's ``queries.parquet``.
        output: The ``negatives.parquet`` to write.
        settings: The validated section ``mining.select``.

    Raises:
        UserError: when the files do not belong together, or ``too_few: drop`` leaves no query.
    """
    asked = read_positives(queries, corpus)
    check_candidates(candidates, asked)
    keys = [said_keys(passage_texts(table)) for table in read_batches(corpus, CORPUS, ROWS)]
    passages = Passages(np.concatenate(keys))
    tell(settings, len(passages))
    alike = _Alike(queries, asked)
    counts: Counter[str] = Counter({"queries": len(asked), **carried_counts(candidates)})
    with table_writer(output, NEGATIVES, counts) as file:
        start = 0
        for table in read_batches(candidates, CANDIDATES, ROWS):
            block = _block(table, asked.slice(start, len(table)), len(passages), candidates, alike, start)
            selections, dropped = select(block, passages, settings)
            counts.update({"candidates": len(block.scores), **dropped})
            rows = _rows(block, selections, settings, nearest(len(passages)), counts)
            kept = pc.is_in(table["query"], pa.array(rows["query"], pa.int32()))
            file.append(rows | {"positive_scores": table["positive_scores"].filter(kept)})
            start += len(table)
        for name, number in counts.items():
            log.info("%s: %d", name, number)
        if counts["queries dropped"] == len(asked):
            raise UserError(
                f"no query of {queries} keeps {settings.samples} hard negatives; lower mining.select.samples, "
                "widen mining.select.ranks or set mining.select.too_few to fill_random."
            )


class _Alike:
    """The queries of a task that say the same, and what answers them."""

    def __init__(self, queries: Path, asked: pa.Table) -> None:
        self.keys = said_keys(read_texts(queries, "query"))
        self._number = np.unique(self.keys, return_inverse=True)[1]
        positives = Lists.from_arrow(asked["positives"])
        self._positives = Lists.from_pairs(self._number[positives.owners()], positives.values, len(asked))

    def positives(self, start: int, end: int) -> Lists:
        """The positives of all queries that say the same as each of those from ``start`` to ``end``."""
        return self._positives.take(self._number[start:end])


def _block(table: pa.Table, asked: pa.Table, passages: int, path: Path, alike: _Alike, start: int) -> Block:
    """Queries, from row ``start`` on, and their candidates as selection takes them."""
    candidates, positives = Lists.from_arrow(table["candidates"]), Lists.from_arrow(asked["positives"])
    own = Lists.from_arrow(table["positive_scores"])
    if not np.array_equal(own.lengths, positives.lengths) or candidates.values.max(initial=0) >= passages:
        raise UserError(f"{path} was made from other queries or another corpus; search again.")
    return Block(
        rows=table["query"].to_numpy(),
        keys=alike.keys[start : start + len(table)],
        positives=positives,
        positive_scores=np.minimum.reduceat(own.values, own.starts[:-1]),
        candidates=candidates,
        scores=pc.list_flatten(table["scores"]).to_numpy(),
        alike=alike.positives(start, start + len(table)),
    )


def _rows(
    block: Block, selections: list[Selection], settings: Select, near: int, counts: Counter[str]
) -> dict[str, list]:
    """The block's negatives and scores; adds its counts to ``counts``, of negatives from rank ``near`` on as well."""
    columns: dict[str, list] = {name: [] for name in ("query", "negatives", "scores")}
    starts, nears = block.candidates.starts[:-1], near + block.positives.lengths - 1
    for row, start, end, selection in zip(
        block.rows.tolist(), starts.tolist(), nears.tolist(), selections, strict=True
    ):
        number, filled = len(selection.mined) + len(selection.filled), len(selection.filled)
        short = len(selection.mined) < settings.samples
        dropped = settings.too_few == "drop" and short
        counts["mined behind the nearest tenth of the corpus"] += int(np.count_nonzero(selection.mined >= end))
        counts["queries filled up"] += filled > 0
        counts["passages filled in"] += filled
        counts["queries kept with too few"] += short and number < settings.samples and not dropped
        counts["queries dropped"] += dropped
        counts["queries with no negative"] += number == 0 and not dropped
        if not dropped:
            places = start + selection.mined
            columns["query"].append(row)
            columns["negatives"].append([*block.candidates.values[places].tolist(), *selection.filled.tolist()])
            columns["scores"].append([*block.scores[places].tolist(), *[None] * filled])
    return columns

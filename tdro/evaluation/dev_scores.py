"""The measure that choices are made on: how well a model tells the positive of a dev query from its candidates.

    dev_scores(Path("uniform/model"), job, Path("uniform/dev.parquet"))

Whatever makes many models, such as averages of others, reads the texts once (:func:`read_dev_sets`) and asks
:func:`score` for each.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from tdro.artifacts.files import read_rows, read_table, write_table
from tdro.artifacts.lists import Lists
from tdro.artifacts.schemas import DEV_POOL, DEV_SCORES, QUERIES
from tdro.config.commands import DevDataset, DevScoresJob
from tdro.config.prompts import TaskPrompts
from tdro.config.registry import Prompted
from tdro.data.corpora import chosen
from tdro.errors import UserError
from tdro.progress import Progress
from tdro.retrieval.encoder import Encoder
from tdro.retrieval.retrievers import open_encoder
from tdro.text.strings import passage_texts

log = logging.getLogger(__name__)

_QUERY = pa.schema([QUERIES.field("query")])


class DevSet(NamedTuple):
    """The dev queries of a dataset and their candidates.

    Attributes:
        name: The dataset's name.
        prompted: How its texts are read.
        rows: Rows of its queries, shape (n,).
        queries: Their texts.
        passages: Texts of all passages that are a candidate.
        candidates: Of each query the places of its candidates among ``passages``, the positive's first.
    """

    name: str
    prompted: Prompted
    rows: np.ndarray
    queries: list[str]
    passages: list[str]
    candidates: Lists


def dev_scores(model: Path, job: DevScoresJob, output: Path) -> None:
    """Write the dev loss and the reciprocal rank of each dev query.

    Args:
        model: Folder of a trained retriever.
        job: Datasets, temperature, precision and batch size.
        output: The file to write, schema ``DEV_SCORES``.

    Raises:
        UserError: when a file is missing or wrong, or the model gives embeddings that are not finite.
    """
    sets = read_dev_sets(job.datasets)
    encoder, prompts = open_encoder(model, job.encoding)
    encoder.cuts.told = Progress("encoded", "texts", sum(len(one.queries) + len(one.passages) for one in sets))
    table = score(encoder, prompts, sets, job.temperature)
    for name, (loss, rank) in means(table).items():
        log.info("%s: dev loss %.4f, mean reciprocal rank %.4f", name, loss, rank)
    write_table(output, table, DEV_SCORES)


def read_dev_sets(datasets: Mapping[str, DevDataset]) -> list[DevSet]:
    """The texts of dev queries and of their candidates.

    Raises:
        UserError: when a file is missing or wrong, or names a row that there is not.
    """
    return [_read(name, dataset) for name, dataset in datasets.items()]


def _read(name: str, dataset: DevDataset) -> DevSet:
    table = read_table(dataset.candidates, DEV_POOL)
    rows, lists = table["query"].to_numpy(), Lists.from_arrow(table["candidates"])
    texts = read_rows(dataset.queries, _QUERY, rows.tolist())
    wanted, places = np.unique(lists.values, return_inverse=True)
    passages = [
        text for _, part in chosen(Path(dataset.corpus), wanted, ("title", "text")) for text in passage_texts(part)
    ]
    if len(passages) < len(wanted):
        raise UserError(f"{dataset.candidates} names passages that {dataset.corpus} lacks; delete it and make it anew.")
    queries = [texts[row]["query"] for row in rows.tolist()]
    return DevSet(name, dataset, rows, queries, passages, Lists(places, lists.starts))


def score(encoder: Encoder, prompts: TaskPrompts, sets: Iterable[DevSet], temperature: float) -> pa.Table:
    r"""Dev loss and reciprocal rank of each query by one model.

    The loss of a query :math:`q` with the positive :math:`d_0` among its candidates :math:`d_0 \dots d_m` is
    :math:`-\log(\exp(s(q, d_0)/\tau) / \sum_j \exp(s(q, d_j)/\tau))`, the rank that of the positive by falling
    :math:`s`; candidates that score the same stand before it.

    Args:
        encoder: The model; it is left reading as the last set is read.
        prompts: What stands before the texts of each dataset.
        sets: What is asked.
        temperature: Tau.

    Returns:
        Table of schema ``DEV_SCORES``, in the order of the sets.

    Raises:
        UserError: when an embedding is not finite.
    """
    tables = [pa.table({name: [] for name in DEV_SCORES.names}, schema=DEV_SCORES)]
    for one in sets:
        encoder.read_as(one.name, one.prompted, prompts)
        losses, ranks = _scored(
            encoder.queries(one.queries), encoder.passages(one.passages), one.candidates, temperature
        )
        columns = {"query": one.rows, "loss": losses, "reciprocal_rank": ranks}
        tables.append(pa.table({"dataset": [one.name] * len(losses), **columns}, schema=DEV_SCORES))
    return pa.concat_tables(tables)


def _scored(
    queries: np.ndarray, passages: np.ndarray, candidates: Lists, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """Loss and reciprocal rank of each query, float64 of shape (n,), of embeddings of unit length."""
    losses, ranks = np.empty(len(queries)), np.empty(len(queries))
    for place, query in enumerate(queries):
        cosines = (passages[candidates[place]] @ query).astype(np.float64)
        logits = cosines / temperature
        losses[place] = np.logaddexp.reduce(logits) - logits[0]
        ranks[place] = 1 / np.count_nonzero(cosines >= cosines[0])
    return losses, ranks


def means(table: pa.Table) -> dict[str, tuple[float, float]]:
    """Mean loss and mean reciprocal rank of each dataset, in the order of the table."""
    grouped = (
        pl.DataFrame(table).group_by("dataset", maintain_order=True).agg(pl.mean("loss"), pl.mean("reciprocal_rank"))
    )
    return {name: (loss, rank) for name, loss, rank in grouped.iter_rows()}

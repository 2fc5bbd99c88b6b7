"""Evaluation: how well a retriever finds the positives of benchmark datasets, query by query.

    evaluate(model, "beir", {"scifact": EvalDataset(...)}, encoding, scores, query_scores)

The search and the metrics are mteb's and trec_eval's; this module reads the datasets, gives every
text the form it had in training, and writes two files:

- ``scores``: ``{"benchmark": ..., "datasets": {name: {ndcg_at_10, mrr_at_10, recall_at_100, queries,
  passages}}, "mean": {ndcg_at_10, mrr_at_10, recall_at_100}}``; a dataset's figure is the mean over
  its queries, ``mean`` is unweighted over datasets.
- ``query_scores``: Parquet, schema ``QUERY_SCORES``, a row a query.
"""

import logging
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tdro.artifacts import CORPUS, METRICS, QUERIES, QUERY_SCORES, read_table, write_json, write_table
from tdro.config import Encoding
from tdro.errors import UserError
from tdro.jobs import EvalDataset
from tdro.models import load_trained

log = logging.getLogger(__name__)


def evaluate(
    model: Path,
    benchmark: str,
    datasets: Mapping[str, EvalDataset],
    encoding: Encoding,
    scores: Path,
    query_scores: Path,
) -> None:
    """Evaluate the retriever in folder ``model`` on ``datasets``; write ``query_scores``, then ``scores``.

    Queries carry their dataset's instruction, passages only where it is symmetric. How many tokens
    of a text are read is saved with the model; ``encoding`` gives precision and batch size.

    Args:
        model: A SentenceTransformer folder.
        benchmark: Name of the benchmark.
        datasets: Its datasets by name.
        encoding: Precision and batch size of the forward pass.
        scores: JSON to write.
        query_scores: Parquet to write.

    Raises:
        UserError: for a model that cannot be loaded, or a dataset that is missing, empty or inconsistent.
    """
    # mteb makes its cache folder as soon as it is imported; ours goes unused and need not be in the home folder.
    os.environ.setdefault("MTEB_CACHE", tempfile.gettempdir())
    retriever = load_trained(Path(model))
    tables, figures = [], {}
    for name, dataset in datasets.items():
        started = time.monotonic()
        table, figures[name] = _evaluate_one(retriever, name, dataset, encoding)
        tables.append(table)
        _report(benchmark, name, figures[name], time.monotonic() - started)
    mean = {metric: sum(f[metric] for f in figures.values()) / len(figures) for metric in METRICS}
    write_table(query_scores, pa.concat_tables(tables), QUERY_SCORES)
    write_json(scores, {"benchmark": benchmark, "datasets": figures, "mean": mean})


def _evaluate_one(
    retriever, name: str, dataset: EvalDataset, encoding: Encoding
) -> tuple[pa.Table, dict[str, float | int]]:
    import mteb

    from tdro.localtask import LocalRetrieval, PromptedEncoder

    corpus, queries = _read(Path(dataset.folder))
    task = LocalRetrieval(name, dataset.language, corpus, queries)
    mteb.evaluate(
        PromptedEncoder(retriever, dataset.instruction[0], dataset.symmetric, encoding.precision),
        task,
        co2_tracker=False,
        cache=None,
        encode_kwargs={"batch_size": encoding.batch_size, "show_progress_bar": False},
        show_progress_bar=False,
    )
    names = pa.array([name] * len(queries), pa.string())
    table = pa.table({"dataset": names, "query_id": queries["query_id"], **task.query_scores}, schema=QUERY_SCORES)
    figures = {metric: pc.mean(table[metric]).as_py() for metric in METRICS}
    return table, {**figures, "queries": len(queries), "passages": len(corpus)}


def _read(folder: Path) -> tuple[pa.Table, pa.Table]:
    """Corpus and queries of a dataset; queries without a positive cannot be scored and are left out."""
    corpus = read_table(folder / "corpus.parquet", CORPUS)
    queries = read_table(folder / "queries.parquet", QUERIES)
    if not len(corpus):
        raise UserError(f"{folder / 'corpus.parquet'} holds no passage; evaluation needs at least one.")
    queries = queries.filter(pc.greater(pc.fill_null(pc.list_value_length(queries["positives"]), 0), 0))
    if not len(queries):
        raise UserError(f"{folder / 'queries.parquet'} holds no query with a positive; evaluation needs at least one.")
    rows = pc.min_max(pc.list_flatten(queries["positives"])).as_py()
    if rows["min"] < 0 or rows["max"] >= len(corpus):
        wrong = rows["min"] if rows["min"] < 0 else rows["max"]
        raise UserError(
            f"{folder / 'queries.parquet'} names passage {wrong} as a positive, but corpus.parquet beside it "
            f"has rows 0 to {len(corpus) - 1}; prepare both files again."
        )
    return corpus, queries


def _report(benchmark: str, name: str, figures: Mapping[str, float | int], seconds: float) -> None:
    log.info(
        "%s/%s: nDCG@10 %.4f, MRR@10 %.4f, recall@100 %.4f; %d queries, %d passages, %.1f s",
        *(benchmark, name, *(figures[metric] for metric in METRICS), figures["queries"], figures["passages"], seconds),
    )

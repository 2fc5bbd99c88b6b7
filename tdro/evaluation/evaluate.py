"""Evaluation: how well a retriever finds the relevant passages of test sets, query by query.

    evaluate(retriever, {"scifact": {"scifact": EvalDataset(...)}}, encoding, output)

This module reads the test sets, has the retriever rank their passages, and writes for each benchmark:

- ``scores``: ``{"benchmark": ..., "datasets": {name: {metric: mean over its queries, ..., queries, passages}}}``;
- ``query_scores``: Parquet, schema ``QUERY_SCORES``, a row a query, with the passages that it found first;
- where scores of cut embeddings are asked for: in both, behind the others, each metric at each dimension
  (``ndcg_at_10@256``), and in the JSON ``dimension``, that of the whole embeddings;
- where the corpus is a sample, in the JSON ``sampled_from``, passages of the whole one;
- where asked for, ``runs``: a folder with ``{dataset}.trec``, the ranking itself in TREC's format.

:func:`tdro.artifacts.layout.evaluation_files` names them.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tdro.artifacts.files import read_counts, write_json, write_table
from tdro.artifacts.layout import EvaluationFiles, evaluation_files
from tdro.artifacts.schemas import FIRST, METRICS, WHOLE_CORPUS, at_dimension, with_dimensions
from tdro.config.commands import EvalDataset, Retriever
from tdro.config.models import Encoding
from tdro.data.corpora import own_passages, passages
from tdro.errors import UserError
from tdro.evaluation.costs import Cost, Stopwatch
from tdro.evaluation.metrics import RANKED, answer_scores, relevance_scores
from tdro.evaluation.runs import write_run
from tdro.evaluation.topics import Topics, read_topics
from tdro.retrieval.rankings import read_rankings
from tdro.retrieval.retrievers import Rank, open_retriever

log = logging.getLogger(__name__)

# Passages of each query that stand beside its scores, for people to look at.
_SHOWN = 3

T = TypeVar("T")


def evaluate(
    retriever: Retriever | Path,
    benchmarks: Mapping[str, Mapping[str, EvalDataset]],
    encoding: Encoding,
    output: Path,
    *,
    runs: bool = False,
    fetched: Path | None = None,
    dimensions: Sequence[int] = (),
    costs: Path | None = None,
) -> None:
    """Evaluate a retriever, loaded once, on every benchmark; write the rankings, then query scores, then scores.

    A passage that is the query itself (as in ArguAna and Quora) and is not judged relevant counts neither for nor
    against.

    All test sets are read before the retriever is loaded. A benchmark that fails after that does not keep the others
    from being evaluated.

    Args:
        retriever: Folder of a trained retriever, or one that needs no training (``tdro.config.commands.Retriever``).
        benchmarks: Test sets by name, of each benchmark, for messages and files.
        encoding: Precision and batch size of the forward pass; how a base model reads texts.
        output: Folder to write.
        runs: Whether the rankings are kept.
        fetched: Manifest of an untrained model, fetched ahead.
        dimensions: Embeddings are also scored by so many of their first numbers alone.
        costs: Folder to write what each benchmark took to; None: nobody asks.

    Raises:
        UserError: for a model that cannot be loaded, or a test set that is missing, empty or inconsistent; of several
            benchmarks that fail, a line each.
    """
    read, wrong = _each(benchmarks, lambda benchmark: read_topics(benchmarks[benchmark]))
    _refuse(wrong, benchmarks)
    rank = _ranks(benchmarks, lambda: open_retriever(retriever, encoding, fetched, dimensions))

    tokens = rank.tokens if rank else lambda: None
    watch = Stopwatch(embeds=tokens() is not None)

    def one(benchmark: str) -> None:
        files, before = evaluation_files(output, benchmark), tokens()
        watch.lap()
        _evaluate_benchmark(rank, benchmark, benchmarks[benchmark], read[benchmark], files, runs, dimensions)
        if costs:
            of_it = None if before is None else (tokens() or 0) - before
            _cost(benchmarks[benchmark], read[benchmark], watch, of_it).write(costs / f"{benchmark}.json")

    done, wrong = _each(benchmarks, one)
    if done and wrong:
        log.warning("evaluated all the same: %s", ", ".join(done))
    _refuse(wrong, benchmarks)


def _cost(
    datasets: Mapping[str, EvalDataset], asked: Mapping[str, Topics], watch: Stopwatch, tokens: int | None
) -> Cost:
    """What a benchmark took. What was found ahead is not read here."""
    seconds, joules = watch.lap()
    here = [name for name, dataset in datasets.items() if not dataset.rankings]
    queries = sum(len(asked[name].ids) for name in here)
    read = sum(passages(Path(datasets[name].corpus)) for name in here)
    return Cost(list(datasets), seconds, watch.device, watch.gpus, queries, read, tokens, *joules)


def _ranks(benchmarks: Mapping[str, Mapping[str, EvalDataset]], load: Callable[[], Rank]) -> Rank | None:
    """The retriever; None where the rankings of all test sets are there, so that none is needed."""
    searched = all(dataset.rankings for datasets in benchmarks.values() for dataset in datasets.values())
    return None if searched else load()


def _each(names: Iterable[str], work: Callable[[str], T]) -> tuple[dict[str, T], dict[str, UserError]]:
    """What ``work`` gives for each name, and what was wrong with the others."""
    done, wrong = {}, {}
    for name in names:
        try:
            done[name] = work(name)
        except UserError as error:
            wrong[name] = error
    return done, wrong


def _refuse(wrong: Mapping[str, UserError], benchmarks: Mapping) -> None:
    """Raises UserError: the sentences, each with its benchmark where there are several."""
    if wrong and len(benchmarks) == 1:
        raise next(iter(wrong.values()))
    if wrong:
        raise UserError("\n".join(f"benchmark {name}: {error}" for name, error in wrong.items()))


def _evaluate_benchmark(
    rank: Rank | None,
    benchmark: str,
    datasets: Mapping[str, EvalDataset],
    asked: Mapping[str, Topics],
    files: EvaluationFiles,
    runs: bool,
    dimensions: Sequence[int],
) -> None:
    """Evaluate the test sets of one benchmark, and write its files."""
    tables, figures = [], {}
    for name, dataset in datasets.items():
        started = time.monotonic()
        table, dimension = _evaluate_one(rank, name, dataset, asked[name], Path(files.runs) if runs else None)
        figures[name] = _figures(table, dataset)
        tables.append(table)
        _report(benchmark, name, figures[name], time.monotonic() - started)
    _warn(benchmark, dimensions, dimension)
    whole = {"dimension": dimension} if dimensions and dimension else {}
    write_table(Path(files.query_scores), pa.concat_tables(tables), tables[0].schema)
    write_json(Path(files.scores), {"benchmark": benchmark, **whole, "datasets": figures})


def _evaluate_one(
    rank: Rank | None, name: str, dataset: EvalDataset, asked: Topics, runs: Path | None
) -> tuple[pa.Table, int | None]:
    """Scores of each query of a test set, and the dimension of the whole embeddings, if there are any."""
    corpus = Path(dataset.corpus)
    own = own_passages(corpus, asked.ids, asked.texts, dataset.max_words)
    own = {place: row for place, row in own.items() if row not in asked.positives[place]}
    if own:
        log.info("%s: %d queries are passages themselves, which their rankings leave out", name, len(own))
    if dataset.rankings:
        whole, *cut = read_rankings([Path(dataset.rankings)], name, asked.ids, RANKED)
    else:
        assert rank is not None
        whole, *cut = rank.rank(name, dataset, asked.texts, RANKED)
    rows, values = without_themselves(whole.rows, whole.scores, own)
    if runs:
        write_run(runs / f"{name}.trec", corpus, asked.ids, rows, values)
    columns: dict[str, Any] = {**_metrics(rows, asked, corpus), FIRST: _found(rows[:, :_SHOWN])}
    for ranking in cut:
        scored = _metrics(without_themselves(ranking.rows, ranking.scores, own)[0], asked, corpus)
        columns |= {at_dimension(metric, ranking.dimension): values for metric, values in scored.items()}
    schema = with_dimensions(ranking.dimension for ranking in cut)
    columns |= {"dataset": [name] * len(asked.ids), "query_id": asked.ids}
    return pa.table(columns, schema=schema), whole.dimension


def _found(rows: np.ndarray) -> list[list[int]]:
    """Rows of each ranking, without the places that nothing was found for (-1)."""
    return [[row for row in ranking if row >= 0] for ranking in rows.tolist()]


def _metrics(rows: np.ndarray, asked: Topics, corpus: Path) -> dict[str, list[float | None]]:
    """Every metric of each query; None for those that the test set does not have."""
    if asked.answers is None:
        scored = relevance_scores(rows, asked.positives, asked.grades)
    else:
        scored = answer_scores(rows, asked.answers, corpus)
    return {metric: scored.get(metric, [None] * len(asked.ids)) for metric in METRICS}


def without_themselves(rows: np.ndarray, scores: np.ndarray, own: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rankings one passage shorter: without the passage that a query is, else without the last.

    Args:
        rows: Shape (queries, depth + 1).
        scores: The same shape.
        own: Row of the passage that a query is, by the query's place.
    """
    kept = np.ones(rows.shape, dtype=bool)
    kept[:, -1] = False
    for place, row in own.items():
        if (found := np.flatnonzero(rows[place] == row)).size:
            kept[place, found[0]], kept[place, -1] = False, found[0] != rows.shape[1] - 1
    shape = (len(rows), rows.shape[1] - 1)
    return rows[kept].reshape(shape), scores[kept].reshape(shape)


def _figures(table: pa.Table, dataset: EvalDataset) -> dict[str, float | int]:
    """Means over the queries, of the metrics that the test set has."""
    metrics = [name for name in table.column_names if name not in ("dataset", "query_id", FIRST)]
    means = {metric: pc.mean(table[metric]).as_py() for metric in metrics if not table[metric].null_count}
    corpus = Path(dataset.corpus)
    whole = read_counts(corpus).get(WHOLE_CORPUS)
    of_sample = {"sampled_from": whole} if whole else {}
    return {**means, "queries": len(table), "passages": passages(corpus), **of_sample}


def _warn(benchmark: str, dimensions: Sequence[int], dimension: int | None) -> None:
    """Say which dimensions embeddings do not have; words have none at all."""
    missing = [str(size) for size in dimensions if dimension and size > dimension]
    if missing:
        log.warning(
            "%s: the embeddings have %d numbers; no scores for %s of `evaluation.dimensions`",
            *(benchmark, dimension, ", ".join(missing)),
        )


def _report(benchmark: str, name: str, figures: Mapping[str, float | int], seconds: float) -> None:
    counted = ("queries", "passages", "sampled_from")
    means = ", ".join(f"{metric} {figures[metric]:.4f}" for metric in figures if metric not in counted)
    of = f" of {figures['sampled_from']}" if "sampled_from" in figures else ""
    log.info(
        "%s/%s: %s; %d queries, %d%s passages, %.1f s",
        *(benchmark, name, means, figures["queries"], figures["passages"], of, seconds),
    )

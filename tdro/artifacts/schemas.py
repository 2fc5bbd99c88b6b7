"""The edges of the DAG: one Arrow schema a Parquet file."""

from collections.abc import Iterable

import pyarrow as pa

_ROWS = pa.list_(pa.int32())

#: ``corpus.parquet``: each passage once. Other files name a passage by its row in this one.
CORPUS = pa.schema([("passage_id", pa.string()), ("title", pa.string()), ("text", pa.string())])

#: ``queries.parquet``: each query once. ``positives`` and ``negatives`` are rows of the corpus;
#: ``negatives`` holds what the source provides and is empty where they are to be mined.
QUERIES = pa.schema([("query_id", pa.string()), ("query", pa.string()), ("positives", _ROWS), ("negatives", _ROWS)])

#: ``queries.parquet`` of a benchmark in its own format: the same, with what decides whether a passage is relevant.
#: ``grades`` are those of the positives, in their order, and behind them those of relevant passages that the corpus
#: lacks, which belong to the ideal ranking; ``answers`` are strings that a relevant passage contains, in the place of
#: positives. The one or the other is null.
TEST_QUERIES = pa.schema([*QUERIES, ("grades", pa.list_(pa.int32())), ("answers", pa.list_(pa.string()))])

#: ``candidates.parquet`` and ``rescored.parquet``: the passages nearest to a query by falling score, its
#: positives among them; ``positive_scores`` are those of its positives, in their order.
CANDIDATES = pa.schema(
    [
        ("query", pa.int32()),
        ("candidates", _ROWS),
        ("scores", pa.list_(pa.float32())),
        ("positive_scores", pa.list_(pa.float32())),
    ]
)

_SCORES = pa.list_(pa.float32())

#: ``negatives.parquet``: ``query`` is a row of the queries, ``scores`` those of the candidates, of the miner or of the
#: cross-encoder; a score is null where a random passage filled a gap. ``positive_scores`` are those of its positives.
NEGATIVES = pa.schema([("query", pa.int32()), ("negatives", _ROWS), ("scores", _SCORES), ("positive_scores", _SCORES)])

#: ``train.parquet``: the rows a plan draws from.
TRAIN = pa.schema([("query", pa.int32()), ("positives", _ROWS), ("negatives", _ROWS)])

#: ``train.parquet`` where a training distils: with a score for each positive and negative, in their order. A score is
#: null where a random passage filled a gap; the whole list is where the source provides the negatives.
SCORED_TRAIN = pa.schema([*TRAIN, ("positive_scores", _SCORES), ("negative_scores", _SCORES)])

#: ``duplicates.parquet``: the training queries removed, and the query of which source each matched.
DUPLICATES = pa.schema(
    [
        ("query", pa.int32()),
        ("text", pa.string()),
        ("source", pa.string()),
        ("matched", pa.string()),
        ("distance", pa.int8()),
    ]
)

#: ``plan.parquet``: the rows of every batch, in order. ``query`` is a row of the task's queries,
#: ``positive`` and ``negatives`` rows of its corpus.
PLAN = pa.schema(
    [
        ("step", pa.int32()),
        ("slot", pa.int32()),
        ("task", pa.string()),
        ("query", pa.int32()),
        ("positive", pa.int32()),
        ("negatives", _ROWS),
    ]
)

#: ``reference.parquet``: the frozen reference model's loss on each row of a mixed plan.
REFERENCE = pa.schema([("step", pa.int32()), ("slot", pa.int32()), ("task", pa.string()), ("loss", pa.float32())])

#: ``trajectory.parquet``: one row a step and task. ``rows`` counts the task's rows in the step;
#: losses are their means (null when there are none); ``measurement`` is averaged over the
#: accumulation window and ``gradient`` is the same after clipping; ``weight``, ``mean`` and ``ema``
#: are those after the step's update; ``size`` is the number of training rows of the task.
TRAJECTORY = pa.schema(
    [
        ("step", pa.int32()),
        ("task", pa.string()),
        ("size", pa.int64()),
        ("rows", pa.int32()),
        ("proxy_loss", pa.float64()),
        ("reference_loss", pa.float64()),
        ("measurement", pa.float64()),
        ("gradient", pa.float64()),
        ("effective_rows", pa.float64()),
        ("weight", pa.float64()),
        ("mean", pa.float64()),
        ("ema", pa.float64()),
    ]
)

#: ``heaviest_rows.parquet``: the rows of each task that moved its weight most, the heaviest first. ``query`` is a row
#: of the task's queries, ``positive`` one of its corpus; ``draws`` counts how often the plan has them; ``share`` is
#: their part of all that the task's rows added to its clipped measurement, without regard to sign; ``rows`` counts the
#: task's distinct rows in the plan.
HEAVIEST = pa.schema(
    [
        ("task", pa.string()),
        ("query", pa.int32()),
        ("positive", pa.int32()),
        ("draws", pa.int32()),
        ("reference_loss", pa.float64()),
        ("share", pa.float64()),
        ("rows", pa.int64()),
    ]
)

#: Metrics of a test set with relevance judgements, and of one with answer strings; the first of each is its main one.
RELEVANCE_METRICS = ("ndcg_at_10", "mrr_at_10", "recall_at_100")
ANSWER_METRICS = ("acc_at_100", "acc_at_20", "acc_at_10")
METRICS = RELEVANCE_METRICS + ANSWER_METRICS

#: ``eval/{dataset}.queries.parquet``: the metrics of each query, so that differences can be tested.
#: A test set has one of the two kinds of metrics; the other kind is null.
QUERY_SCORES = pa.schema(
    [("dataset", pa.string()), ("query_id", pa.string()), *((metric, pa.float64()) for metric in METRICS)]
)


def at_dimension(metric: str, dimension: int) -> str:
    """Name of a metric of embeddings that are cut to their first numbers: ``ndcg_at_10@256``."""
    return f"{metric}@{dimension}"


def with_dimensions(dimensions: Iterable[int]) -> pa.Schema:
    """``QUERY_SCORES``, and behind it the same metrics at each of some dimensions."""
    cut = [(at_dimension(metric, size), pa.float64()) for size in dimensions for metric in METRICS]
    return pa.schema([*QUERY_SCORES, *cut])


#: A leak: which text of the dataset (``kind``: query or passage) was found in which text of a training row (``side``:
#: query or positive) of which task, and the share of its groups of characters that are there.
LEAK = pa.struct(
    [
        ("kind", pa.string()),
        ("side", pa.string()),
        ("task", pa.string()),
        ("row", pa.int32()),
        ("share", pa.float64()),
        ("evaluation", pa.string()),
        ("training", pa.string()),
    ]
)

#: ``leaks.parquet``: how many of a dataset's queries and relevant passages a training query, or the positive of a
#: training query, of any task contains; with some examples.
LEAKS = pa.schema(
    [
        ("dataset", pa.string()),
        ("queries", pa.int64()),
        ("passages", pa.int64()),
        ("query_in_query", pa.int64()),
        ("query_in_positive", pa.int64()),
        ("passage_in_query", pa.int64()),
        ("passage_in_positive", pa.int64()),
        ("examples", pa.list_(LEAK)),
    ]
)

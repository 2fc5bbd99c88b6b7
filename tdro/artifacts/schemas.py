"""The edges of the DAG: one Arrow schema a Parquet file, with what its columns say (``says``).

docs/artifacts.md has all of it as tables (``make schema``). What is said of a column is not written into the files.
"""

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa


class Column(NamedTuple):
    """A column of a Parquet file.

    Attributes:
        name: Its name.
        type: Of its cells.
        says: What they hold.
        null: Whether a cell may be empty.
    """

    name: str
    type: pa.DataType
    says: str
    null: bool = False


class Edge(NamedTuple):
    """A Parquet file between two rules.

    Attributes:
        file: Its path; ``RUN`` is ``results/{model}/seed{seed}``.
        rules: The rule that writes it, an arrow, and those that read it.
        says: What a row is.
        columns: Its columns, in their order.
    """

    file: str
    rules: str
    says: str
    columns: list[Column]


#: All edges, in the order of the DAG.
EDGES: list[Edge] = []
#: Names of the columns in which a cell may be empty.
NULLABLE: set[str] = set()


def _edge(file: str, rules: str, columns: list[Column], *, says: str) -> pa.Schema:
    EDGES.append(Edge(file, rules, says, columns))
    NULLABLE.update(column.name for column in columns if column.null)
    return pa.schema([(column.name, column.type) for column in columns])


_ROWS = pa.list_(pa.int32())
_SCORES = pa.list_(pa.float32())

CORPUS = _edge(
    "results/data/{task}/corpus.parquet, results/data/{task}/heldout/corpus.parquet, "
    "results/benchmarks/{benchmark}/corpus.parquet",
    "prepare_task, prepare_benchmark, prepare_corpus -> encode, search, rescore, select, train, reference, optimize; "
    "evaluate",
    [
        Column("passage_id", pa.string(), says="the source's identifier, or one that was made"),
        Column("title", pa.string(), says="a retriever reads title, a space, text"),
        Column("text", pa.string(), says="the passage"),
    ],
    says="Each passage once. All other files name a passage by its row in this one.",
)

#: Counted in the metadata of a sampled corpus: passages of the whole one.
WHOLE_CORPUS = "passages of the whole corpus"
SAMPLED_CORPUS = _edge(
    "results/benchmarks/{corpus}@sample/corpus.parquet",
    "sample_corpus -> those that evaluate, where evaluation.sample is set",
    [
        *(Column(field.name, field.type, says="as in the whole corpus") for field in CORPUS),
        Column("whole_row", pa.int32(), says="row of the whole corpus, rising; the positives of queries name these"),
    ],
    says="Passages that a preview searches.",
)

_QUERIES = [
    Column("query_id", pa.string(), says="the source's identifier, or one that was made"),
    Column("query", pa.string(), says="the text, without the instruction"),
    Column("positives", _ROWS, says="rows of the corpus beside it; of an evaluation set the relevant passages"),
    Column("negatives", _ROWS, says="rows of the corpus, as the source provides them; empty where they are mined"),
]
QUERIES = _edge(
    "queries.parquet beside each corpus.parquet",
    "prepare_task, prepare_benchmark -> those of the corpus, dedup, leaks; report (counts)",
    _QUERIES,
    says="Each query once.",
)
DEV_QUERIES = _edge(
    "results/data/{task}/dev/queries.parquet",
    "prepare_task -> dedup",
    [*_QUERIES, Column("row", pa.int32(), says="row of the task's queries.parquet, where the query stands as well")],
    says="The queries of the task that choices are made on, in the order of their rows; none without dev in the "
    "registry. Positives and negatives are rows of the task's corpus.parquet.",
)
_TEST_QUERIES = [
    Column(
        "grades",
        _ROWS,
        says="of the positives; behind them those of relevant passages outside the corpus; or null",
        null=True,
    ),
    Column(
        "answers",
        pa.list_(pa.string()),
        says="strings of a relevant passage, in the place of positives; or null",
        null=True,
    ),
]
TEST_QUERIES = _edge(
    "results/benchmarks/{benchmark}/queries.parquet of a benchmark in its own format",
    "prepare_queries -> evaluate, dedup, leaks",
    [*_QUERIES, *_TEST_QUERIES],
    says="Each query once, with what decides whether a passage is relevant. Positives are rows of the corpus that the "
    "benchmark names: its own, that of all its parts, or another benchmark's. The grades behind those of the positives "
    "belong to the ideal ranking. Grades or answers are null.",
)

TASK_MEANS = _edge(
    "results/task_means.parquet where chameleon is a mixture",
    "task_means -> derive",
    [
        Column("task", pa.string(), says="name of a mined task"),
        Column("mean", pa.list_(pa.float64()), says="half the mean of its queries' embeddings, half of its passages'"),
    ],
    says="The miner's mean embedding of each task.",
)

CANDIDATES = _edge(
    "results/data/{task}/candidates.parquet, and rescored.parquet where mining.rescore is set",
    "search -> rescore, select; rescore -> select",
    [
        Column("query", pa.int32(), says="row of the queries"),
        Column("candidates", _ROWS, says="rows of the corpus by falling score, positives among them"),
        Column("scores", _SCORES, says="inner products, or the cross-encoder's scores"),
        Column("positive_scores", _SCORES, says="scores of the query's positives, in their order"),
    ],
    says="The passages nearest to each query, in the order of the queries.",
)

NEGATIVES = _edge(
    "results/data/{task}/negatives.parquet",
    "select -> dedup; report (counts)",
    [
        Column("query", pa.int32(), says="row of the queries"),
        Column("negatives", _ROWS, says="rows of the corpus, by falling score"),
        Column("scores", _SCORES, says="those of the candidates; null where a random passage filled a gap"),
        Column("positive_scores", _SCORES, says="scores of the query's positives, in their order"),
    ],
    says="Mined hard negatives, a row a query.",
)

_TRAIN = [
    Column("query", pa.int32(), says="row of the queries"),
    Column("positives", _ROWS, says="rows of the corpus"),
    Column("negatives", _ROWS, says="rows of the corpus"),
]
TRAIN = _edge(
    "results/data/{task}/train.parquet",
    "dedup -> uniform_weights, plan, plan_tdro, leaks; report (counts)",
    _TRAIN,
    says="The rows that a plan draws from.",
)
SCORED_TRAIN = _edge(
    "results/data/{task}/train.parquet where training.distill is set",
    "dedup -> the same and train",
    [
        *_TRAIN,
        Column("positive_scores", _SCORES, says="the cross-encoder's, in the order of the positives", null=True),
        Column("negative_scores", _SCORES, says="in the order of the negatives", null=True),
    ],
    says="The same with a score for each passage: null where a random passage filled a gap, and the whole list where "
    "the source provides the negatives.",
)

DEV_ROWS = _edge(
    "results/data/{task}/dev.parquet",
    "dedup -> dev_pool; plan_tdro where tdro.rows is dev",
    _TRAIN,
    says="The same of the task's dev queries, which never stand in train.parquet; those that nearly equal an "
    "evaluation query are left out.",
)

DUPLICATES = _edge(
    "results/data/{task}/duplicates.parquet",
    "dedup -> report",
    [
        Column("query", pa.int32(), says="row of the training query"),
        Column("text", pa.string(), says="its text"),
        Column(
            "source",
            pa.string(),
            says="the evaluation dataset, the file of dedup.queries, the dev queries of a task as TASK (dev), or "
            "(itself): the task",
        ),
        Column("matched", pa.string(), says="the query of the source that is too near"),
        Column("distance", pa.int8(), says="bits between the two SimHashes"),
    ],
    says="Training queries that were removed.",
)

PLAN = _edge(
    "RUN/{mixture}/plan.parquet (one task a step), RUN/tdro/plan.parquet (tasks mixed within every step)",
    "plan -> train; plan_tdro -> reference, optimize",
    [
        Column("step", pa.int32(), says="the batch, from 0; the file is in the order of step and slot"),
        Column("slot", pa.int32(), says="place in the batch"),
        Column("task", pa.string(), says="name of the task"),
        Column("query", pa.int32(), says="row of the task's queries"),
        Column("positive", pa.int32(), says="row of its corpus"),
        Column("negatives", _ROWS, says="rows of its corpus, as many as the training reads"),
    ],
    says="The rows of every batch.",
)

REFERENCE = _edge(
    "RUN/tdro/reference.parquet",
    "reference -> optimize",
    [
        Column("step", pa.int32(), says="as in the plan, in its order"),
        Column("slot", pa.int32(), says="as in the plan"),
        Column("task", pa.string(), says="as in the plan"),
        Column("loss", pa.float32(), says="the frozen reference model's loss of the row"),
    ],
    says="What the reference model makes of each row of a mixed plan.",
)

TRAJECTORY = _edge(
    "RUN/{course}/trajectory.parquet; {course} is tdro, or tdro-doremi and tdro-MEASURE-STEP of a sweep",
    "optimize -> derive, report",
    [
        Column("step", pa.int32(), says="from 0"),
        Column("task", pa.string(), says="name of the task"),
        Column("size", pa.int64(), says="training rows of the task"),
        Column("rows", pa.int32(), says="rows of the task in this step"),
        Column("proxy_loss", pa.float64(), says="mean over those rows; null when there are none", null=True),
        Column("reference_loss", pa.float64(), says="mean over those rows; null when there are none", null=True),
        Column("measurement", pa.float64(), says="the task's, averaged over the accumulation window"),
        Column("gradient", pa.float64(), says="the same after clipping"),
        Column("effective_rows", pa.float64(), says="how many of the rows carry the measurement (algorithm.md)"),
        Column("weight", pa.float64(), says="after the step's update: mixture curr"),
        Column("mean", pa.float64(), says="mean of the weights so far: mixture mean"),
        Column("ema", pa.float64(), says="their exponential moving average: mixture ema"),
    ],
    says="One row a step and task. All courses read the plan and the reference losses of tdro.",
)

HEAVIEST = _edge(
    "RUN/{course}/heaviest_rows.parquet",
    "optimize -> report",
    [
        Column("task", pa.string(), says="name of the task"),
        Column("query", pa.int32(), says="row of the task's queries"),
        Column("positive", pa.int32(), says="row of its corpus"),
        Column("draws", pa.int32(), says="how often the plan has the two"),
        Column("reference_loss", pa.float64(), says="mean over those"),
        Column("share", pa.float64(), says="of what the task's rows added to its clipped measurement, signs apart"),
        Column("rows", pa.int64(), says="distinct rows of the task in the plan"),
    ],
    says="The ten rows of each task that moved its weight most, the heaviest first.",
)

#: Metrics of a test set with relevance judgements, and of one with answer strings; the first of each is its main one.
RELEVANCE_METRICS = ("ndcg_at_10", "mrr_at_10", "recall_at_100")
ANSWER_METRICS = ("acc_at_100", "acc_at_20", "acc_at_10")
METRICS = RELEVANCE_METRICS + ANSWER_METRICS

RANKINGS = _edge(
    "RUN/{mixture}/rankings/{corpus}/{part}.parquet, RUN/{mixture}/rankings/{corpus}.parquet, and the same in "
    "results/untrained/{name}/; temporary; {part} is such as 3of17",
    "search_corpus, search_corpus_untrained -> merge_rankings -> score, score_untrained, or evaluate, "
    "evaluate_untrained",
    [
        Column("dataset", pa.string(), says="a benchmark or a part of it that searches the corpus"),
        Column("dimension", pa.int32(), says="numbers of an embedding that decided"),
        Column(
            "query_id", pa.string(), says="that of queries.parquet, in its order, without queries that are not scored"
        ),
        Column("rows", _ROWS, says="rows of the corpus, the best 101; equal scores by row"),
        Column("scores", _SCORES, says="of these, inner products of unit vectors"),
    ],
    says="What a retriever finds in a part of a large corpus, or in all of it, for the queries of all its test sets.",
)

#: The column of what a query found first.
FIRST = "first"
QUERY_SCORES = _edge(
    "RUN/{mixture}/eval/{benchmark}.queries.parquet, results/untrained/{name}/eval/{benchmark}.queries.parquet",
    "evaluate, evaluate_untrained, evaluate_bm25 -> report",
    [
        Column("dataset", pa.string(), says="a task, a benchmark or a part of it"),
        Column("query_id", pa.string(), says="that of queries.parquet"),
        *(Column(metric, pa.float64(), says="null in a test set of the other kind", null=True) for metric in METRICS),
        Column(FIRST, _ROWS, says="rows of the corpus that was searched, whole or sampled: the best three"),
    ],
    says="The metrics of each query, so that differences can be tested, and what was found first, so that they can be "
    "looked at. With evaluation.dimensions behind them the metrics of cut embeddings, such as ndcg_at_10@256.",
)


def at_dimension(metric: str, dimension: int) -> str:
    """Name of a metric of embeddings that are cut to their first numbers: ``ndcg_at_10@256``."""
    return f"{metric}@{dimension}"


def with_dimensions(dimensions: Iterable[int]) -> pa.Schema:
    """``QUERY_SCORES``, and behind it the same metrics at each of some dimensions."""
    cut = [(at_dimension(metric, size), pa.float64()) for size in dimensions for metric in METRICS]
    return pa.schema([*QUERY_SCORES, *cut])


DEV_POOL = _edge(
    "results/dev/{dataset}.parquet",
    "dev_pool -> dev_scores",
    [
        Column("query", pa.int32(), says="row of the dataset's queries"),
        Column(
            "candidates",
            _ROWS,
            says="rows of its corpus: the positive that is to be found, up to 7 own hard negatives, up to 255 passages "
            "of a pool that all its queries share; no known positive but the first",
        ),
    ],
    says="A dataset that choices are made on, a task or a benchmark: what each dev query is ranked among, the same for "
    "every model.",
)

_DEV_COLUMNS = [
    Column("dataset", pa.string(), says="a task, a benchmark or a part of it"),
    Column("query", pa.int32(), says="row of its queries"),
    Column("loss", pa.float64(), says="minus the log of the positive's share in the softmax over the candidates"),
    Column("reciprocal_rank", pa.float64(), says="1 / the positive's rank among them, behind those that tie with it"),
]
DEV_SCORES = _edge(
    "RUN/{mixture}/dev.parquet",
    "dev_scores -> prune, and whatever else chooses",
    _DEV_COLUMNS,
    says="What choices between retrievers are made on, a row a dev query. The report shows it beside what a law of "
    "merged experts foretells, where there is one, and nowhere else.",
)

EXPERT_SCORES = _edge(
    "RUN/experts/dev.parquet",
    "expert_scores -> fit_law, prune_candidates",
    [
        Column(
            "candidate",
            pa.string(),
            says="warmup; uniform, expert-TASK, without-TASK and proportional; ratio-N of those that are drawn",
        ),
        Column(
            "ratio",
            pa.list_(pa.struct([("task", pa.string()), ("weight", pa.float64())])),
            says="weight of each expert's change beside the warm-up, where it has one; empty for the warm-up itself",
        ),
        *_DEV_COLUMNS,
    ],
    says="What merged experts score, a row a candidate and dev query (docs/algorithm.md).",
)

_LEAK = pa.struct(
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

LEAKS = _edge(
    "results/leaks.parquet",
    "leaks -> report",
    [
        Column("dataset", pa.string(), says="an evaluated dataset, or a file of dedup.queries"),
        Column("queries", pa.int64(), says="its queries"),
        Column("passages", pa.int64(), says="its relevant passages"),
        Column("query_in_query", pa.int64(), says="its queries that a training query contains"),
        Column("query_in_positive", pa.int64(), says="its queries that the positive of a training row contains"),
        Column("passage_in_query", pa.int64(), says="its relevant passages that a training query contains"),
        Column("passage_in_positive", pa.int64(), says="the same of positives of training rows"),
        Column("examples", pa.list_(_LEAK), says="up to three, each with both texts"),
    ],
    says="What of each evaluated dataset stands in the training rows of any task. An example has its kind (query, "
    "passage), the side where it was found (query, positive), the task and the row of its queries or corpus, and the "
    "share of its groups of characters that are there.",
)

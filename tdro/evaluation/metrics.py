"""Metrics of a ranking, query by query.

With relevance judgements they are trec_eval's (through pytrec_eval): nDCG@10 with the grades as gains, the
reciprocal rank cut at 10, recall@100. With answers: whether any of the first 10, 20 or 100 passages contains one.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytrec_eval

from tdro.artifacts.schemas import ANSWER_METRICS
from tdro.data.corpora import chosen
from tdro.text.answers import contains, tokens
from tdro.text.strings import passage_texts

#: Passages a query that every metric is content with.
DEPTH = 100
#: Passages of a ranking: one more than is scored, as a query that is a passage itself leaves it.
RANKED = DEPTH + 1


def relevance_scores(
    ranked: np.ndarray, positives: Sequence[Sequence[int]], grades: Sequence[Sequence[int]]
) -> dict[str, list[float]]:
    """nDCG@10, MRR@10 and recall@100 of each query.

    Args:
        ranked: Rows of the corpus, best first, shape (queries, depth); -1 fills up what was not found.
        positives: The relevant rows of each query.
        grades: Their grades, above 0, and behind them those of relevant passages that no ranking can hold.

    Returns:
        The metrics of ``RELEVANCE_METRICS``, one float a query.
    """
    qrels = {
        f"q{query}": dict(zip(_names(rows, len(values)), map(int, values), strict=True))
        for query, (rows, values) in enumerate(zip(positives, grades, strict=True))
    }
    # Ranks stand for scores: trec_eval would order equal scores by name.
    results = {
        f"q{query}": {f"p{row}": float(-rank) for rank, row in enumerate(rows) if row >= 0}
        for query, rows in enumerate(ranked.tolist())
    }
    measured = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recip_rank", "recall.100"}).evaluate(results)
    by_query = [measured[f"q{query}"] for query in range(len(ranked))]
    return {
        "ndcg_at_10": [scores["ndcg_cut_10"] for scores in by_query],
        # 0.1 is rank 10; trec_eval itself does not cut the reciprocal rank.
        "mrr_at_10": [scores["recip_rank"] if scores["recip_rank"] >= 0.1 else 0.0 for scores in by_query],
        "recall_at_100": [scores["recall_100"] for scores in by_query],
    }


def _names(rows: Sequence[int], total: int) -> list[str]:
    """Names of ``total`` relevant passages, of which the corpus holds the first in ``rows``."""
    return [f"p{row}" for row in rows] + [f"missing{place}" for place in range(total - len(rows))]


def answer_scores(ranked: np.ndarray, answers: Sequence[Sequence[str]], corpus: Path) -> dict[str, list[float]]:
    """Acc@10, Acc@20 and Acc@100 of each query: 1 when one of the first passages contains an answer.

    The corpus is streamed once; a passage that several queries found is cut into tokens once.

    Args:
        ranked: As above.
        answers: Strings that count as answers, by query.
        corpus: The ``corpus.parquet`` that was searched.

    Returns:
        The metrics of ``ANSWER_METRICS``, one float a query.
    """
    first = np.full(len(ranked), np.inf)  # rank of the first passage with an answer
    wanted = [[tokens(answer) for answer in texts] for texts in answers]
    places, ranks = np.nonzero(ranked >= 0)
    rows = ranked[places, ranks]
    order = np.argsort(rows, kind="stable")
    places, ranks, rows = places[order], ranks[order], rows[order]
    for found, table in chosen(corpus, np.unique(rows), ("title", "text")):
        for row, text in zip(found.tolist(), passage_texts(table), strict=True):
            read = tokens(text)
            for at in range(*np.searchsorted(rows, [row, row + 1])):
                query, rank = places[at], ranks[at]
                if rank < first[query] and any(contains(read, answer) for answer in wanted[query]):
                    first[query] = rank
    return {metric: (first < int(metric.removeprefix("acc_at_"))).astype(float).tolist() for metric in ANSWER_METRICS}

"""Retrieval tasks of mteb made from local Parquet, and the encoder that reads their texts.

Importing this module imports mteb, which takes seconds: import it where it is needed.
"""

from collections.abc import Mapping, Sequence

import mteb
import numpy as np
import pyarrow as pa
import pytrec_eval
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.languages.iso_mappings import _hf_langs_to_iso_lang_scripts as language_scripts
from sentence_transformers import SentenceTransformer

from tdro.artifacts import METRICS
from tdro.errors import UserError
from tdro.precision import autocast
from tdro.texts import passage_texts, query_prompt

# Rank up to which passages are kept: that of recall@100, and one more for a passage that is the query itself.
_DEPTH = 101


class LocalRetrieval(AbsTaskRetrieval):
    """A retrieval task whose texts are already in memory; every positive has relevance 1.

    mteb sees rows instead of ids (``p000000007`` is passage 7, ``q000000003`` query 3), so that ids may
    repeat between corpus and queries and equal scores are ordered by row. A query that is itself a
    passage (same id, its text within the passage's) goes by the passage's name, and mteb leaves that
    passage out of its results.

    Args:
        name: Name of the dataset.
        language: ISO 639 codes, comma separated; ``eng-Latn`` stands in for those mteb does not know.
        corpus: Passages, schema ``CORPUS``.
        queries: Queries with at least one positive each, schema ``QUERIES``.

    Attributes:
        query_scores: After evaluation, per metric of ``METRICS`` one float a query, in the order of ``queries``.
    """

    k_values: Sequence[int] = (1, 10, 100, _DEPTH)
    ignore_identical_ids = True

    def __init__(self, name: str, language: str, corpus: pa.Table, queries: pa.Table) -> None:
        self.metadata = mteb.TaskMetadata(
            name=name,
            description="Local retrieval dataset",
            dataset={"path": name, "revision": "local"},
            type="Retrieval",
            category="t2t",
            eval_splits=["test"],
            eval_langs=language_scripts(language.split(",")) or ["eng-Latn"],
            main_score="ndcg_at_10",
        )
        super().__init__()
        passages, texts = passage_texts(corpus), queries["query"].to_pylist()
        self._names = _query_names(corpus, passages, queries)
        positives = queries["positives"].to_pylist()
        data = {
            "corpus": Dataset.from_dict({"id": [_passage(row) for row in range(len(passages))], "text": passages}),
            "queries": Dataset.from_dict({"id": self._names, "text": texts}),
            "relevant_docs": {
                name: {_passage(row): 1 for row in rows} for name, rows in zip(self._names, positives, strict=True)
            },
            "top_ranked": None,
        }
        self.dataset = {"default": {"test": data}}
        self.data_loaded = True
        self.query_scores: dict[str, list[float]] = {}

    def task_specific_scores(self, scores, qrels, results, hf_split, hf_subset) -> dict[str, float]:
        """Called by mteb with the retrieved passages: keep each query's metrics."""
        metrics = query_metrics(qrels, results)
        self.query_scores = {metric: [metrics[name][metric] for name in self._names] for metric in METRICS}
        return {}


def query_metrics(
    qrels: Mapping[str, Mapping[str, int]], results: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """nDCG@10, reciprocal rank cut at 10 and recall@100 of each query, as trec_eval computes them.

    Args:
        qrels: Relevance by query and passage.
        results: Score by query and passage; equal scores rank by descending passage name.

    Returns:
        The metrics of ``METRICS`` by query.
    """
    measured = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recip_rank", "recall.100"}).evaluate(results)
    return {
        query: {
            "ndcg_at_10": scores["ndcg_cut_10"],
            # 0.1 is rank 10; trec_eval itself does not cut the reciprocal rank.
            "mrr_at_10": scores["recip_rank"] if scores["recip_rank"] >= 0.1 else 0.0,
            "recall_at_100": scores["recall_100"],
        }
        for query, scores in measured.items()
    }


class PromptedEncoder(mteb.SentenceTransformerEncoderWrapper):
    """A retriever as mteb calls it: instructions before texts, and the training's precision.

    Args:
        model: The retriever. Prompts saved with it are forgotten: the dataset's instruction decides.
        instruction: What the searcher wants.
        symmetric: Whether passages carry the instruction as queries do.
        precision: ``bf16`` or ``fp32``, for the forward pass only.
    """

    def __init__(self, model: SentenceTransformer, instruction: str, symmetric: bool, precision: str) -> None:
        prompt = query_prompt(instruction)
        model.prompts, model.default_prompt_name = {}, None
        super().__init__(model, model_prompts={"query": prompt, "document": prompt if symmetric else ""})
        self.precision = precision

    def encode(self, *args, **kwargs) -> np.ndarray:
        """Embeddings (texts x dimension, float32).

        Raises:
            UserError: when an embedding is not finite.
        """
        with autocast(self.precision, self.model.device):
            embeddings = super().encode(*args, **kwargs)
        if not np.isfinite(embeddings).all():
            raise UserError(
                "the model gives embeddings that are not finite, as after a training that diverged; "
                "train it again with a smaller `learning_rate`."
            )
        return embeddings


def _passage(row: int) -> str:
    return f"p{row:09d}"


def _query_names(corpus: pa.Table, passages: list[str], queries: pa.Table) -> list[str]:
    """The name of each query for mteb: its row, or the passage that it is."""
    rows = {passage_id: row for row, passage_id in enumerate(corpus["passage_id"].to_pylist())}
    names = []
    pairs = zip(queries["query_id"].to_pylist(), queries["query"].to_pylist(), strict=True)
    for number, (query_id, text) in enumerate(pairs):
        row = rows.get(query_id)
        itself = row is not None and _says_the_same(text, passages[row])
        names.append(_passage(row) if itself else f"q{number:09d}")
    return names


def _says_the_same(query: str, passage: str) -> bool:
    """Whether one stands within the other: a passage has a title too, and may have been cut."""
    return query.strip() in passage or query.startswith(passage)

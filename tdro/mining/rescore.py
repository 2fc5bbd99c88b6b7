"""Candidates scored anew by a cross-encoder, which reads query and passage together.

    candidates.parquet, corpus.parquet, queries.parquet -> rescored.parquet (the same schema)

Each query keeps its best ``depth`` candidates that are no positives, and the positives among its
candidates; they stand in the order of the new scores. All its positives are scored, too.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from tdro.artifacts.beside import scratch
from tdro.artifacts.files import decoded, read_batches, table_writer
from tdro.artifacts.schemas import CANDIDATES, CORPUS, QUERIES
from tdro.config.mining import Rescore
from tdro.errors import UserError
from tdro.mining.candidates import CUT, carried_counts, check_candidates
from tdro.mining.queries import read_positives
from tdro.models.processes import device
from tdro.progress import Progress
from tdro.text.strings import passage_texts

#: Queries at a time.
QUERIES_AT_ONCE = 256


def rescore(
    candidates: Path, corpus: Path, queries: Path, output: Path, settings: Rescore, fetched: Path | None = None
) -> None:
    """Write the rescored candidates.

    Raises:
        UserError: when the files do not belong together or the cross-encoder cannot be had.
    """
    asked = read_positives(queries, corpus)
    check_candidates(candidates, asked)
    judge = _CrossEncoder(settings, fetched)
    counts = {"queries": len(asked), "pairs rescored": 0, **carried_counts(candidates)}
    # Of each query its candidates and about one positive.
    judge.cuts.told = Progress("scored", "pairs", len(asked) * (settings.depth + 1), estimated=True)
    with scratch(output.with_name(f"{output.name}-texts")) as folder, table_writer(output, CANDIDATES, counts) as file:
        texts = decoded(corpus, CORPUS, folder / "corpus.arrow").read_all()
        blocks = (
            read_batches(path, schema, QUERIES_AT_ONCE)
            for path, schema in ((candidates, CANDIDATES), (queries, QUERIES))
        )
        for table, block in zip(*blocks, strict=True):
            rows = _rescored(table, block, texts, judge, settings.depth, counts)
            file.append(rows)
            counts[CUT["pairs"]] = judge.cuts.cut.total()


class _CrossEncoder:
    """The model that scores pairs."""

    def __init__(self, settings: Rescore, fetched: Path | None = None) -> None:
        from sentence_transformers import CrossEncoder
        from torch.nn import Identity

        from tdro.models.cuts import CutCounter
        from tdro.models.load import check_padding, limit_length, tokenised
        from tdro.models.sources import resolve
        from tdro.models.weights import check_whole, loading

        self.settings = settings
        self.activation = Identity() if settings.activation == "none" else None  # None: the model's own
        what = f"mining.rescore.model {settings.model}"
        with loading(what, "correct the name, or get its files anew") as gaps:
            self.model = CrossEncoder(
                resolve(settings.model, settings.sha256, settings.revision, fetched),
                revision=None if fetched else settings.revision,
                max_length=settings.max_length,
                device=str(device()),
                model_kwargs={"dtype": "float32"},
            )
        check_padding(what, self.model)
        check_whole(what, gaps, lambda: self.model(tokenised(self.model, [("text", "text")]))["scores"])
        limit_length(what, self.model, settings.max_length, "mining.rescore.max_length")
        self.cuts = CutCounter(self.model)
        if self.model.num_labels != 1:
            raise UserError(
                f"mining.rescore.model {settings.model} gives {self.model.num_labels} scores a pair; use another."
            )

    def score(self, pairs: list[tuple[str, str]]) -> np.ndarray:
        """A score a pair, float32."""
        from tdro.models.precision import autocast

        with autocast("bf16", self.model.device):
            scores = self.model.predict(
                pairs, batch_size=self.settings.batch_size, show_progress_bar=False, activation_fn=self.activation
            )
        scores = np.asarray(scores, dtype=np.float32)
        if not np.isfinite(scores).all():
            raise UserError(
                f"mining.rescore.model {self.settings.model} gives scores that are not finite; get its files anew, or "
                "take another."
            )
        return scores


def _rescored(
    table: pa.Table, asked: pa.Table, texts: pa.Table, judge: _CrossEncoder, depth: int, counts: dict[str, int]
) -> dict[str, list]:
    positives = asked["positives"].to_pylist()
    chosen = [_kept(rows, own, depth) for rows, own in zip(table["candidates"].to_pylist(), positives, strict=True)]
    # Candidates first, then the positives that are not among them: each pair once.
    wanted = [[*rows, *(p for p in own if p not in rows)] for rows, own in zip(chosen, positives, strict=True)]
    scores = _score(wanted, asked["query"].to_pylist(), texts, judge)
    counts["pairs rescored"] += sum(map(len, wanted))
    columns: dict[str, list] = {name: [] for name in CANDIDATES.names}
    columns["query"] = table["query"].to_pylist()
    for rows, own, score in zip(chosen, positives, scores, strict=True):
        order = sorted(rows, key=lambda row: (-score[row], row))
        columns["candidates"].append(order)
        columns["scores"].append([score[row] for row in order])
        columns["positive_scores"].append([score[row] for row in own])
    return columns


def _kept(rows: list[int], positives: list[int], depth: int) -> list[int]:
    """The positives among the candidates, and the best ``depth`` others."""
    others = [row for row in rows if row not in positives][:depth]
    return [row for row in rows if row in positives] + others


def _score(wanted: list[list[int]], queries: list[str], texts: pa.Table, judge: _CrossEncoder) -> list[dict]:
    """Row of the corpus to score, for each query."""
    rows, places = np.unique(np.concatenate(wanted), return_inverse=True)
    passages = passage_texts(texts.take(pa.array(rows)))
    owners = np.repeat(np.arange(len(wanted)), list(map(len, wanted)))
    pairs = [(queries[owner], passages[place]) for owner, place in zip(owners, places, strict=True)]
    scores = np.split(judge.score(pairs), np.cumsum(list(map(len, wanted)))[:-1])
    return [dict(zip(rows, own.tolist(), strict=True)) for rows, own in zip(wanted, scores, strict=True)]

"""Embeddings of a corpus that several test sets search, such as the passages of MKQA's languages.

    model/, corpus.parquet -> embeddings/{corpus}/ (tdro.retrieval.shards)

Shards lie among the checkpoints until all are there (:mod:`tdro.retrieval.makeshards`).
"""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa

from tdro.artifacts.files import digest, read_batches, stamps
from tdro.artifacts.schemas import CORPUS
from tdro.artifacts.versions import of_stage
from tdro.config.commands import Miner
from tdro.config.models import Encoding, Model
from tdro.data.corpora import passages
from tdro.progress import Progress
from tdro.retrieval.encoder import Encoder
from tdro.retrieval.makeshards import Part, make_shards
from tdro.retrieval.retrievers import open_encoder
from tdro.retrieval.shards import Workspace
from tdro.text.strings import passage_texts

#: Passages a shard: what a killed run loses at most.
SHARD = 16_384


def encode_corpus(
    retriever: Miner | Model | Path,
    encoding: Encoding,
    corpus: Path,
    output: Path,
    checkpoints: Path,
    fetched: Path | None = None,
) -> None:
    """Write the embeddings of a corpus, as every test set reads it whose passages carry no instruction.

    Args:
        retriever: Folder of a trained retriever, the miner, or a base model.
        encoding: Precision and batch size of the forward pass; how a base reads texts.
        corpus: The ``corpus.parquet``.
        output: Folder to write.
        checkpoints: Folder for shards until all are there.
        fetched: Manifest of an untrained model, fetched ahead.

    Raises:
        UserError: for a model that cannot be loaded, or a corpus that is missing or empty.
    """
    workspace = Workspace(checkpoints, _identity(retriever, encoding, corpus))
    part = Part(str(corpus.parent), workspace, passages(corpus), SHARD, lambda: read_batches(corpus, CORPUS, SHARD))

    def finish() -> None:
        shutil.rmtree(output, ignore_errors=True)
        part.publish(output)

    load = lambda: open_encoder(retriever, encoding, fetched)[0]  # noqa: E731
    if encoder := make_shards([part], load, _make, ("encoded", "passages"), finish):
        encoder.cuts.tell(part.name)


def _make(encoder: Encoder, part: Part, table: pa.Table, progress: Progress) -> tuple[np.ndarray, dict[str, int]]:
    embeddings = encoder.passages(passage_texts(table))
    progress.add(len(table))
    return embeddings, {}


def _identity(retriever: Miner | Model | Path, encoding: Encoding, corpus: Path) -> dict:
    """What a shard depends on; the number of processes is not among it."""
    from tdro.models.modelfiles import model_files

    if isinstance(retriever, Path):
        reference, described = str(retriever), str(retriever)
    else:
        reference = retriever.model if isinstance(retriever, Miner) else retriever.base
        described = retriever.watched()
    return {
        "model": described,
        "files": stamps(model_files(reference)),
        "encoding": encoding.watched(),
        "texts": digest(corpus),
        **of_stage(__name__)._asdict(),
    }

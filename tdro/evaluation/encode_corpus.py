"""Embeddings of a corpus that several test sets search, such as the passages of MKQA's languages.

    model/, corpus.parquet -> embeddings/{corpus}/ (tdro.retrieval.shards)

Processes that ``accelerate launch`` starts, one a GPU, claim shard by shard. Shards lie among the checkpoints until
all are there, so that a killed run goes on with the first one missing.
"""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from tdro.artifacts.files import digest, read_batches, stamps
from tdro.artifacts.schemas import CORPUS
from tdro.artifacts.versions import of_stage
from tdro.config.commands import Miner, Retriever
from tdro.config.models import Encoding
from tdro.data.corpora import passages
from tdro.models.processes import processes
from tdro.progress import Progress
from tdro.retrieval.encoder import Encoder
from tdro.retrieval.retrievers import open_encoder
from tdro.retrieval.shards import Workspace
from tdro.text.strings import passage_texts

log = logging.getLogger(__name__)

#: Passages a shard: what a killed run loses at most.
SHARD = 16_384


def encode_corpus(
    retriever: Retriever | Path,
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
    state = processes()
    rows = passages(corpus)
    workspace = Workspace(checkpoints, _identity(retriever, encoding, corpus))
    workspace.open()
    shards = -(-rows // SHARD)
    missing = workspace.missing(shards)
    log.info("%d of %d shards are there", shards - len(missing), shards)
    if missing:
        texts = sum(min(SHARD, rows - number * SHARD) for number in missing)
        progress = Progress("encoded", "passages", texts, state.num_processes)
        _encode(lambda: open_encoder(retriever, encoding, fetched)[0], corpus, workspace, progress)
    state.wait_for_everyone()
    if state.is_main_process:
        shutil.rmtree(output, ignore_errors=True)
        workspace.publish(output, shards, rows, SHARD)
    state.wait_for_everyone()


def _encode(load: Callable[[], Encoder], corpus: Path, workspace: Workspace, progress: Progress) -> None:
    """Make the shards that this process claims."""
    encoder = None
    for number, table in enumerate(read_batches(corpus, CORPUS, SHARD)):
        if workspace.claim(number):
            encoder = encoder or load()
            workspace.write(number, encoder.passages(passage_texts(table)), {})
            encoder.cuts.tell(f"shard {number} of {corpus.parent}")
            progress.add(len(table))


def _identity(retriever: Retriever | Path, encoding: Encoding, corpus: Path) -> dict:
    """What a shard depends on; the number of processes is not among it."""
    from tdro.models.modelfiles import model_files

    if isinstance(retriever, Path):
        reference, described = str(retriever), str(retriever)
    else:
        reference = retriever.model if isinstance(retriever, Miner) else retriever.base
        described = retriever.model_dump_json()
    return {
        "model": described,
        "files": stamps(model_files(reference)),
        "encoding": encoding.model_dump_json(),
        "texts": digest(corpus),
        **of_stage(__name__)._asdict(),
    }

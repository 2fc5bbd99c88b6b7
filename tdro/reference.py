"""Stage ``reference``: the frozen reference model's loss on each row of a mixed plan.

The reference does not change during tDRO, so its losses are data: computed once by inference,
reused by every run over the same plan.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import torch
from torch import Tensor

from tdro.artifacts import PLAN, REFERENCE, digest, read_table, write_table
from tdro.batches import Text, Texts, row_texts
from tdro.jobs import ReferenceJob
from tdro.losses import own_negatives_loss
from tdro.models import load_trained
from tdro.precision import autocast

log = logging.getLogger(__name__)

#: Rows whose texts are held as embeddings at once.
BLOCK = 8192


def reference(plan: Path, model: Path, results: Path, output: Path, job: ReferenceJob) -> None:
    """Compute the reference losses of ``plan`` and write ``reference.parquet``.

    Args:
        plan: ``plan.parquet``, mixed.
        model: Folder of the reference retriever.
        results: Folder with the tasks' ``data/{task}/{corpus,queries}.parquet``.
        output: ``reference.parquet``.
        job: Precision, temperature, instructions, and the seed that chooses among them.
    """
    rows = read_table(plan, PLAN)
    retriever = load_trained(model)
    texts = Texts(results, job.tasks, job.seed)
    losses = []
    for start in range(0, rows.num_rows, BLOCK):
        block = rows.slice(start, BLOCK).to_pylist()
        losses.append(_block_losses([row_texts(row) for row in block], texts, retriever, job))
        log.info("reference losses of %d of %d rows", start + len(block), rows.num_rows)
    table = rows.select(["step", "slot", "task"]).append_column("loss", pa.array(torch.cat(losses).numpy()))
    write_table(output, table, REFERENCE, origin=digest(plan))


def _block_losses(rows: Sequence[Sequence[Text]], texts: Texts, retriever, job: ReferenceJob) -> Tensor:
    """Losses of some rows, shape (n,); each distinct text is encoded once."""
    place = {text: at for at, text in enumerate(dict.fromkeys(text for row in rows for text in row))}
    embeddings = _encode(list(place), texts, retriever, job)
    at = torch.tensor([[place[text] for text in row] for row in rows])
    return torch.cat(
        [own_negatives_loss(embeddings[i[:, 0]], embeddings[i[:, 1:]], job.temperature) for i in at.split(256)]
    )


def _encode(distinct: Sequence[Text], texts: Texts, retriever, job: ReferenceJob) -> Tensor:
    """Embeddings of texts, shape (n, d), float32; sorted by length while encoding, so that little is padded."""
    embeddings = torch.empty(len(distinct), retriever.get_embedding_dimension())
    for kind, encode in (("query", retriever.encode_query), ("passage", retriever.encode_document)):
        of_kind = [at for at, text in enumerate(distinct) if text.kind == kind]
        with autocast(job.encoding.precision, retriever.device):
            embeddings[of_kind] = (
                encode(
                    [texts[distinct[at]] for at in of_kind],
                    batch_size=job.encoding.batch_size,
                    convert_to_tensor=True,
                    show_progress_bar=False,
                )
                .float()
                .cpu()
            )
    return embeddings

"""Stage ``reference``: the frozen reference model's loss on each row of a mixed plan.

    accelerate launch --config_file config/accelerate/ddp.yaml --num_processes 8 -m tdro reference ...

The reference does not change during tDRO, so its losses are data: computed once by inference, reused by every run over
the same plan. Processes claim block by block of the plan. Blocks lie among the checkpoints until all are there, so that
a killed run goes on with the first one missing.
"""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tdro.artifacts.files import digest, read_table, stamps, write_table
from tdro.artifacts.schemas import PLAN, REFERENCE
from tdro.artifacts.versions import of_stage
from tdro.config.commands import ReferenceJob
from tdro.models.cuts import CutCounter
from tdro.models.load import load_trained, trained_prompts
from tdro.models.modelfiles import model_files
from tdro.models.precision import autocast
from tdro.models.processes import processes
from tdro.models.room import check_model
from tdro.progress import Progress
from tdro.retrieval.shards import Workspace
from tdro.training.batches import Text, Texts, files_of
from tdro.training.losses import check_finite, own_negatives_loss

log = logging.getLogger(__name__)

#: Rows whose texts are held as embeddings at once, each distinct one encoded once; what a killed run loses at most.
BLOCK = 8192


def reference(plan: Path, model: Path, results: Path, output: Path, checkpoints: Path, job: ReferenceJob) -> None:
    """Compute the reference losses of ``plan`` and write ``reference.parquet``.

    Args:
        plan: ``plan.parquet``, mixed.
        model: Folder of the reference retriever.
        results: Folder with the tasks' ``data/{task}/{corpus,queries}.parquet``.
        output: ``reference.parquet``.
        checkpoints: Folder for blocks until all are there.
        job: Precision, temperature, instructions, and the seed that chooses among them.

    Raises:
        UserError: when an input is missing or wrong, or the loss of a row is not finite.
    """
    state = processes()
    rows = read_table(plan, PLAN)
    workspace = Workspace(checkpoints, _identity(plan, model, files_of(rows, results), job), np.float32)
    workspace.open()
    blocks = -(-rows.num_rows // BLOCK)
    missing = workspace.missing(blocks)
    log.info("%d of %d shards are there", blocks - len(missing), blocks)
    if missing:
        retriever = load_trained(model)
        prompts = trained_prompts(model, retriever)
        check_model(retriever, job.tasks, prompts)
        texts = Texts(results, job.tasks, job.seed, prompts)
        cuts = CutCounter(retriever)
        _compute(missing, rows, texts, retriever, job, workspace)
        cuts.tell("reference losses")
    state.wait_for_everyone()
    if state.is_main_process:
        losses = np.concatenate([workspace.read(number) for number in range(blocks)])
        table = rows.select(["step", "slot", "task"]).append_column("loss", pa.array(losses))
        write_table(output, table, REFERENCE, origin=digest(plan))
        shutil.rmtree(checkpoints, ignore_errors=True)
    state.wait_for_everyone()


def _compute(
    missing: list[int], rows: pa.Table, texts: Texts, retriever, job: ReferenceJob, workspace: Workspace
) -> None:
    """Make the blocks that this process claims."""
    planned = sum(min(BLOCK, rows.num_rows - number * BLOCK) for number in missing)
    progress = Progress("computed the losses of", "rows", planned, processes().num_processes)
    for number in filter(workspace.claim, missing):
        block = rows.slice(number * BLOCK, BLOCK).to_pylist()
        losses = _block_losses([texts.of_row(row) for row in block], texts, retriever, job)
        check_finite(losses[:, None], number * BLOCK + torch.arange(len(losses)))
        workspace.write(number, losses.numpy(), {})
        progress.add(len(block))


def _identity(plan: Path, model: Path, files: list[Path], job: ReferenceJob) -> dict:
    """What a block depends on; the number of processes is not among it."""
    return {
        "plan": digest(plan),
        "settings": job.model_dump_json(),
        "files": stamps([*model_files(str(model)), *files]),
        **of_stage(__name__)._asdict(),
    }


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

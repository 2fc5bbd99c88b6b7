"""Stage ``reference``: the frozen reference model's loss on each row of a mixed plan.

    accelerate launch --config_file config/accelerate/ddp.yaml --num_processes 8 -m tdro reference ...

The reference does not change during tDRO, so its losses are data: computed once by inference, reused by every run over
the same plan. Blocks of the plan lie among the checkpoints until all are there (:mod:`tdro.retrieval.makeshards`).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from sentence_transformers.util import batch_to_device
from torch import Tensor

from tdro.artifacts.beside import take_away
from tdro.artifacts.files import digest, read_table, stamps, write_table
from tdro.artifacts.schemas import PLAN, REFERENCE
from tdro.artifacts.versions import of_stage
from tdro.config.commands import ReferenceJob
from tdro.models.cuts import CutCounter
from tdro.models.features import rows_of, text_lengths
from tdro.models.load import load_trained, trained_prompts
from tdro.models.modelfiles import model_files
from tdro.models.precision import autocast
from tdro.models.room import check_model
from tdro.progress import Progress
from tdro.retrieval.makeshards import Part, make_shards
from tdro.retrieval.shards import Workspace
from tdro.training.batches import Text, Texts, files_of
from tdro.training.collate import passes
from tdro.training.finite import check_finite
from tdro.training.kepttexts import keep_texts
from tdro.training.losses import own_negatives_loss

#: Rows whose texts are held as embeddings at once, each distinct one encoded once; what a killed run loses at most.
BLOCK = 8192
#: Texts tokenised at once, padded to the longest of them: some 200 MB at 512 tokens.
_TOKENISED = 16_384


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
    rows = read_table(plan, PLAN)
    workspace = Workspace(checkpoints, _identity(plan, model, files_of(rows, results), job), np.float32)
    workspace.open()  # what another plan has left goes now, its texts included
    kept = checkpoints / "texts"
    keep_texts(rows, results, kept)
    starts = range(0, rows.num_rows, BLOCK)
    part = Part("the plan", workspace, rows.num_rows, BLOCK, lambda: ((at, rows.slice(at, BLOCK)) for at in starts))

    def finish() -> None:
        losses = np.concatenate([workspace.read(number) for number in range(part.shards)])
        table = rows.select(["step", "slot", "task"]).append_column("loss", pa.array(losses))
        write_table(output, table, REFERENCE, origin=digest(plan))
        take_away(checkpoints)

    progress = ("computed the losses of", "rows")
    if judge := make_shards([part], lambda: _judge(model, kept, job), Judge.block, progress, finish):
        judge.cuts.tell("reference losses")


def _identity(plan: Path, model: Path, files: list[Path], job: ReferenceJob) -> dict:
    """What a block depends on; the number of processes is not among it."""
    return {
        "plan": digest(plan),
        "settings": job.watched(),
        "files": stamps([*model_files(str(model)), *files]),
        **of_stage(__name__)._asdict(),
    }


def _judge(model: Path, kept: Path, job: ReferenceJob) -> "Judge":
    retriever = load_trained(model)
    prompts = trained_prompts(model, retriever)
    check_model(retriever, job.tasks, prompts)
    return Judge(retriever, Texts(kept, job.tasks, job.seed, prompts), job)


class Judge:
    """The reference model, and the texts that it reads.

    Attributes:
        cuts: Counts texts read and cut.
    """

    def __init__(self, retriever, texts: Texts, job: ReferenceJob) -> None:
        self._retriever, self._texts, self._job = retriever.eval(), texts, job
        self.cuts = CutCounter(retriever)

    def block(self, part: Part, block: tuple[int, pa.Table], progress: Progress) -> tuple[np.ndarray, dict[str, int]]:
        """Losses of some rows of the plan, from the row with that number on, shape (n,), as a shard."""
        start, table = block
        losses = self.losses([self._texts.of_row(row) for row in table.to_pylist()])
        check_finite(losses[:, None], range(start, start + len(losses)))
        progress.add(len(losses))
        return losses.numpy(), {}

    def losses(self, rows: Sequence[Sequence[Text]]) -> Tensor:
        """Losses of some rows, shape (n,); each distinct text is encoded once."""
        place = {text: at for at, text in enumerate(dict.fromkeys(text for row in rows for text in row))}
        embeddings = self._encode(list(place))
        at, temperature = torch.tensor([[place[text] for text in row] for row in rows]), self._job.temperature
        return torch.cat(
            [own_negatives_loss(embeddings[i[:, 0]], embeddings[i[:, 1:]], temperature) for i in at.split(256)]
        )

    def _encode(self, distinct: Sequence[Text]) -> Tensor:
        """Embeddings of texts, shape (n, d), float32."""
        embeddings = torch.empty(len(distinct), self._retriever.get_embedding_dimension())
        for kind, task in (("query", "query"), ("passage", "document")):
            of_kind = [at for at, text in enumerate(distinct) if text.kind == kind]
            for start in range(0, len(of_kind), _TOKENISED):
                places = of_kind[start : start + _TOKENISED]
                embeddings[places] = self._by_tokens([self._texts[distinct[at]] for at in places], task)
        return embeddings

    def _by_tokens(self, texts: list[str], task: str) -> Tensor:
        """Embeddings of texts, shape (n, d), float32: in batches of like length, each of as many tokens.

        A batch has the tokens of ``batch_size`` texts of the longest here, so that short texts fill it, too.
        """
        model, encoding = self._retriever, self._job.encoding
        features = model.preprocess(texts, task=task)
        lengths, device = text_lengths(features), model.device
        parts = passes(features, lengths, encoding.batch_size * max(lengths), device.type)
        with torch.inference_mode(), autocast(encoding.precision, device):
            found = [model(batch_to_device(rows_of(features, p), device))["sentence_embedding"].float() for p in parts]
        embeddings = torch.empty(len(texts), found[0].shape[1])
        embeddings[[place for part in parts for place in part]] = torch.cat(found).cpu()
        return embeddings

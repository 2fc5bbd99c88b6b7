"""Embeddings of the corpora and queries of tasks, by the miner.

    corpus.parquet, queries.parquet -> embeddings/corpus/, embeddings/queries/ (tdro.retrieval.shards)

Several small tasks go through one process, which loads the miner once.

Processes that ``accelerate launch`` starts claim shard by shard. Shards lie among the checkpoints until
all are there, so that a killed run goes on with the first one missing.
"""

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tdro.artifacts.files import count_rows, digest, read_batches, stamps
from tdro.artifacts.schemas import CORPUS, QUERIES
from tdro.artifacts.versions import of_stage
from tdro.config.mining import Encode
from tdro.config.prompts import take_prompts
from tdro.config.sections import load
from tdro.errors import UserError
from tdro.mining.queries import read_asked
from tdro.models.cuts import cut_places, say
from tdro.models.lengths import batches
from tdro.models.processes import processes
from tdro.progress import Progress
from tdro.readers.fetch import Manifest
from tdro.retrieval.shards import Workspace
from tdro.text.strings import passage_texts

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Side:
    """Corpus or queries of a task: where their texts are, and where their shards are made."""

    task: str
    name: str
    kind: Literal["query", "passage"]
    rows: int
    texts: Callable[[], Iterator[list[str]]]
    workspace: Workspace

    @property
    def label(self) -> str:
        return f"{self.task}/{self.name}"

    def shards(self, size: int) -> range:
        return range(-(-self.rows // size))


def encode(folders: Sequence[Path], checkpoints: Path, settings: Encode, fetched: Path | None = None) -> None:
    """Write the embeddings of both sides of each task, when those of all are made.

    Args:
        folders: Of each task, with its ``corpus.parquet`` and ``queries.parquet``; gets ``embeddings/``.
        checkpoints: Folder for the shards of each task, under the name of its folder, until all are there.
        settings: The validated section ``mining.encode``.
        fetched: Manifest of the miner, fetched ahead; null fetches on demand.

    Raises:
        UserError: when a file is empty, two folders have one name, or the miner cannot be had.
    """
    _check_names(folders)
    for folder in folders:
        read_asked(folder / "queries.parquet", folder / "corpus.parquet")
    state = processes()
    sides = {folder: _sides(folder, checkpoints / folder.name, settings, fetched) for folder in folders}
    each = [side for both in sides.values() for side in both]
    for side in each:
        side.workspace.open()
    _encode_missing(each, settings, fetched)
    state.wait_for_everyone()
    if state.is_main_process:
        for folder, both in sides.items():
            _publish(both, folder / "embeddings", settings.shard_size)
            shutil.rmtree(checkpoints / folder.name, ignore_errors=True)
    state.wait_for_everyone()


def _check_names(folders: Sequence[Path]) -> None:
    names = [folder.resolve().name for folder in folders]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise UserError(f"two of the folders are named {twice[0]!r}, as their shards would be; rename one.")


def _publish(sides: list[_Side], output: Path, shard_size: int) -> None:
    """Move the finished shards of a task to ``output``."""
    shutil.rmtree(output, ignore_errors=True)
    for side in sides:
        manifest = side.workspace.publish(output / side.name, len(side.shards(shard_size)), side.rows, shard_size)
        log.info("%s: %d tokens, %.1f %% padding", side.label, manifest["tokens"], 100 * manifest["padding"])
        say(side.label, manifest["cut"], side.rows)


def _sides(folder: Path, checkpoints: Path, settings: Encode, fetched: Path | None) -> list[_Side]:
    corpus, queries, size = folder / "corpus.parquet", folder / "queries.parquet", settings.shard_size
    texts = {
        "corpus": lambda: map(passage_texts, read_batches(corpus, CORPUS, size)),
        "queries": lambda: (table["query"].to_pylist() for table in read_batches(queries, QUERIES, size)),
    }
    sides = []
    for name, path, kind in (("corpus", corpus, "passage"), ("queries", queries, "query")):
        asked = getattr(settings.prompts, kind)
        workspace = Workspace(checkpoints / name, _identity(path, asked, settings, fetched))
        sides.append(_Side(folder.name, name, kind, count_rows(path), texts[name], workspace))
    return sides


def _identity(path: Path, prompt: str | None, settings: Encode, fetched: Path | None) -> dict:
    """What a shard depends on; the number of processes and the batch size are not among it."""
    from tdro.models.modelfiles import model_files

    return {
        "model": settings.model,
        "revision": settings.revision,
        "commit": load(fetched, Manifest).commit if fetched else None,
        "sha256": settings.sha256,
        "files": stamps(model_files(settings.model)),
        "prompt": prompt,
        "max_length": settings.max_length,
        "shard_size": settings.shard_size,
        "texts": digest(path),
        **of_stage(__name__)._asdict(),
    }


def _encode_missing(sides: list[_Side], settings: Encode, fetched: Path | None) -> None:
    """Make the shards that this process claims; the model is loaded only when there is one."""
    size = settings.shard_size
    missing = [(side, n) for side in sides for n in side.workspace.missing(len(side.shards(size)))]
    total = sum(len(side.shards(size)) for side in sides)
    log.info("%d of %d shards are there", total - len(missing), total)
    texts = sum(min(size, side.rows - n * size) for side, n in missing)
    progress = Progress("encoded", "texts", texts, processes().num_processes)
    miner = None
    for side in dict.fromkeys(side for side, _ in missing):
        for number, texts in enumerate(side.texts()):
            if side.workspace.claim(number):
                miner = miner or Miner(settings, fetched)
                try:
                    embeddings, counts = miner.encode(texts, side.kind, progress)
                except UserError as error:
                    raise UserError(f"{side.label}: {error}") from None
                side.workspace.write(number, embeddings, counts)
                log.info("shard %d of %s written", number, side.label)


class Miner:
    """The model that embeds texts."""

    def __init__(self, settings: Encode, fetched: Path | None = None) -> None:
        from tdro.models.load import load_embedder
        from tdro.models.room import check_prompt, length_of, tokens_of

        self.settings = settings
        self.model = load_embedder(
            settings.model,
            settings.sha256,
            settings.max_length,
            revision=settings.revision,
            fetched=fetched,
        )
        prompts = take_prompts(f"mining.encode.model {settings.model}", self.model, settings.prompts)
        self._prompts = {"query": prompts.query, "passage": prompts.passage}
        length, count = length_of(self.model, None), tokens_of(self.model)
        for kind, prompt in self._prompts.items():
            what = f"mining.encode.prompts.{kind} {prompt!r}"
            check_prompt(what, prompt, "mining.encode.max_length", length, count)

    def encode(
        self, texts: list[str], kind: Literal["query", "passage"], progress: Progress
    ) -> tuple[np.ndarray, dict[str, int]]:
        """Embeddings of unit length, float32 of shape (len(texts), dimension), and the tokens it took.

        All texts are tokenised at once and batched by their number of tokens (:mod:`tdro.models.lengths`).
        """
        from tdro.models.features import positions, rows_of, text_lengths

        prompt = self._prompts[kind]
        features = self.model.preprocess(texts, prompt=prompt)
        lengths = text_lengths(features)
        cut = len(cut_places(self.model, texts, features, prompt=prompt))
        order, parts, padded = [], [], 0
        for places in batches(lengths, self.settings.batch_size):
            batch = rows_of(features, places)
            padded += positions(batch)
            parts.append(self._forward(batch))
            order += places
            progress.add(len(places))
        embeddings = np.empty((len(texts), parts[0].shape[1]), dtype=np.float32)
        embeddings[order] = np.concatenate(parts)
        return self._unit(embeddings), {"tokens": sum(lengths), "padded": padded, "cut": cut}

    def _forward(self, batch: dict) -> np.ndarray:
        import torch
        from sentence_transformers.util import batch_to_device

        from tdro.models.precision import autocast

        with torch.inference_mode(), autocast("bf16", self.model.device):
            output = self.model(batch_to_device(batch, self.model.device))["sentence_embedding"]
        return output.float().cpu().numpy()

    def _unit(self, embeddings: np.ndarray) -> np.ndarray:
        """Normalised outside of autocast, where a norm would have three digits."""
        if not np.isfinite(embeddings).all():
            raise UserError(
                f"mining.encode.model {self.settings.model} gives embeddings that are not finite; use another model."
            )
        norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return embeddings / np.maximum(norms, np.finfo(np.float32).tiny)

"""Embeddings of the corpora and queries of tasks, by the miner.

    corpus.parquet, queries.parquet -> embeddings/corpus/, embeddings/queries/ (tdro.retrieval.shards)

Several small tasks go through one process, which loads the miner once.

Shards lie among the checkpoints until all are there (:mod:`tdro.retrieval.makeshards`).
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tdro.artifacts.beside import take_away
from tdro.artifacts.files import count_rows, digest, read_batches, stamps
from tdro.artifacts.schemas import CORPUS, QUERIES
from tdro.artifacts.versions import of_stage
from tdro.config.mining import Encode
from tdro.errors import UserError
from tdro.mining.queries import read_positives
from tdro.models.cuts import say
from tdro.progress import Progress
from tdro.readers.fetch import read as read_manifest
from tdro.retrieval.encoder import Encoder, Kind
from tdro.retrieval.makeshards import Part, make_shards
from tdro.retrieval.retrievers import load_miner
from tdro.retrieval.shards import Workspace
from tdro.text.strings import passage_texts

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Side(Part):
    """The corpus or the queries of a task, ``TASK/corpus`` or ``TASK/queries``."""

    kind: Kind


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
        read_positives(folder / "queries.parquet", folder / "corpus.parquet")
    sides = {folder: _sides(folder, checkpoints / folder.name, settings, fetched) for folder in folders}

    def finish() -> None:
        for folder, both in sides.items():
            _publish(both, folder / "embeddings")
        for folder in sides:
            take_away(checkpoints / folder.name)

    each = [side for both in sides.values() for side in both]
    make_shards(each, lambda: open_miner(settings, fetched), _make, ("encoded", "texts"), finish)


def _check_names(folders: Sequence[Path]) -> None:
    names = [folder.resolve().name for folder in folders]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise UserError(f"two of the folders are named {twice[0]!r}, as their shards would be; rename one.")


def _publish(sides: list[_Side], output: Path) -> None:
    """Put the finished shards of a task into ``output``."""
    shutil.rmtree(output, ignore_errors=True)
    for side in sides:
        manifest = side.publish(output / side.workspace.folder.name)
        log.info("%s: %d tokens, %.1f %% padding", side.name, manifest["tokens"], 100 * manifest["padding"])
        say(side.name, manifest["cut"], side.rows)


def _sides(folder: Path, checkpoints: Path, settings: Encode, fetched: Path | None) -> list[_Side]:
    corpus, queries, size = folder / "corpus.parquet", folder / "queries.parquet", settings.shard_size
    texts = {
        corpus: lambda: map(passage_texts, read_batches(corpus, CORPUS, size)),
        queries: lambda: (table["query"].to_pylist() for table in read_batches(queries, QUERIES, size)),
    }
    sides = []
    kinds: dict[Path, Kind] = {corpus: "passage", queries: "query"}
    for path, kind in kinds.items():
        identity = _identity(path, getattr(settings.prompts, kind), settings, fetched)
        workspace = Workspace(checkpoints / path.stem, identity)
        sides.append(_Side(f"{folder.name}/{path.stem}", workspace, count_rows(path), size, texts[path], kind))
    return sides


def _identity(path: Path, prompt: str | None, settings: Encode, fetched: Path | None) -> dict:
    """What a shard depends on; the number of processes and the batch size are not among it."""
    from tdro.models.modelfiles import model_files

    return {
        "model": settings.model,
        "revision": settings.revision,
        "commit": read_manifest(fetched).commit if fetched else None,
        "sha256": settings.sha256,
        "files": stamps(model_files(settings.model)),
        "prompt": prompt,
        "max_length": settings.max_length,
        "shard_size": settings.shard_size,
        "texts": digest(path),
        **of_stage(__name__)._asdict(),
    }


def _make(miner: Encoder, side: _Side, texts: list[str], progress: Progress) -> tuple[np.ndarray, dict[str, int]]:
    try:
        return miner.by_tokens(texts, side.kind, progress)
    except UserError as error:
        raise UserError(f"{side.name}: {error}") from None


def open_miner(settings: Encode, fetched: Path | None = None) -> Encoder:
    """The miner.

    Raises:
        UserError: when it cannot be had, or a prompt leaves no room for texts.
    """
    from tdro.models.room import check_prompt, length_of, tokens_of

    model, prompts = load_miner(settings, fetched)
    length, count = length_of(model, None), tokens_of(model)
    for kind, prompt in (("query", prompts.query), ("passage", prompts.passage)):
        check_prompt(f"mining.encode.prompts.{kind} {prompt!r}", prompt, "mining.encode.max_length", length, count)
    name = f"mining.encode.model {settings.model}"
    return Encoder(model, prompts.query, prompts.passage, "bf16", settings.batch_size, name)

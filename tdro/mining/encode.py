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

from tdro.artifacts.files import count_rows, digest, read_batches, stamps
from tdro.artifacts.schemas import CORPUS, QUERIES
from tdro.artifacts.versions import of_stage
from tdro.config.mining import Encode
from tdro.config.sections import load
from tdro.errors import UserError
from tdro.mining.queries import read_asked
from tdro.models.cuts import say
from tdro.models.processes import processes
from tdro.progress import Progress
from tdro.readers.fetch import Manifest
from tdro.retrieval.encoder import Encoder
from tdro.retrieval.retrievers import load_miner
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
                miner = miner or open_miner(settings, fetched)
                try:
                    embeddings, counts = miner.by_tokens(texts, side.kind, progress)
                except UserError as error:
                    raise UserError(f"{side.label}: {error}") from None
                side.workspace.write(number, embeddings, counts)
                log.info("shard %d of %s written", number, side.label)


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

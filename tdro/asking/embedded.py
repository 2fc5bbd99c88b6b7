"""A corpus as one model embeds it, kept in the cache for the next question.

    $TDRO_CACHE/ask/MODEL/CORPUS/    corpus.parquet, embeddings/, and identity.json: what they were made of

MODEL and CORPUS are the names of the two with a hash of their places. Where one of them has another content than the
last time, what was kept is made anew; a run that is stopped goes on where it was.
"""

import fcntl
import hashlib
import logging
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tdro.artifacts.files import (
    count_rows,
    digest,
    read_batches,
    read_note,
    read_rows,
    stamps,
    table_writer,
    write_json,
)
from tdro.artifacts.schemas import CORPUS
from tdro.asking.passagefiles import check_file, read_passages
from tdro.errors import UserError
from tdro.models.modelfiles import model_files
from tdro.readers.base import Passage
from tdro.readers.packages import cache_folder
from tdro.retrieval.shards import MANIFEST, Embeddings, Workspace
from tdro.text.strings import passage_texts

log = logging.getLogger(__name__)

#: Passages that are embedded at a time; what a run that is stopped loses at most.
SHARD = 1024
_ROWS = 8192
_LIBRARIES = ("sentence-transformers", "transformers", "torch")
_IDENTITY, _CORPUS, _EMBEDDINGS, _MAKING = "identity.json", "corpus.parquet", "embeddings", "making"

#: Gives the embeddings of some passages.
Embed = Callable[[list[str]], np.ndarray]
#: Hears how many passages are done, of how many.
Told = Callable[[int, int], None]


class Embedded:
    """A corpus and its embeddings by one model, as they lie in the cache; :func:`embedded` gives one.

    Args:
        place: Their folder.

    Attributes:
        vectors: The embeddings, a row a passage.
    """

    def __init__(self, place: Path) -> None:
        self._corpus = place / _CORPUS
        self.vectors = Embeddings(place / _EMBEDDINGS)

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        """Some passages."""
        found = read_rows(self._corpus, CORPUS, rows)
        return [Passage(found[row]["text"], found[row]["title"], found[row]["passage_id"]) for row in rows]


@contextmanager
def embedded(corpus: Path, model: Path, prompt: str | None, embed: Embed, told: Told) -> Iterator[Embedded]:
    """A corpus and its embeddings, made where they are missing or of something else.

    They stay as they are while they are held; who wants to make them anew waits.

    Args:
        corpus: A file of passages (:mod:`tdro.asking.passagefiles`).
        model: The model's folder.
        prompt: Name of the model's prompt that stands before passages; None: the usual one.
        embed: Gives the embeddings of some passages.
        told: Hears how many passages are done, of how many, while they are made.

    Raises:
        UserError: for a corpus that cannot be read or holds no passage.
    """
    check_file(corpus)
    libraries = {name: version(name) for name in _LIBRARIES}
    identity = {"corpus": digest(corpus), "model": stamps(model_files(str(model.resolve()))), "libraries": libraries}
    place = cache_folder() / "ask" / _named(model) / f"{_named(corpus)}{'.' if prompt else ''}{prompt or ''}"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not _is_whole(place, identity):
            _take(lock, corpus)
            _read(place, corpus, identity)
            _make(place, embed, told)
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield Embedded(place)


def _is_whole(place: Path, identity: dict[str, Any]) -> bool:
    return _is_of(place, identity) and (place / _EMBEDDINGS / MANIFEST).is_file()


def _is_of(place: Path, identity: dict[str, Any]) -> bool:
    return read_note(place / _IDENTITY) == identity


def _take(lock, corpus: Path) -> None:
    """Let this process alone change the place; a lock that is shared is given back meanwhile."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("another process asks %s with the same model; waiting until it has ended", corpus)
        fcntl.flock(lock, fcntl.LOCK_EX)


def _read(place: Path, corpus: Path, identity: dict[str, Any]) -> None:
    """Copy the corpus, unless it was copied before and nothing has changed since."""
    if _is_of(place, identity):
        return
    (place / _IDENTITY).unlink(missing_ok=True)
    for folder in (place / _EMBEDDINGS, place / _MAKING):
        shutil.rmtree(folder, ignore_errors=True)
    with table_writer(place / _CORPUS, CORPUS) as file:
        for rows in _pieces(read_passages(corpus), _ROWS):
            texts, titles, identifiers = zip(*rows, strict=True)
            file.append({"passage_id": identifiers, "title": titles, "text": texts})
    if not count_rows(place / _CORPUS):
        raise UserError(f"{corpus} holds no passage; name a file that does.")
    write_json(place / _IDENTITY, identity)


def _make(place: Path, embed: Embed, told: Told) -> None:
    """Embed the passages, unless another process has done so meanwhile."""
    if (place / _EMBEDDINGS / MANIFEST).is_file():
        return
    shutil.rmtree(place / _EMBEDDINGS, ignore_errors=True)
    rows = count_rows(place / _CORPUS)
    work = Workspace(place / _MAKING, {"rows": rows})
    work.open()
    told(0, rows)
    for number, table in enumerate(read_batches(place / _CORPUS, CORPUS, SHARD)):
        if work.claim(number):
            work.write(number, embed(passage_texts(table)), {})
        told(min(rows, (number + 1) * SHARD), rows)
    work.publish(place / _EMBEDDINGS, -(-rows // SHARD), rows, SHARD)
    work.remove()


def _named(path: Path) -> str:
    """A name of a folder for a path: its last parts to be read, and a hash to tell all else apart."""
    readable = re.sub(r"[^A-Za-z0-9._=-]", "_", "-".join(path.resolve().parts[-2:]))
    return f"{readable[-80:]}.{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"


def _pieces(items: Iterator, size: int) -> Iterator[list]:
    while piece := [item for _, item in zip(range(size), items, strict=False)]:
        yield piece

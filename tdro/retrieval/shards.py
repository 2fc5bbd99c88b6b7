"""Embeddings of many texts on disk: memory-mapped float16 shards beside a manifest.

    FOLDER/00000.npy, 00001.npy, ...   float16, shape (rows, dimension), unit length
    FOLDER/manifest.json               what made them, how many there are, and the CRC-32 of each shard

A :class:`Workspace` is where shards are made, each by the process that claims it first; :class:`Embeddings`
reads a finished folder. This module knows neither models nor what the numbers are for (reference losses are made in a
workspace, too).
"""

import logging
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tdro.artifacts.arrays import open_array, write_array
from tdro.artifacts.beside import take_away
from tdro.artifacts.files import read_json, read_note, replacing, write_json
from tdro.artifacts.seals import damaged
from tdro.artifacts.shapes import expecting
from tdro.artifacts.sums import crc
from tdro.errors import UserError
from tdro.models.processes import agreed, processes

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
#: Bytes of embeddings that are in memory as float32 at a time, besides the copy in an index.
BLOCK_BYTES = 256 * 2**20
_IDENTITY = "identity.json"
_CLAIMS = "claims"


class Embeddings:
    """A finished folder, opened as memory maps: what is not read takes no memory. Shards are verified as they are read.

    Attributes:
        folder: Where they lie.
        manifest: Content of ``manifest.json``.
        dimension: Length of a vector.

    Raises:
        UserError: when the folder is not there or lacks a shard.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_json(folder / MANIFEST)
        with expecting(folder / MANIFEST, "manifest of embeddings", "delete the folder and encode again"):
            self.dimension = int(self.manifest["dimension"])
            self._size, self._rows = int(self.manifest["shard_size"]), int(self.manifest["rows"])
            self._files = [folder / Path(name).name for name in self.manifest["shards"]]
            self._sums = dict(zip(self._files, self.manifest["crc32"], strict=True))
        self._shards = [open_array(file) for file in self._files]
        if not self._fit():
            raise UserError(
                f"{folder} does not hold the {self._rows} rows of its manifest; delete it and encode again."
            )

    def _fit(self) -> bool:
        """Whether the shards are those of the manifest: of one size but the last, and of its dimension."""
        rows = [len(shard) for shard in self._shards if shard.shape[1:] == (self.dimension,)]
        whole = all(number == self._size for number in rows[:-1])
        return len(rows) == len(self._shards) and whole and sum(rows) == self._rows >= 0 < self._size

    def __len__(self) -> int:
        return self._rows

    def _shard(self, number: int) -> np.ndarray:
        """A shard, all of which is verified when it is asked for first."""
        file = self._files[number]
        if (expected := self._sums.pop(file, None)) and crc(file) != expected:
            raise damaged(file)
        return self._shards[number]

    def slice(self, start: int, end: int, dtype: type[np.floating] = np.float32) -> np.ndarray:
        """Rows ``start`` to ``end`` as float32, or as they are stored, float16; shape (end - start, dimension).

        Raises:
            UserError: when one of their numbers is not finite.
        """
        rows = np.empty((end - start, self.dimension), dtype=dtype)
        done = start
        while done < end:
            shard, offset = divmod(done, self._size)
            part = self._shard(shard)[offset : offset + end - done]
            rows[done - start : done - start + len(part)] = part
            done += len(part)
        return self._finite(rows)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Those rows as float32, shape (len(rows), dimension); raises as :meth:`slice`."""
        taken = np.empty((len(rows), self.dimension), dtype=np.float32)
        shards, offsets = np.divmod(rows, self._size)
        for shard in np.unique(shards):
            places = np.flatnonzero(shards == shard)
            taken[places] = self._shard(shard)[offsets[places]]
        return self._finite(taken)

    def _finite(self, vectors: np.ndarray) -> np.ndarray:
        """The same vectors. Where one is not finite, every score is none, and whatever is searched finds anything."""
        if not np.isfinite(vectors).all():
            raise UserError(
                f"{self.folder} holds embeddings that are not finite; delete the folder and encode again, or take "
                "another model where that gives the same."
            )
        return vectors

    def bounds(self) -> Iterator[tuple[int, int]]:
        """First row, and row behind the last, of one block of ``BLOCK_BYTES`` after the other."""
        rows = max(1, BLOCK_BYTES // (4 * self.dimension))
        for start in range(0, len(self), rows):
            yield start, min(start + rows, len(self))


def begin(folder: Path, identity: Mapping[str, Any]) -> None:
    """Make a folder in which a killed run leaves what the next one goes on with; throw away what is of another run.

    Args:
        folder: The folder.
        identity: What its content depends on, as JSON has it.
    """
    path = folder / _IDENTITY
    before = read_note(path)
    if before != identity:
        if before:
            other = ", ".join(key for key, value in identity.items() if before.get(key) != value)
            log.info("%s belongs to a run with other %s; starting afresh", folder, other)
        take_away(folder)
        write_json(path, identity)


class Workspace:
    """Where shards are made until all are there; survives a kill.

    The processes of a run go through the numbers in the same order, and each makes what it can claim. One that is slow
    or starts late makes fewer, and at the end nobody waits for longer than a shard takes.

    Args:
        folder: Holds the shards; of no other use.
        identity: What a shard depends on. Shards of another identity are not used.
        dtype: Of the numbers on disk.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], dtype: type | np.dtype = np.float16) -> None:
        self.folder, self.identity, self._dtype = folder, dict(identity), dtype
        self._claims = folder / _CLAIMS

    def open(self) -> None:
        """Make the folder; throw away what has another identity or is damaged. All processes call it.

        Claims are of one run. Those of a run that was killed stand for shards that nobody makes any more.
        """
        if processes().is_main_process:
            begin(self.folder, self.identity)
            self._forget_damaged()
            shutil.rmtree(self.folder / _CLAIMS, ignore_errors=True)
        self._claims = self.folder / _CLAIMS / agreed(uuid.uuid4().hex)
        self._claims.mkdir(parents=True, exist_ok=True)

    def claim(self, number: int) -> bool:
        """Whether this process is to make a shard: it is not there, and no process of this run has claimed it."""
        if self.has(number):
            return False
        try:
            (self._claims / str(number)).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def missing(self, shards: int) -> list[int]:
        """Numbers of the shards, of so many, that are not finished."""
        return [number for number in range(shards) if not self.has(number)]

    def has(self, number: int) -> bool:
        """Whether a shard is finished."""
        return self._path(number).is_file()

    def write(self, number: int, rows: np.ndarray, counts: Mapping[str, int]) -> None:
        """Write a shard, counts first: where the shard is, they are."""
        path = self._path(number)
        with replacing(path) as temporary:
            write_array(temporary, rows.astype(self._dtype))
            write_json(path.with_suffix(".json"), {"crc32": crc(temporary), "counts": dict(counts)})

    def read(self, number: int) -> np.ndarray:
        """A finished shard.

        Raises:
            UserError: when it is not what was written.
        """
        path = self._path(number)
        if crc(path) != self._note(number)["crc32"]:
            raise damaged(path)
        return np.array(open_array(path))

    def counts(self, number: int) -> dict[str, int]:
        """What was counted in a finished shard."""
        return self._note(number)["counts"]

    def _note(self, number: int) -> dict[str, Any]:
        """What was written beside a finished shard."""
        return read_json(self._path(number).with_suffix(".json"))

    def _forget_damaged(self) -> None:
        """Take away what a run of before has left that is not what it wrote."""
        for path in self.folder.glob("*.npy"):
            if read_note(path.with_suffix(".json")).get("crc32") != crc(path):
                log.warning("%s is damaged; it is made again", path)
                path.unlink()

    def remove(self) -> None:
        """Delete the folder, whose shards are of no more use."""
        take_away(self.folder)

    def publish(self, output: Path, shards: int, rows: int, shard_size: int) -> dict[str, Any]:
        """Put the finished shards into ``output``, with their manifest, which is returned.

        They stay here, too, so that none is lost with an output that a kill leaves unfinished; :meth:`remove` them
        when all is done.
        """
        counts = [self.counts(number) for number in range(shards)]
        totals = {name: sum(count[name] for count in counts) for name in counts[0]}
        padding = {"padding": round(1 - totals["tokens"] / totals.pop("padded"), 4)} if "padded" in totals else {}
        manifest = {
            **self.identity,
            "dimension": int(open_array(self._path(0)).shape[1]),
            "rows": rows,
            "shard_size": shard_size,
            "shards": [self._path(number).name for number in range(shards)],
            "crc32": [self._note(number)["crc32"] for number in range(shards)],
            **totals,
            **padding,
        }
        output.mkdir(parents=True)
        for number in range(shards):
            _place(self._path(number), output / self._path(number).name)
        write_json(output / MANIFEST, manifest)
        return manifest

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:05d}.npy"


def _place(shard: Path, target: Path) -> None:
    """Give a file a second name, or a copy where that lies on another disk."""
    try:
        target.hardlink_to(shard)
    except OSError:
        with replacing(target) as temporary:
            shutil.copyfile(shard, temporary)

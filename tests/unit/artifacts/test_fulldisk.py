"""A disk that is full, as a limit on the size of files makes it: one sentence that names the file."""

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from basemodels import save_static

from tdro.artifacts.arrays import write_array
from tdro.artifacts.files import replacing, table_writer, write_json, write_table
from tdro.artifacts.fulldisk import naming, sentence
from tdro.config.mining import Search
from tdro.errors import UserError
from tdro.models.stored import StoredModel
from tdro.retrieval.indices import BlockIndex

ROOT = Path(__file__).parents[3]
# What each writer is asked to write, which is more than the limit allows.
LIMIT = 20_000
SCHEMA = pa.schema([("text", pa.string())])


@pytest.fixture
def limit():
    """Files of this process end at so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def full(limit):
    """Files end at the limit, in this process."""
    limit(LIMIT)


def texts():
    random = np.random.default_rng(0)
    return {"text": [random.bytes(60).hex() for _ in range(2000)]}


def by_table_writer(path):
    with table_writer(path, SCHEMA) as file:
        for _ in range(3):
            file.append(texts())
            file.flush()


def by_array(path, rows=100_000):
    with replacing(path) as temporary:
        write_array(temporary, np.zeros(rows))


def by_text(path):
    with replacing(path) as temporary:
        temporary.write_text("x" * 100_000)


def by_safetensors(path):
    import torch
    from safetensors.torch import save_file

    with naming(path):
        save_file({"weight": torch.zeros(100_000)}, path)


def by_torch(path, rows=100_000):
    import torch

    with naming(path):
        torch.save({"weight": torch.zeros(rows)}, path)


def by_spool(path):
    from tdro.data.spool import Spool
    from tdro.text.strings import exact_key

    spool = Spool(path.parent, ["text"])
    for number in range(9):
        for place, text in enumerate(texts()["text"]):
            spool.add(exact_key(f"{number} {place}"), (text,))
        spool.flush()


WRITERS = {
    "table": lambda path: write_table(path, texts(), SCHEMA),
    "tables": by_table_writer,
    "JSON": lambda path: write_json(path, texts()),
    "array": by_array,
    "text": by_text,
    "safetensors": by_safetensors,
    "torch": by_torch,
    "spool": by_spool,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_names_its_file(tmp_path, full, writer):
    with pytest.raises(UserError) as error:
        WRITERS[writer](tmp_path / "out.file")
    said = str(error.value)
    assert said.startswith(str(tmp_path / ("a nameless" if writer == "spool" else "out.file")))
    assert " cannot be written: " in said and "another disk" in said and "\n" not in said
    assert writer in ("safetensors", "torch") or list(tmp_path.iterdir()) == []


def by_index(path):
    """As `tdro search` keeps one."""
    index = BlockIndex(Search(index="HNSW4"), 8)
    index.hold(np.eye(8, dtype=np.float32), path)


def by_merge(path):
    """As `tdro merge` writes a model."""
    model = save_static(path.parent / f"base of {path.name}")
    StoredModel(model).copy_weights(path, lambda part, name: StoredModel(model).read(part, name))


SMALL = {
    "array": lambda path: by_array(path, 300),
    "index": by_index,
    "JSON": lambda path: write_json(path, {"a": [1, 2, 3]}),
    "table": lambda path: write_table(path, {"text": ["a", "b"]}, SCHEMA),
    "merge": by_merge,
    "torch": lambda path: by_torch(path, 300),
}


@pytest.mark.parametrize("short", [1, 100])
@pytest.mark.parametrize("writer", SMALL)
def test_a_disk_that_has_no_room_for_the_end_of_a_file_alone_is_noticed(tmp_path, limit, writer, short):
    """Libraries of C and C++ hold the end back until they close the file, and not all look whether that went well."""
    SMALL[writer](tmp_path / "whole")
    written = max(tmp_path.glob("whole/*.safetensors"), default=tmp_path / "whole")
    limit(written.stat().st_size - min(short, written.stat().st_size))
    with pytest.raises(Exception) as error:
        SMALL[writer](tmp_path / "short")
    assert sentence(error.value) or " cannot be written: " in str(error.value)


def test_a_command_ends_with_the_sentence(tmp_path):
    rows = ({"query": f"question {i} {text}", "positive": text} for i, text in enumerate(texts()["text"]))
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = f"{{task: {{source: {{reader: jsonl, path: {tmp_path}/rows.jsonl}}}}}}"
    line = [sys.executable, "-m", "tdro", "prepare", "t", "--output", str(tmp_path / "out"), "--settings", job]
    limited = ["bash", "-c", 'ulimit -f 20; exec "$@"', "bash", *line]
    result = subprocess.run(limited, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert f"tdro prepare: error: {tmp_path}" in result.stderr and "cannot be written" in result.stderr


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError(errno.EROFS, "Read-only file system"), True),
        (RuntimeError("Error while serializing: I/O error: Read-only file system (os error 30)"), True),
        (RuntimeError("write failed: No space left on device"), True),
        (OSError(errno.ENOENT, "No such file or directory", "x"), False),
        (ValueError("3 requested values"), False),
        (UserError("x.jsonl holds no rows, as the text 'No space left on device' is none"), False),
    ],
)
def test_errors_of_other_kinds_stay_what_they_are(error, known):
    assert bool(sentence(error)) == known
    with pytest.raises(UserError if known else type(error)), naming("file"):
        raise error


def test_the_cause_of_an_error_is_looked_at():
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "inner.file")
        except OSError as error:
            raise RuntimeError("saving failed") from error
    except RuntimeError as error:
        assert sentence(error).startswith("inner.file cannot be written: no space is left")

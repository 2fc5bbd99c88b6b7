"""What a file is, told by its first bytes, where its name promises text or Parquet.

A download that kept no `.gz`, a clone without `git lfs pull`, a spreadsheet saved as UTF-16: each would else be a
thousand lines that are no JSON. Every reader of users' files asks here before its first line.
"""

import json
import re
from pathlib import Path

from tdro.errors import UserError

#: First bytes that are looked at.
HEAD = 1 << 16

_UNPACK = "unpack it, or pack it with gzip and let its name end in `.gz`"
_UTF8 = "save it as UTF-8, as `iconv -f {} -t UTF-8 FILE` does"
# Beginning of a file, what it is, what to do. Of two that fit, the longer one stands first.
_KINDS = (
    (b"PAR1", "Parquet", "let its name end in `.parquet` and read it with `reader: table`"),
    (b"PARE", "encrypted Parquet", "write it without encryption"),
    (b"\x1f\x8b", "gzip", "let its name end in `.gz`"),
    (b"\x28\xb5\x2f\xfd", "Zstandard (zst)", _UNPACK),
    (b"BZh91AY", "bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "xz", _UNPACK),
    (b"\x04\x22\x4d\x18", "LZ4", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it"),
    (b"PK\x03\x04", "a zip archive (or an Excel file)", "unpack it, or save the sheet as CSV"),
    (b"\xff\xfe\x00\x00", "text in UTF-32", _UTF8.format("UTF-32")),
    (b"\x00\x00\xfe\xff", "text in UTF-32", _UTF8.format("UTF-32")),
    (b"\xff\xfe", "text in UTF-16", _UTF8.format("UTF-16")),
    (b"\xfe\xff", "text in UTF-16", _UTF8.format("UTF-16")),
    (b"version https://git-lfs", "a Git LFS pointer", "run `git lfs pull` in its repository, or download it"),
    (b"/annex/objects/", "a git-annex pointer", "run `git annex get` in its repository"),
    (b"ARROW1\x00\x00", "an Arrow file", "write it as Parquet"),
    (b"Obj\x01", "Avro", "write it as Parquet or JSON lines"),
    (b"SQLite format 3\x00", "an SQLite database", "export its table as CSV"),
    (b"\x89HDF\r\n", "HDF5", "write it as Parquet or JSON lines"),
    (b"\x93NUMPY", "a NumPy array", "write it as Parquet or JSON lines"),
    (b"%PDF-", "a PDF", "extract its text first"),
)  # fmt: skip
_PAGE = re.compile(rb"\s*<(!doctype html|html|head|\?xml|error)[\s>]", re.IGNORECASE)
_PICKLE = re.compile(rb"\x80[\x02-\x05][\x95c}\](]")
_TAR = slice(257, 262)
# What a line of JSON may begin with; white space is passed over before.
_JSON_START = re.compile(rb'[\[{"\-0-9tfnNI]')


def problem(head: bytes) -> str | None:
    """What a file of text is instead, and what to do, as a message goes on: `it is gzip; ...`; None for text."""
    for start, kind, advice in _KINDS:
        if head.startswith(start):
            return f"it is {kind}; {advice}"
    if head[_TAR] == b"ustar":
        return "it is a tar archive; unpack it"
    if _PAGE.match(head):
        return "it is a web page or an error message of a server; download the file again"
    if _PICKLE.match(head):
        return "it is a pickle, which can run code; write it as Parquet or JSON lines"
    return _nulls(head) or _old_lines(head)


def _nulls(head: bytes) -> str | None:
    """UTF-16 and UTF-32 without a mark at their beginning, and files of no text at all."""
    start = head[:256]
    if len(start) < 4 or start.count(0) * 5 < len(start):
        return None
    if not start.strip(b"\x00"):
        return "it is full of zero bytes, as after a download or copy that broke off; get the file anew"
    if not any(start[1::2]) or not any(start[0::2]):
        return "it is text in UTF-16; save it as UTF-8, as `iconv -f UTF-16LE -t UTF-8 FILE` does"
    return "it is binary, not text; see what it is and convert it"


def _old_lines(head: bytes) -> str | None:
    if head.count(b"\r") > 1 and b"\n" not in head:
        return "its lines end in CR alone, as on old Macs; convert it, as `tr '\\r' '\\n'` does"
    return None


def not_json_lines(head: bytes) -> str | None:
    """Why a file of text cannot hold a JSON value a line, as a message goes on; None where it may."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    first, _, rest = text.partition(b"\n")
    second = rest.lstrip()
    if not first.strip():
        return None
    if _begins_array(first, whole=bool(rest) or len(head) < HEAD):
        return "it is one JSON array, not an object a line; `jq -c '.[]' FILE` makes lines of it"
    if first.strip().startswith(b"{") and _unfinished(first) and re.match(rb'"|\}', second):
        return "it is JSON over several lines, not an object a line; `jq -c . FILE` makes lines of it"
    if not _JSON_START.match(first) and second and not _JSON_START.match(second):
        shown = first.strip()[:40].decode("utf-8", "replace")
        return f"it holds no JSON but begins with {shown!r}; read tables with `reader: table`, CSV as `.csv`"
    return None


def _begins_array(first: bytes, *, whole: bool) -> bool:
    """Whether the first line opens an array of rows; `whole` tells that the line has not been cut."""
    if not first.startswith(b"["):
        return False
    value = _parsed(first) if whole else None
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, dict | list) for item in value)
    return bool(re.match(rb"\[\s*([\[{]|$)", first))


def _unfinished(line: bytes) -> bool:
    """Whether a line stops in the middle of a JSON value."""
    return line.strip()[-1:] in b"{[,:" and _parsed(line) is None


def _parsed(line: bytes):
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def check_parquet(path: Path, advice: str) -> None:
    """Refuse what its name calls Parquet and is not, or only in part.

    Raises:
        UserError: naming what it is.
        OSError: when it cannot be opened.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
        file.seek(max(0, file.seek(0, 2) - 4))
        tail = file.read()
    if head.startswith(b"PAR1") and tail == b"PAR1":
        return
    if not head:
        found = "it is empty"
    elif head.startswith(b"PAR1"):
        found = "it is cut off, as the end of a Parquet file is missing"
    else:
        found = problem(head) or "it is text, not Parquet; let its name say what it holds"
    raise UserError(f"{path} cannot be read: {found}; {advice}.")

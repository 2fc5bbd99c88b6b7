"""Files of passages to search, as people have them.

    .parquet  a column `text`; perhaps `title`, and an identifier under `passage_id`, `_id`, `id` or `docid`
    .jsonl    objects with the same keys
    .tsv      identifier, tab, passage (MS MARCO)
    .txt      a passage a line

Text is UTF-8; blank lines are passed over. All but Parquet may be gzipped.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tdro.errors import UserError
from tdro.readers.base import BadRow, Passage
from tdro.readers.fields import optional, required
from tdro.readers.filekinds import check_parquet
from tdro.readers.files import BROKEN, NOT_UTF8, Malformed, json_value, lines, parsed, unreadable
from tdro.text.strings import mended

#: What an identifier may be called.
IDENTIFIERS = ("passage_id", "_id", "id", "docid")
_ADVICE = "correct --corpus or get the file anew"


def read_passages(path: Path) -> Iterator[Passage]:
    """The passages of a file, in its order; one without an identifier gets its number, counted from 1.

    Raises:
        UserError: for a file that cannot be read or of another kind, naming the line where one is wrong.
    """
    kind = check_file(path)
    items = _parquet(path) if kind == "parquet" else _lines(path, kind)
    for number, item in enumerate(items, start=1):
        if isinstance(item, BadRow):
            raise UserError(f"{item.place} {item.reason}; correct it, or {_ADVICE}.")
        yield Passage(mended(item.text), mended(item.title), item.passage_id or str(number))


def check_file(path: Path) -> str:
    """The kind of a file of passages, by its name.

    Raises:
        UserError: when it is not there, or is of no kind that is read.
    """
    name = path.name.lower()
    kind = (name if name.endswith("parquet") else name.removesuffix(".gz")).rpartition(".")[2]
    if path.is_file() and kind in ("parquet", *_PARSERS):
        return kind
    found = "is a folder" if path.is_dir() else "is of another kind" if path.exists() else "does not exist"
    raise UserError(f"{path} {found}; expected a file of passages, .parquet, .jsonl, .tsv or .txt: correct --corpus.")


def _lines(path: Path, kind: str) -> Iterator[Passage | BadRow]:
    return parsed(lines(path, json=kind == "jsonl", advice=_ADVICE), str(path), _PARSERS[kind])


def _parquet(path: Path) -> Iterator[Passage | BadRow]:
    try:
        check_parquet(path, _ADVICE)
        with pq.ParquetFile(path) as file:
            has = file.schema_arrow.names
            if "text" not in has:
                raise UserError(
                    f"{path} has no column 'text'; it has {', '.join(has) or 'none'}. Rename the passages'."
                )
            number = 0
            for batch in file.iter_batches(1024, columns=[n for n in (*IDENTIFIERS, "title", "text") if n in has]):
                for record in batch.to_pylist():
                    number += 1
                    yield _placed(record, f"{path}, row {number}")
    except UnicodeDecodeError:
        raise UserError(f"{path} has a text that {NOT_UTF8}; {_ADVICE}.") from None
    except (*BROKEN, pa.ArrowException) as error:
        raise unreadable(path, error, _ADVICE) from None


def _placed(record: dict, place: str) -> Passage | BadRow:
    try:
        return _passage(record)
    except Malformed as error:
        return BadRow(place, str(error))


def _passage(record: dict) -> Passage:
    identifier = next((key for key in IDENTIFIERS if optional(record, key)), None)
    text = required(record, "text")
    return Passage(text, optional(record, "title"), optional(record, identifier) if identifier else None)


def _json(number: int, line: bytes) -> Passage:
    value = json_value(line)
    if not isinstance(value, dict):
        raise Malformed("is no JSON object; expected one with a string `text`")
    return _passage(value)


def _tsv(number: int, line: bytes) -> Passage:
    identifier, tab, text = _decoded(line).partition("\t")
    if not tab:
        raise Malformed("has no second column; expected an identifier, a tab and a passage")
    return Passage(text, passage_id=identifier.strip())


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise Malformed(NOT_UTF8) from None


_PARSERS: dict[str, Callable[[int, bytes], Passage]] = {
    "jsonl": _json,
    "tsv": _tsv,
    "txt": lambda number, line: Passage(_decoded(line)),
}

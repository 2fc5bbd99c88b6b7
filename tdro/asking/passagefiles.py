"""Files of passages to search, as people have them.

    .parquet  a column `text`; perhaps `title`, and an identifier under `passage_id`, `_id`, `id` or `docid`
    .jsonl    objects with the same keys
    .tsv      identifier, tab, passage (MS MARCO)
    .txt      a passage a line

Text is UTF-8; blank lines are passed over. All but Parquet may be gzipped.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tdro.errors import UserError
from tdro.readers.base import BadRow, Passage
from tdro.readers.fields import optional, required
from tdro.readers.files import NO_OBJECT, Malformed, objects, read_lines, strict, text_of
from tdro.readers.records import of_parquet, parsed_records
from tdro.text.strings import mended

#: What an identifier may be called.
IDENTIFIERS = ("passage_id", "_id", "id", "docid")
_ADVICE = "correct --corpus or get the file anew"


def read_passages(path: Path) -> Iterator[Passage]:
    """The passages of a file, in its order; one without an identifier gets its number, counted from 1.

    Raises:
        UserError: for a file that cannot be read or of another kind, naming the line where one is wrong.
    """
    items = strict(_items(path, check_file(path)), f"correct it, or {_ADVICE}")
    for number, item in enumerate(items, start=1):
        yield Passage(mended(item.text), mended(item.title), item.passage_id or str(number))


def check_file(path: Path) -> str:
    """The kind of a file of passages, by its name.

    Raises:
        UserError: when it is not there, or is of no kind that is read.
    """
    name = path.name.lower()
    kind = (name if name.endswith("parquet") else name.removesuffix(".gz")).rpartition(".")[2]
    if path.is_file() and kind in ("parquet", "jsonl", *_PARSERS):
        return kind
    found = "is a folder" if path.is_dir() else "is of another kind" if path.exists() else "does not exist"
    raise UserError(f"{path} {found}; expected a file of passages, .parquet, .jsonl, .tsv or .txt: correct --corpus.")


def _items(path: Path, kind: str) -> Iterator[Passage | BadRow]:
    if kind == "parquet":
        return parsed_records(of_parquet(path, partial(_columns, path), _ADVICE), _passage)
    if kind == "jsonl":
        return objects(path, _passage, f"{NO_OBJECT}; expected one with a string `text`", _ADVICE)
    return read_lines(path, _PARSERS[kind], _ADVICE)


def _columns(path: Path, has: list[str]) -> list[str]:
    """The columns to read of those that there are."""
    if "text" not in has:
        raise UserError(f"{path} has no column 'text'; it has {', '.join(has) or 'none'}. Rename the passages'.")
    return [name for name in (*IDENTIFIERS, "title", "text") if name in has]


def _passage(record: dict) -> Passage:
    identifier = next((key for key in IDENTIFIERS if optional(record, key)), None)
    text = required(record, "text")
    return Passage(text, optional(record, "title"), optional(record, identifier) if identifier else None)


def _tsv(number: int, line: bytes) -> Passage:
    identifier, tab, text = text_of(line).partition("\t")
    if not tab:
        raise Malformed("has no second column; expected an identifier, a tab and a passage")
    return Passage(text, passage_id=identifier.strip())


_PARSERS: dict[str, Callable[[int, bytes], Passage]] = {
    "tsv": _tsv,
    "txt": lambda number, line: Passage(text_of(line)),
}

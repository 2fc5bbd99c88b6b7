"""Files of queries that training must not repeat, as benchmarks export them.

    .txt      a query a line
    .tsv      identifier, tab, query (topics of MIRACL, queries of BEIR, MS MARCO)
    .jsonl    objects with a text under `query`, `question` or `text`, the first of these that is there
    .parquet  a column `query`

Text is UTF-8; blank lines are passed over.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from tdro.artifacts.files import read_texts
from tdro.errors import UserError
from tdro.readers.filekinds import check_parquet
from tdro.readers.files import NOT_UTF8, TO_UTF8, Malformed, check_length, json_value, lines
from tdro.text.strings import encodable

_KEYS = ("query", "question", "text")
_ADVICE = "correct it in `dedup.queries`"


def read_queries(path: str | Path) -> Iterator[str]:
    """The queries of a file, in its order; holds a line at a time, or a batch of a Parquet file.

    Args:
        path: A file that ends in one of ``tdro.config.data.KINDS``.

    Raises:
        UserError: for a file that cannot be read, or a line without a query, naming file and line.
    """
    path = Path(path)
    if path.suffix.lower() == ".parquet":
        try:
            check_parquet(path, _ADVICE)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}; {_ADVICE}.") from None
        return read_texts(path, "query")
    return _lines(path)


def _lines(path: Path) -> Iterator[str]:
    kind = path.suffix.lower()
    for number, line in enumerate(lines(path, json=kind == ".jsonl", advice=_ADVICE), start=1):
        if not line.strip():
            continue
        try:
            check_length(line)
            yield _PARSERS[kind](line)
        except Malformed as error:
            raise UserError(f"{path}, line {number} {error}; correct the line, or {_ADVICE}.") from None


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise Malformed(f"{NOT_UTF8} ({TO_UTF8})") from None


def _second_column(line: bytes) -> str:
    columns = _text(line).split("\t")
    if len(columns) < 2:
        raise Malformed("has no second column; expected an identifier, a tab and a query")
    return columns[1]


def _json_text(line: bytes) -> str:
    row = json_value(line)
    value = next((row[key] for key in _KEYS if key in row), None) if isinstance(row, dict) else None
    if not isinstance(value, str):
        raise Malformed("has no query; expected an object with a text under `query`, `question` or `text`")
    return encodable(value)


_PARSERS: dict[str, Callable[[bytes], str]] = {".txt": _text, ".tsv": _second_column, ".jsonl": _json_text}

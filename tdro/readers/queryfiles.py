"""Files of queries that training must not repeat, as benchmarks export them.

    .txt      a query a line
    .tsv      identifier, tab, query (topics of MIRACL, queries of BEIR, MS MARCO)
    .jsonl    objects with a text under `query`, `question` or `text`, the first of these that is there
    .parquet  a column `query`

Text is UTF-8; blank lines are passed over.
"""

from collections.abc import Iterator
from pathlib import Path

from tdro.artifacts.files import read_texts
from tdro.readers.filekinds import check_parquet
from tdro.readers.files import NOT_UTF8, TO_UTF8, Malformed, objects, read_lines, strict, text_of, unreadable
from tdro.text.strings import encodable

_KEYS = ("query", "question", "text")
_NO_QUERY = "has no query; expected an object with a text under `query`, `question` or `text`"
_ADVICE = "correct it in `dedup.queries`"


def read_queries(path: str | Path) -> Iterator[str]:
    """The queries of a file, in its order; holds a line at a time, or a batch of a Parquet file.

    Args:
        path: A file that ends in one of ``tdro.config.data.KINDS``.

    Raises:
        UserError: for a file that cannot be read, or a line without a query, naming file and line.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind == ".parquet":
        try:
            check_parquet(path, _ADVICE)
        except OSError as error:
            raise unreadable(path, error, _ADVICE) from None
        return read_texts(path, "query")
    if kind == ".jsonl":
        found = objects(path, _query, _NO_QUERY, _ADVICE)
    else:
        found = read_lines(path, _text if kind == ".txt" else _second_column, _ADVICE)
    return strict(found, f"correct the line, or {_ADVICE}")


def _text(number: int, line: bytes) -> str:
    return text_of(line, f"{NOT_UTF8} ({TO_UTF8})")


def _second_column(number: int, line: bytes) -> str:
    columns = _text(number, line).split("\t")
    if len(columns) < 2:
        raise Malformed("has no second column; expected an identifier, a tab and a query")
    return columns[1]


def _query(record: dict) -> str:
    value = next((record[key] for key in _KEYS if key in record), None)
    if not isinstance(value, str):
        raise Malformed(_NO_QUERY)
    return encodable(value)

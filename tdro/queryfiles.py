"""Files of queries that training must not repeat, as benchmarks export them.

    .txt      a query a line
    .tsv      identifier, tab, query (topics of MIRACL, queries of BEIR, MS MARCO)
    .jsonl    objects with a text under `query`, `question` or `text`, the first of these that is there
    .parquet  a column `query`

Text is UTF-8; blank lines are passed over.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from tdro.artifacts import read_texts
from tdro.errors import UserError
from tdro.texts import encodable

_KEYS = ("query", "question", "text")


def read_queries(path: str | Path) -> Iterator[str]:
    """The queries of a file, in its order; holds a line at a time, or a batch of a Parquet file.

    Args:
        path: A file that ends in one of ``tdro.config.KINDS``.

    Raises:
        UserError: for a file that cannot be read, or a line without a query, naming file and line.
    """
    suffix = Path(path).suffix.lower()
    return read_texts(path, "query") if suffix == ".parquet" else _lines(Path(path), _PARSERS[suffix])


def _lines(path: Path, parse: Callable[[str], str | None]) -> Iterator[str]:
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                query = parse(line.rstrip("\r\n"))
                if query is None:
                    raise UserError(f"{path}, line {number}: expected {_EXPECTED[path.suffix.lower()]}.")
                yield query
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 after line {number}; convert it.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; correct it in `dedup.queries`.") from None


def _second_column(line: str) -> str | None:
    columns = line.split("\t")
    return columns[1] if len(columns) > 1 else None


def _json_text(line: str) -> str | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    value = next((row[key] for key in _KEYS if key in row), None) if isinstance(row, dict) else None
    return encodable(value) if isinstance(value, str) else None


_PARSERS: dict[str, Callable[[str], str | None]] = {".txt": str, ".tsv": _second_column, ".jsonl": _json_text}
_EXPECTED = {
    ".tsv": "an identifier, a tab and a query",
    ".jsonl": "an object with a text under `query`, `question` or `text`",
}

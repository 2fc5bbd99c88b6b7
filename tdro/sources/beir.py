"""A folder in BEIR's layout: ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/{split}.tsv``.

``path`` may also be one of the qrels files, to choose the split by name (MS MARCO's ``dev.tsv``).
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tdro.errors import UserError
from tdro.sources import Passage, Row, Split
from tdro.sources.jsonl import lines, objects

_SPLITS = {"train": ("train",), "test": ("test", "dev")}


def read(path: Path, split: Split) -> Iterator[Row | Passage]:
    """Yield the whole corpus, then a row a query that has a relevant passage, in the order of the qrels.

    Raises:
        UserError: for missing files, malformed lines, or qrels that name unknown queries or passages.
    """
    folder, qrels = _files(path, split)
    corpus = {}
    for passage_id, value, place in _records(folder / "corpus.jsonl"):
        corpus[passage_id] = Passage(_string(value, "text", place), str(value.get("title") or ""), passage_id)
        yield corpus[passage_id]
    queries = {i: _string(value, "text", place) for i, value, place in _records(folder / "queries.jsonl")}
    for query_id, passage_ids in _relevant(qrels).items():
        for known, name, file in ((queries, query_id, "queries"), *((corpus, p, "corpus") for p in passage_ids)):
            if name not in known:
                raise UserError(f"{qrels} names {name!r}, which {folder / file}.jsonl does not hold; get both anew.")
        yield Row(queries[query_id], [corpus[p] for p in passage_ids], query_id=query_id)


def _files(path: Path, split: Split) -> tuple[Path, Path]:
    """The dataset's folder and the qrels file to read."""
    if path.is_file():
        return path.parent.parent, path
    for name in _SPLITS[split]:
        if (path / "qrels" / f"{name}.tsv").is_file():
            return path, path / "qrels" / f"{name}.tsv"
    raise UserError(
        f"{path / 'qrels'} has no {' or '.join(f'{name}.tsv' for name in _SPLITS[split])}; "
        "expected a folder in BEIR's layout, or one of its qrels files."
    )


def _records(path: Path) -> Iterator[tuple[str, dict, str]]:
    """Identifier, object and place of every line."""
    empty = True
    for value, place in objects(lines(path), str(path)):
        empty = False
        yield _string(value, "_id", place), value, place
    if empty:
        raise UserError(f"{path} is empty; expected one JSON object a line.")


def _string(value, key: str, place: str) -> str:
    if not isinstance(value, dict) or not isinstance(value.get(key), str):
        raise UserError(f"{place} has no string `{key}`; expected BEIR's {{'_id': ..., 'text': ...}}.")
    return value[key]


def _relevant(qrels: Path) -> dict[str, list[str]]:
    """Passages with a score above 0, for each query."""
    relevant: dict[str, list[str]] = defaultdict(list)
    for number, line in enumerate(lines(qrels), start=1):
        cells = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")
        if (number == 1 and cells[0] == "query-id") or cells == [""]:
            continue
        if len(cells) != 3 or not re.fullmatch(r"\s*-?\d+\s*", cells[2]):
            raise UserError(f"{qrels}, line {number} is not `query-id<TAB>corpus-id<TAB>score`.")
        if int(cells[2]) > 0:
            relevant[cells[0]].append(cells[1])
    if not relevant:
        raise UserError(f"{qrels} marks no passage as relevant; expected scores above 0.")
    return relevant

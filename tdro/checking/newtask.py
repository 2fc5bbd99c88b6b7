"""A file of data becomes an entry of the registry: which reader, which columns, which language."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tdro.artifacts import strictyaml
from tdro.artifacts.files import replacing
from tdro.checking.facts import Facts
from tdro.checking.findings import Finding, findings
from tdro.checking.looks import look_at
from tdro.config.complaints import PATTERNS
from tdro.config.data import Data, Dedup
from tdro.config.registry import Columns, Registry, Source, Task
from tdro.config.sections import as_name, parse
from tdro.errors import UserError
from tdro.readers.fetch import dataset_job, find
from tdro.readers.hub import data_files
from tdro.readers.jsonl import is_row
from tdro.readers.parts import either
from tdro.readers.peek import columns_of, first_records, kind_of, kind_of_file
from tdro.text.strings import count_words

# What columns are called, the surest first; case, spaces and signs between words do not count.
_CALLED = {
    "query": "query question anchor search prompt sentence1 text1 instruction input title subject headline q",
    "positive": "positive pos answer acceptedanswer bestanswer response passage context document output sentence2 "
    "text2 completion chosen reply body text content description abstract summary exp a",
    "negatives": "negatives negative hardnegatives hardnegative neg rejected",
    "query_id": "queryid qid questionid",
}
# Records that columns are guessed from.
_RECORDS = 200
# Rows that are held out at most, and the share of all.
_HELD_OUT, _SHARE = 100, 0.1
_INSTRUCTION = "Given a query, retrieve the passage that answers it."


class NewTask(NamedTuple):
    """A task that the registry does not have yet.

    Attributes:
        name: Its name.
        entry: Its entry, as YAML has it.
        facts: What its first rows are.
        findings: What is odd about them.
    """

    name: str
    entry: dict[str, Any]
    facts: Facts
    findings: list[Finding]


def new_task(
    data: str, most: int, name: str | None = None, columns: Mapping[str, str] | None = None, path: str | None = None
) -> NewTask:
    """Guess what a file, folder or pattern holds, or a dataset of the hub, and look at its first rows.

    Args:
        data: A path, or ``ORG/NAME`` of the hub where nothing lies at that path.
        most: Rows that are looked at.
        name: Of the task; by default what the data are called.
        columns: Columns or templates by what they are, such as ``query``; the others are guessed.
        path: Of a dataset of the hub, the file or pattern in it; by default its training files of one kind.

    Raises:
        UserError: where nothing lies there, it cannot be read, or its columns cannot be guessed.
    """
    source = _source(data, columns or {}, path)
    name = name or _named(data)
    facts = _facts(name, _entry(source, "en"), most)
    if (cleaned := _cleaned(source, facts)) != source:
        facts = _facts(name, _entry(source := cleaned, "en"), most)
    entry = _entry(source, _language(facts), len(facts.queries))
    if facts.look.pairs and facts.look.negatives == len(facts.look.pairs):
        entry = {**entry, "negatives": "provided", "source": source}
    facts.look.entry = parse(Task, entry, name)
    return NewTask(name, entry, facts, list(findings(facts, Data())))


def _facts(name: str, entry: dict[str, Any], most: int) -> Facts:
    look = look_at(name, parse(Task, entry, name), most)
    if look.wrong or look.absent:
        raise UserError(look.wrong or look.absent)
    return Facts(look, Dedup().distance)


def written(task: NewTask, indent: int = 2) -> str:
    """The entry as YAML, as it stands below ``tasks:``."""
    whole = yaml.safe_dump({task.name: task.entry}, sort_keys=False, allow_unicode=True, width=1000)
    return "".join(f"{' ' * indent}{line}\n" for line in whole.splitlines())


def append(task: NewTask, registry: Path) -> None:
    """Put the entry behind the last task of a registry, whose other lines stay as they are; make one where none is.

    Raises:
        UserError: when the registry cannot be read, or has a dataset of that name.
    """
    text = registry.read_text(encoding="utf-8") if registry.exists() else "tasks:\n"
    if registry.exists():
        document = strictyaml.read(text, str(registry))
        known = parse(Registry, document.values, str(registry), document.written)
        if task.name in {*known.tasks, *known.benchmarks}:
            raise UserError(f"{registry} has a dataset {task.name!r} already; choose another name with --name.")
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if re.match(r"tasks:\s*(#.*)?$", line)]
    if not starts:
        raise UserError(f"{registry} has no line `tasks:` with tasks below it; add the entry by hand.")
    after = range(starts[0] + 1, len(lines))
    end = next((number for number in after if re.match(r"[^\s#]", lines[number])), len(lines))
    while end > starts[0] + 1 and re.match(r"\s*$|#", lines[end - 1]):  # what stands before the next section is its own
        end -= 1
    if not lines[end - 1].endswith("\n"):
        lines[end - 1] += "\n"
    first = next((lines[number] for number in after if re.match(r" +[^\s#]", lines[number])), "  x")
    lines.insert(end, written(task, len(first) - len(first.lstrip(" "))))
    whole = "".join(lines)
    document = strictyaml.read(whole, str(registry))
    parse(Registry, document.values, str(registry), document.written)
    with replacing(registry) as partial:
        partial.write_text(whole, encoding="utf-8")


def _source(data: str, columns: Mapping[str, str], path: str | None) -> dict[str, Any]:
    """The source as the registry has it."""
    there = Path(data).expanduser()
    if either(there, "corpus.jsonl"):
        return {"reader": "beir", "path": data}
    hub = not there.exists() and re.match(PATTERNS["repository"][0], data) is not None
    if not hub:
        return _with_place(_of_files(there, columns), path=data)
    commit, path = data_files(data, path)
    fetched = Source(reader="jsonl", hub=data, path=path, revision=commit)
    read = _of_files(find(dataset_job(fetched), None) / path, columns)
    return _with_place(read, hub=data, revision=commit, path=path)


def _with_place(source: dict[str, Any], **place: str) -> dict[str, Any]:
    """The source with where it lies behind its reader."""
    return {"reader": source["reader"], **place, **source}


def _of_files(path: Path, columns: Mapping[str, str]) -> dict[str, Any]:
    """Reader and columns of local files."""
    if path.name.lower().endswith((".tar.gz", ".tgz")):
        return {"reader": "released"}
    records = first_records(path, _RECORDS)
    if not records:
        raise UserError(f"{path} holds no rows.")
    if kind_of(path) == ".jsonl" and not columns and all(map(is_row, records)):
        return {"reader": "jsonl"}
    return {"reader": "table", "columns": _columns(path, records, columns)}


def _columns(path: Path, records: list[Any], told: Mapping[str, str]) -> dict[str, str]:
    """What each column is for.

    Raises:
        UserError: where that cannot be told.
    """
    has = columns_of(records)
    plain = {re.sub(r"[\W_]", "", name.lower()): name for name in reversed(has)}
    found = dict(told)
    for role, names in _CALLED.items():
        free = {key: name for key, name in plain.items() if name not in found.values()}
        if role not in found and (meant := next((free[key] for key in names.split() if key in free), None)):
            found[role] = meant
    title, body = plain.get("title"), plain.get("body")
    if title and body and found.get("query") == title and "query" not in told and found.get("positive") != body:
        found["query"] = f"{{{title}}} {{{body}}}"
    texts = [name for name in has if _words(records, name) and not name.lower().endswith("id")]
    if not {"query", "positive"} <= set(found) and not told and len(texts) == 2:
        found["query"], found["positive"] = sorted(texts, key=lambda name: _words(records, name))
    if missing := [role for role in ("query", "positive") if role not in found]:
        raise UserError(
            f"{path}: which column is the {missing[0]}? It has {', '.join(has) or 'none'}; name it with "
            f"--{missing[0]} COLUMN, or a template of several."
        )
    order = list(Columns.model_fields)
    return dict(sorted(found.items(), key=lambda item: order.index(item[0])))


def _words(records: list[Any], column: str) -> int:
    """Words of a column in all records; 0 where one of its cells is no text."""
    cells = [record.get(column) for record in records if isinstance(record, dict)]
    texts = [cell for cell in cells if isinstance(cell, str)]
    return sum(map(count_words, texts)) if len(texts) == len([cell for cell in cells if cell is not None]) else 0


def _entry(source: dict[str, Any], language: str, queries: int = 0) -> dict[str, Any]:
    entry = {"category": "own", "language": language, "instruction": _INSTRUCTION}
    held_out = min(_HELD_OUT, int(queries * _SHARE))
    return entry | ({"held_out": held_out} if held_out else {}) | {"source": source}


def _cleaned(source: dict[str, Any], facts: Facts) -> dict[str, Any]:
    """The source, with ``clean`` where texts look like markup."""
    kind = facts.markup.kind
    return source | {"clean": kind} if kind else source


def _language(facts: Facts) -> str:
    """The language of most texts; English where none can be told."""
    return facts.languages.most_common(1)[0][0] if facts.languages else "en"


def _named(data: str) -> str:
    stem = re.sub(r"(\.gz|\.tar)$", "", Path(data.rstrip("/")).name)
    stem = stem.removesuffix(kind_of_file(Path(stem)) or "").removesuffix(".tar")
    return as_name(stem) or "task"


def notes(task: NewTask) -> Iterator[str]:
    """Sentences on what was found, for people."""
    facts = task.facts
    look = facts.look
    more = "" if look.ended else "+"
    yield (
        f"{look.rows:,}{more} rows; of the first {len(look.pairs):,}: {len(facts.queries):,} distinct queries of "
        f"{facts.query_words:.0f} words, {len(facts.passages):,} distinct passages of {facts.passage_words:.0f} words"
    )
    yield from (finding.text for finding in task.findings)
    yield "Say in `instruction` what a searcher wants, and in `category` what kind of data these are."

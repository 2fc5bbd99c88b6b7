"""Readers: one module a source, each turning what it reads into rows of query and passages.

A reader is a generator function ``read`` in the module of its name. It yields, as it reads and in an
order that never changes, a :class:`Row` for each example; where the source has a corpus of its own,
all of its passages as bare :class:`Passage` objects, before the rows that name them by
:class:`PassageId`; and a :class:`BadRow` for what it cannot understand, so that it goes on. What it
holds meanwhile must not grow with the source's texts. A reader of a package takes its
:class:`~tdro.readers.archives.Archive`; a reader of local data takes a path and the split (``train`` or
``test``), one of tables also the columns; a reader that needs neither takes nothing. One of records, whose keys or
columns have names, takes a :class:`~tdro.readers.where.Where` last and yields None for a record that it does not take.
Cleaning that only one source needs is the reader's task. What a source's ``clean`` asks for is done here, for all
readers; the other rules that hold for all of them are those of :mod:`tdro.data.prepare`.
"""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Literal, NamedTuple

from tdro.artifacts.shapes import MALFORMED, said
from tdro.config.nearest import hint
from tdro.config.registry import Source
from tdro.errors import UserError
from tdro.readers.archives import BROKEN, Archive
from tdro.readers.fetch import dataset_job, find
from tdro.readers.where import Where
from tdro.text import markup

Split = Literal["train", "test"]


class Passage(NamedTuple):
    """What is searched. ``passage_id`` is the source's own, if it has one."""

    text: str
    title: str = ""
    passage_id: str | None = None


class PassageId(NamedTuple):
    """A passage of the source's own corpus, which came before as a :class:`Passage`."""

    passage_id: str


class Row(NamedTuple):
    """One example: a query, at least one passage that answers it, and hard negatives if the source has them."""

    query: str
    positives: Sequence[Passage | PassageId]
    negatives: Sequence[Passage | PassageId] = ()
    query_id: str | None = None


class BadRow(NamedTuple):
    """Something malformed: where it stands (file and line) and, as the sentence goes on, what is wrong."""

    place: str
    reason: str


Item = Row | Passage | BadRow

#: Every reader, and the key of :class:`~tdro.config.registry.Source` that it needs; ``columns`` needs ``path``, too.
READERS: dict[str, Literal["package", "path", "columns", "nothing"]] = {
    "beir": "path", "jsonl": "path", "released": "path", "table": "columns",
    "arxiv_tags": "package", "attack_procedure": "package", "aws_api": "package", "az_cli": "package",
    "cf_names": "package", "cwe_cve": "package", "django_xling": "package", "factbook": "package",
    "hpo_synonym": "package", "icd10cm": "package", "jupyterlab_xling": "package", "py_code": "nothing",
    "registry_dup": "package", "research_repo": "package", "zh_dictionary": "package", "zh_riddle": "package",
}  # fmt: skip

#: Readers of records whose keys or columns have names, which ``where`` of a source compares.
OF_RECORDS = ("jsonl", "released", "table")


def rows(source: Source, split: Split = "train", fetched: Path | None = None) -> Iterator[Item]:
    """Stream what ``source`` holds.

    Args:
        source: the reader's name, and the path or package it reads.
        split: which part to read, where a source has parts (``beir``).
        fetched: manifest of what was fetched ahead; without it, hub data and packages are fetched now.

    Raises:
        UserError: for an unknown reader, a missing key, a source that cannot be read as a whole, or, at the end, one of
            which ``where`` takes no row.
    """
    check_source(source)
    where = Where(source.where, source.path or source.hub or source.reader)
    taken = where.through(_read(source, split, fetched, where))
    clean = cleaner(source)
    return (_cleaned(item, clean) for item in taken) if clean else taken


def cleaner(source: Source) -> Callable[[str], str] | None:
    """What takes the markup of a source's texts away; None where they stay as they are."""
    return {"html": markup.of_html, "markdown": markup.of_markdown}.get(source.clean)


def cleaned(passage: Passage, clean: Callable[[str], str]) -> Passage:
    """The same with texts without markup."""
    return passage._replace(text=clean(passage.text), title=clean(passage.title))


def _cleaned(item: Item, clean: Callable[[str], str]) -> Item:
    if isinstance(item, Passage):
        return cleaned(item, clean)
    if not isinstance(item, Row):
        return item

    def of(passages: Sequence[Passage | PassageId]) -> list[Passage | PassageId]:
        return [cleaned(one, clean) if isinstance(one, Passage) else one for one in passages]

    return item._replace(query=clean(item.query), positives=of(item.positives), negatives=of(item.negatives))


def _read(source: Source, split: Split, fetched: Path | None, where: Where) -> Iterator[Item | None]:
    """What the reader yields."""
    needs = READERS[source.reader]
    if needs in ("nothing", "package"):
        read = import_module(f"tdro.readers.demo.{source.reader}").read
        return _of_package(read, source, fetched) if needs == "package" else read()
    read = import_module(f"tdro.readers.{source.reader}").read
    folder = find(dataset_job(source), fetched) if source.hub else Path()
    columns = [source.columns] if needs == "columns" else []
    records = [where] if source.reader in OF_RECORDS else []
    return read(folder / (source.path or ""), split, *columns, *records)


def _of_package(read: Callable[[Archive], Iterator[Item]], source: Source, fetched: Path | None) -> Iterator[Item]:
    """What the reader of a package yields, which knows the files of one version of it."""
    try:
        yield from read(Archive(find(dataset_job(source), fetched)))
    except (*MALFORMED, *BROKEN, SyntaxError) as error:
        raise UserError(
            f"package {source.package} is not the version that the reader {source.reader!r} expects ({said(error)}); "
            "correct `package` and `sha256` of the source in the registry."
        ) from None


def check_source(source: Source) -> None:
    """Raises UserError: when the reader is unknown, lacks a key that it needs or has columns that it cannot use."""
    if source.reader not in READERS:
        raise UserError(
            f"reader {source.reader!r} is unknown{hint(source.reader, READERS)}; the readers are {', '.join(READERS)}."
        )
    needs = READERS[source.reader]
    for key in {"columns": ("path", "columns"), "nothing": ()}.get(needs, (needs,)):
        if getattr(source, key) is None and not (source.hub and key == "path"):
            raise UserError(f"reader {source.reader!r} needs the key `{key}`; add it under `source` in the registry.")
    if source.columns and needs != "columns":
        raise UserError(f"reader {source.reader!r} knows its columns; remove `columns` or set `reader: table`.")
    if source.where and source.reader not in OF_RECORDS:
        raise UserError(
            f"reader {source.reader!r} does not know `where`, which is for {', '.join(OF_RECORDS)}; remove it."
        )
    if source.hub and needs not in ("path", "columns"):
        raise UserError(f"reader {source.reader!r} does not read hub datasets; remove `hub` in the registry.")

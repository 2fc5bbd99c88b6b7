"""The first rows of a source, read as preparation would read them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tdro.config.registry import Benchmark, Source, Task
from tdro.errors import UserError
from tdro.progress import Progress
from tdro.readers.base import BadRow, Passage, PassageId, Row, Split, rows
from tdro.readers.fetch import dataset_job, find
from tdro.readers.peek import first_records
from tdro.readers.testsets.base import is_testset, open_testset
from tdro.text.strings import mended, passage_text

#: Rows beyond those that are looked at are counted, up to so many times as many.
COUNTED = 20
# Records whose cells are counted.
_RECORDS = 1000


@dataclass
class Look:
    """What the first rows of a dataset hold.

    Attributes:
        name: Of the dataset.
        entry: Its entry of the registry.
        pairs: Of each row the query and its positives, as they are read: title, a space, text.
        negatives: How many rows have some.
        passages: Passages of the source's own corpus.
        bad: Malformed rows among these.
        records: Of a table the first records as they are, by their columns.
        rows: How many rows were counted.
        ended: Whether that is all of them.
        wrong: Why the source cannot be read.
        absent: Why it was not looked at: its data are not here.
    """

    name: str
    entry: Task | Benchmark
    pairs: list[tuple[str, list[str]]] = field(default_factory=list)
    negatives: int = 0
    passages: list[str] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    records: list[dict] = field(default_factory=list)
    rows: int = 0
    ended: bool = False
    wrong: str | None = None
    absent: str | None = None

    @property
    def queries(self) -> list[str]:
        """The queries, one a row."""
        return [query for query, _ in self.pairs]

    @property
    def positives(self) -> list[str]:
        """All positives, one after the other."""
        return [text for _, texts in self.pairs for text in texts]


def look_at(name: str, entry: Task | Benchmark, most: int, fetched: Path | None = None) -> Look:
    """Read the first rows of a dataset.

    Args:
        name: Its name.
        entry: Its entry of the registry.
        most: Rows, and passages of a corpus, that are kept.
        fetched: Manifest of what was fetched ahead; without it, hub data and packages are fetched now.
    """
    look = Look(name, entry)
    source = entry.source
    if source.reader == "mteb":
        look.absent = "mteb loads it when the run starts"
        return look
    remote = bool(source.hub or source.package)
    try:
        if isinstance(entry, Benchmark) and is_testset(source):
            _read_testset(look, source, entry.parts, most)
        else:
            _read_rows(look, source, "train" if isinstance(entry, Task) else "test", most, fetched)
    except UserError as error:
        # What cannot be fetched now may come when the run starts.
        if remote and not look.pairs and not look.bad and "cannot be fetched" in str(error):
            look.absent = str(error)
        else:
            look.wrong = str(error)
    return look


def _read_rows(look: Look, source: Source, split: Split, most: int, fetched: Path | None) -> None:
    corpus: dict[str, str] = {}
    if source.columns:
        folder = find(dataset_job(source), fetched) if source.hub else Path()
        records = first_records(folder / (source.path or ""), _RECORDS)
        look.records = [record for record in records if isinstance(record, dict)]
    for item in Progress(f"{look.name}: read", "rows").through(rows(source, split, fetched)):
        if isinstance(item, Row):
            look.rows += 1
            if look.rows > COUNTED * most:
                return
            if look.rows <= most:
                look.pairs.append((mended(item.query), list(_texts(item.positives, corpus))))
                look.negatives += bool(item.negatives)
        elif isinstance(item, BadRow):
            look.bad.append(item)
            if len(look.bad) > most:
                return
        else:
            if len(corpus) < COUNTED * most:
                corpus[item.passage_id or str(len(corpus))] = _shown(item)
            if len(look.passages) < most:
                look.passages.append(_shown(item))
    look.ended = True


def _texts(passages: Iterable[Passage | PassageId], corpus: dict[str, str]) -> Iterator[str]:
    for passage in passages:
        if isinstance(passage, Passage):
            yield _shown(passage)
        elif passage.passage_id in corpus:
            yield corpus[passage.passage_id]


def _read_testset(look: Look, source: Source, parts: list[str], most: int) -> None:
    """Queries and passages of each part, as many of each."""
    each = max(1, most // max(1, len(parts)))
    look.ended = True
    for part in parts or [None]:
        testset = open_testset(source, part)
        topics = list(islice(testset.queries(), each + 1))
        look.rows += len(topics[:each])
        look.ended &= len(topics) <= each
        look.pairs += [(mended(topic.text), []) for topic in topics[:each]]
        if not (isinstance(look.entry, Benchmark) and look.entry.corpus):
            look.passages += [_shown(passage) for passage in islice(testset.documents(), each)]


def _shown(passage: Passage) -> str:
    return mended(passage_text(passage.title, passage.text))

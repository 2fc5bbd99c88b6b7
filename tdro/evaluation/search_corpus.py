"""A part of a corpus, searched for the queries of all test sets that search it.

    model/, corpus.parquet, queries.parquet, ... -> rankings/{corpus}/{part}.parquet (tdro.retrieval.rankings)

A corpus of millions of passages is searched by several jobs, each a part, and by several processes a job. What is
kept of a shard are the best passages of every query, not the embeddings: those of 33 million passages are 270 GB.
Shards lie among the checkpoints until the part has all of its own (:mod:`tdro.retrieval.makeshards`). They are cut into
the blocks that :func:`tdro.retrieval.exact.rank` reads, so that rankings do not depend on how many parts and processes
there are, and are those of one pass.

The queries are shards, too, so that each is encoded by one process of a job and not by all of them.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tdro.artifacts.beside import take_away
from tdro.artifacts.digests import known_digest
from tdro.artifacts.files import stamps
from tdro.artifacts.versions import of_stage
from tdro.config.commands import EvalDataset, Miner
from tdro.config.models import Encoding, Model
from tdro.config.prompts import TaskPrompts
from tdro.data import corpora
from tdro.errors import UserError
from tdro.evaluation.costs import Cost, Stopwatch
from tdro.evaluation.energy import Joules
from tdro.evaluation.metrics import RANKED
from tdro.evaluation.topics import Topics, read_topics
from tdro.models.processes import processes
from tdro.progress import Progress
from tdro.retrieval.encoder import QUERIES, Encoder
from tdro.retrieval.exact import Ranking, searches
from tdro.retrieval.makeshards import Part, make_shards
from tdro.retrieval.merging import merged, none_yet
from tdro.retrieval.rankings import write_rankings
from tdro.retrieval.retrievers import open_encoder
from tdro.retrieval.shards import Workspace
from tdro.text.strings import passage_texts

#: Blocks of a shard, which is what a killed run loses at most: 32,768 passages, minutes of a model of 8 billion
#: parameters on a GPU. More of them make fewer files, each with the best passages of every query.
BLOCKS = 4
#: What is kept of a passage that is among the best.
_HIT = np.dtype([("row", np.int32), ("score", np.float32)])
#: A retriever, and what stands before texts.
Opened = tuple[Encoder, TaskPrompts]


class Portion(NamedTuple):
    """One of the parts of a corpus, which are about equal."""

    number: int
    of: int

    def shards(self, number: int) -> range:
        """Its shards, one after the other, out of so many of the corpus; none where there are too few."""
        return range((self.number - 1) * number // self.of, self.number * number // self.of)


def portion(text: str) -> Portion:
    """A part as a path names it: ``3of17``.

    Raises:
        UserError: for another text.
    """
    found = re.fullmatch(r"(\d+)of(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(f"{text!r} is no part of a corpus; write 3of17 for the third of 17 parts.")
    return Portion(int(found[1]), int(found[2]))


def search_corpus(
    retriever: Miner | Model | Path,
    encoding: Encoding,
    tests: Mapping[str, EvalDataset],
    part: Portion,
    output: Path,
    checkpoints: Path,
    *,
    fetched: Path | None = None,
    dimensions: Sequence[int] = (),
    costs: Path | None = None,
) -> None:
    """Write the best passages of a part of a corpus for each query, as :func:`tdro.retrieval.exact.rank` finds them.

    Args:
        retriever: Folder of a trained retriever, the miner, or a base model.
        encoding: Precision and batch size of the forward pass; how a base reads texts.
        tests: Test sets by name; all of them search one corpus.
        part: Which part of the corpus.
        output: File to write.
        checkpoints: Folder for shards until the part has all of its own.
        fetched: Manifest of an untrained model, fetched ahead.
        dimensions: Numbers of an embedding to rank by as well.
        costs: Folder to write what the part took to; None: nobody asks.

    Raises:
        UserError: for a model that cannot be loaded, test sets that search several corpora, or one that is missing,
            empty or inconsistent.
    """
    corpus, asked = _read(tests)
    number, size = corpora.passages(corpus), BLOCKS * corpora.BLOCK
    mine = part.shards(-(-number // size))
    first, end = mine.start * size, min(mine.stop * size, number)
    identity = _identity(retriever, encoding, tests, dimensions) | {"part": f"{part.number}of{part.of}"}
    watch = Stopwatch(embeds=True)
    opened = cache(lambda: open_encoder(retriever, encoding, fetched))
    queries = _Queries(Workspace(checkpoints.with_name(f"{checkpoints.name}.queries"), identity, np.float32), asked)
    if first < end:
        queries.encode(opened, tests)
    workspace = Workspace(checkpoints, identity, _HIT)
    starts = range(first, end, size)
    shards = Part(f"{corpus.parent} {identity['part']}", workspace, max(0, end - first), size, lambda: starts)

    def make(searcher: _Searcher, _: Part, start: int, progress: Progress) -> tuple[np.ndarray, dict[str, int]]:
        return searcher.search(corpus, start, min(start + size, end), progress)

    def finish() -> None:
        write_rankings(output, _best(asked, workspace, shards.shards, dimensions))
        if costs:
            counts = [workspace.counts(number) for number in range(shards.shards)]
            counts += queries.counts() if first < end else []  # a part without passages has encoded none
            _write_costs(costs, part, list(tests), counts, max(0, end - first), watch)
        workspace.remove()
        queries.remove()

    load = lambda: _Searcher(opened(), tests, queries, dimensions)  # noqa: E731
    if searcher := make_shards([shards], load, make, ("encoded", "passages"), finish):
        searcher.encoder.cuts.tell(shards.name)


def _read(tests: Mapping[str, EvalDataset]) -> tuple[Path, dict[str, Topics]]:
    """The corpus, and the queries of each test set."""
    corpus, *others = sorted({test.corpus for test in tests.values()})
    if others:
        raise UserError(f"`tests` search {corpus} and {others[0]}; give those that search one corpus.")
    return Path(corpus), read_topics(tests)


class _Counted:
    """Seconds and tokens of a shard, and when it was begun."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self._tokens = encoder, encoder.cuts.tokens
        self._at, self._started = time.time(), time.monotonic()

    def counts(self) -> dict[str, Any]:
        """Them, for the file beside the shard."""
        seconds, tokens = time.monotonic() - self._started, self._encoder.cuts.tokens - self._tokens
        return {"began": self._at, "seconds": seconds, "tokens": tokens}


def _write_costs(
    folder: Path, part: Portion, tests: list[str], counts: list[dict[str, Any]], read: int, watch: Stopwatch
) -> None:
    """What a part took, of all starts of its job; in the place of costs of another number of parts."""
    _, joules = watch.lap()
    if any(count["began"] < watch.made for count in counts):
        joules = Joules(None, None)
    seconds = sum(count["seconds"] for count in counts) / processes().num_processes
    queries, tokens = (sum(count.get(key, 0) for count in counts) for key in ("queries", "tokens"))
    gpus = processes().num_processes if watch.gpus else 0
    for other in folder.glob("*of*.json"):
        if not other.stem.endswith(f"of{part.of}"):
            other.unlink(missing_ok=True)
    cost = Cost(tests, seconds, watch.device, gpus, queries, read, tokens, *joules)
    cost.write(folder / f"{part.number}of{part.of}.json")


class _Queries:
    """The queries of all test sets, of which each process encodes some blocks."""

    def __init__(self, workspace: Workspace, asked: Mapping[str, Topics]) -> None:
        self._workspace, self._asked = workspace, asked
        self._blocks = [(name, start) for name, of in asked.items() for start in range(0, len(of.texts), QUERIES)]

    def encode(self, opened: Callable[[], Opened], tests: Mapping[str, EvalDataset]) -> None:
        """Make the blocks that are missing; all processes call it."""

        def make(loaded: Opened, _: Part, block: tuple[str, int], progress: Progress) -> tuple[np.ndarray, dict]:
            (name, start), (encoder, prompts) = block, loaded
            encoder.read_as(name, tests[name], prompts)
            counted = _Counted(encoder)
            embeddings = encoder.queries(self._asked[name].texts[start : start + QUERIES])
            progress.add(1)
            return embeddings, counted.counts() | {"queries": len(embeddings)}

        part = Part("queries", self._workspace, len(self._blocks), 1, lambda: self._blocks)
        make_shards([part], opened, make, ("encoded", "blocks of queries"), lambda: None)

    def of(self, name: str) -> np.ndarray:
        """Embeddings of the queries of a test set, once all are made."""
        numbers = [number for number, (other, _) in enumerate(self._blocks) if other == name]
        return np.concatenate([self._workspace.read(number) for number in numbers])

    def counts(self) -> list[dict[str, Any]]:
        """What was counted of each block."""
        return [self._workspace.counts(number) for number in range(len(self._blocks))]

    def remove(self) -> None:
        """Delete them."""
        take_away(self._workspace.folder)


class _Searcher:
    """A retriever, and the embeddings of all queries.

    Test sets whose passages are read alike are searched in the same embeddings; one that is symmetric, or that the
    model has a prompt of its own for, in others.
    """

    def __init__(
        self, opened: Opened, tests: Mapping[str, EvalDataset], queries: _Queries, dimensions: Sequence[int]
    ) -> None:
        self.encoder = opened[0]
        self._dimensions = dimensions
        self._asked: dict[str | None, dict[str, np.ndarray]] = {}  # by the prompt of passages
        self._names = list(tests)
        for name, test in tests.items():
            self.encoder.read_as(name, test, opened[1])
            self._asked.setdefault(self.encoder.passage_prompt, {})[name] = queries.of(name)

    def search(self, corpus: Path, first: int, end: int, progress: Progress) -> tuple[np.ndarray, dict[str, int]]:
        """The best of some passages, of shape (dimensions, queries of all test sets, depth), and the dimension."""
        counted = _Counted(self.encoder)
        nearest = {
            name: searches(embeddings, RANKED, self._dimensions)
            for alike in self._asked.values()
            for name, embeddings in alike.items()
        }
        for start, table in corpora.blocks(corpus, first=first, end=end):
            texts = passage_texts(table)
            for prompt, alike in self._asked.items():
                self.encoder.passage_prompt = prompt
                block = self.encoder.passages(texts)
                for search in (search for name in alike for search in nearest[name].values()):
                    search.look(start, block)
            progress.add(len(table))
        sizes = list(next(iter(nearest.values())))
        best = [[nearest[name][size].best for name in self._names] for size in sizes]
        hits = np.stack([np.concatenate([_hits(*found) for found in of_size]) for of_size in best])
        return hits, counted.counts() | {"dimension": sizes[0]}


def _hits(rows: np.ndarray, scores: np.ndarray) -> np.ndarray:
    hits = np.empty(rows.shape, _HIT)
    hits["row"], hits["score"] = rows, scores
    return hits


def _best(
    asked: Mapping[str, Topics], workspace: Workspace, shards: int, dimensions: Sequence[int]
) -> Iterator[tuple[str, list[str], list[Ranking]]]:
    """The best passages of a part by its shards: each test set with the identifiers of its queries, and rankings."""
    if not shards:
        return
    whole = workspace.counts(0)["dimension"]
    sizes = [whole, *(size for size in dimensions if size < whole)]
    best = [none_yet(sum(len(topics.ids) for topics in asked.values()), RANKED) for _ in sizes]
    for number in range(shards):
        hits = workspace.read(number)
        best = [
            merged(so_far, (found["row"].astype(np.int64), found["score"]), RANKED)
            for so_far, found in zip(best, hits, strict=True)
        ]
    start = 0
    for name, topics in asked.items():
        own = slice(start, start := start + len(topics.ids))
        found = [Ranking(size, rows[own], scores[own]) for size, (rows, scores) in zip(sizes, best, strict=True)]
        yield name, topics.ids, found


def _identity(
    retriever: Miner | Model | Path, encoding: Encoding, tests: Mapping[str, EvalDataset], dimensions: Sequence[int]
) -> dict:
    """What a shard depends on; the number of processes is not among it."""
    from tdro.models.modelfiles import model_files

    described: Any
    if isinstance(retriever, Path):
        reference, described = str(retriever), str(retriever)
    else:
        reference = retriever.model if isinstance(retriever, Miner) else retriever.base
        described = retriever.watched()
    files = sorted({file for test in tests.values() for file in (test.corpus, test.queries)})
    return {
        "model": described,
        "files": stamps(model_files(reference)),
        "encoding": encoding.watched(),
        "tests": {name: test.watched() for name, test in tests.items()},
        "dimensions": list(dimensions),
        "texts": {file: known_digest(Path(file)) for file in files},
        **of_stage(__name__)._asdict(),
    }

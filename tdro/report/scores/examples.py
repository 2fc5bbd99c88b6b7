"""Queries that a mixture won and lost against the baseline, with the passages that both found first.

Counted are differences that are means over the seeds, as everywhere. The passages are those of the first seed, so the
queries that are shown have a large difference both over the seeds and with the first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from tdro.artifacts.files import column_names, read_rows, verified
from tdro.artifacts.layout import IN_DOMAIN, Layout
from tdro.artifacts.schemas import CORPUS
from tdro.config.commands import BASELINE, Content
from tdro.data.corpora import whole_rows
from tdro.errors import UserError
from tdro.formats import METRIC_NAMES, cut
from tdro.report.scores.queries import ALL_SEEDS, Name, Pair, Retriever, Scores
from tdro.text.strings import passage_text

# Queries of each side, and characters of their texts.
_EXAMPLES, _QUERY, _PASSAGE = 5, 220, 170
# A difference that is more than a rounding.
_LEAST = 1e-6


@dataclass(frozen=True)
class Found:
    """A passage; whether it is relevant is None where answers decide, not judgements."""

    text: str
    relevant: bool | None


@dataclass(frozen=True)
class Example:
    """A query with both scores of the first seed, and what both found first.

    Attributes:
        dataset: Where it comes from.
        query: Its text.
        before: The baseline's score.
        after: The mixture's.
        base: What the baseline found first.
        found: What the mixture found first.
        relevant: A relevant passage, where neither has one among those.
    """

    dataset: str
    query: str
    before: str
    after: str
    base: list[Found]
    found: list[Found]
    relevant: str


@dataclass(frozen=True)
class Examples:
    """The examples of a task or benchmark.

    Attributes:
        model, mixture: Which retriever stands beside the baseline.
        heading: The task or the benchmark.
        metric: What decides.
        counts: Queries won, lost, and the same, over all seeds.
        won, lost: The queries with the largest differences.
    """

    model: str
    mixture: str
    heading: str
    metric: str
    counts: tuple[int, int, int]
    won: list[Example]
    lost: list[Example]


#: A query by its dataset and its place there.
_Query = tuple[Pair, int]


def collect(
    settings: Content, layout: Layout, retrievers: Mapping[Name, Retriever], shown: Mapping[str, str]
) -> list[Examples]:
    """Examples of every task, then of every benchmark; none where the evaluations have not left what was found.

    Args:
        settings: What the report covers.
        layout: Where the results lie.
        retrievers: What they scored.
        shown: Of each model the mixture to look at.

    Raises:
        UserError: for a missing or wrong file.
    """
    return [
        one
        for model, mixture in shown.items()
        for heading, pairs in _groups(settings)
        for one in _of_group(settings, layout, retrievers, (model, mixture), heading, pairs)
    ]


def _groups(settings: Content) -> Iterator[tuple[str, list[Pair]]]:
    """Each task by itself, each benchmark with all its parts."""
    for benchmark, datasets in settings.benchmarks.items():
        pairs = [(benchmark, dataset) for dataset in datasets]
        if benchmark == IN_DOMAIN:
            yield from ((pair[1], [pair]) for pair in pairs)
        else:
            yield benchmark, pairs


def _of_group(
    settings: Content,
    layout: Layout,
    retrievers: Mapping[Name, Retriever],
    name: Name,
    heading: str,
    pairs: Sequence[Pair],
) -> Iterator[Examples]:
    base, here = (retrievers[name[0], mixture].whole for mixture in (BASELINE, name[1]))
    seed = settings.seeds[0] if settings.seeds[0] in base else ALL_SEEDS
    first = [(pair, base[seed][pair], here[seed][pair]) for pair in pairs]
    if any(scores.first is None for _, *both in first for scores in both):
        return
    queries = [(pair, place) for pair, scores, _ in first for place in range(len(scores.values))]
    mean = np.concatenate([_main(here[ALL_SEEDS][pair]) - _main(base[ALL_SEEDS][pair]) for pair in pairs])
    of_first = np.concatenate([_main(mine) - _main(other) for _, other, mine in first])
    sides = [
        _examples(settings, layout, base[seed], here[seed], _largest(sign * mean, sign * of_first, queries))
        for sign in (1, -1)
    ]
    won, lost = (int((sign * mean > _LEAST).sum()) for sign in (1, -1))
    metric = METRIC_NAMES[first[0][1].metrics[0]]
    yield Examples(*name, heading, metric, (won, lost, len(mean) - won - lost), *sides)


def _main(scores: Scores) -> np.ndarray:
    return scores.values[:, 0]


def _largest(mean: np.ndarray, of_first: np.ndarray, queries: Sequence[_Query]) -> list[_Query]:
    """The queries with the largest differences, both over the seeds and with the first."""
    least = np.minimum(mean, of_first)
    return [queries[n] for n in np.argsort(-least, kind="stable")[:_EXAMPLES] if least[n] > _LEAST]


def _examples(
    settings: Content,
    layout: Layout,
    base: Mapping[Pair, Scores],
    here: Mapping[Pair, Scores],
    queries: Sequence[_Query],
) -> list[Example]:
    by_pair: dict[Pair, list[int]] = {}
    for pair, place in queries:
        by_pair.setdefault(pair, []).append(place)
    read = {pair: _texts(settings, layout, pair, base[pair], here[pair], of) for pair, of in by_pair.items()}
    return [_example(pair, place, base[pair], here[pair], read[pair]) for pair, place in queries]


@dataclass(frozen=True)
class _Texts:
    """Queries by their identifiers, with the rows of their relevant passages; passages by their rows."""

    queries: dict[str, str]
    relevant: dict[str, list[int] | None]
    passages: dict[int, str]


def _texts(settings: Content, layout: Layout, pair: Pair, base: Scores, here: Scores, places: Sequence[int]) -> _Texts:
    corpus, asked = _files(settings, layout, pair)
    ids = [base.queries[place] for place in places]
    columns = [name for name in ("query_id", "query", "positives", "answers") if name in column_names(asked)]
    table = pl.read_parquet(verified(asked), columns=columns).filter(pl.col("query_id").is_in(ids))
    by_answers = "answers" in columns and table["answers"].null_count() < len(table)
    sample = whole_rows(Path(corpus))
    whole = None if sample is None else {row: place for place, row in enumerate(sample.tolist())}
    if missing := set(ids) - set(table["query_id"]):
        raise UserError(
            f"{asked} has no query {min(missing)!r}, which scores of {pair[1]} name: they are of other data. Delete "
            "the scores and let the workflow evaluate again."
        )
    relevant = {
        row["query_id"]: None if by_answers else _in_corpus(row["positives"], whole)
        for row in table.iter_rows(named=True)
    }
    found = np.unique(np.concatenate([scores.first[list(places)].ravel() for scores in (base, here)]))
    wanted = {int(row) for row in found if row >= 0} | {rows[0] for rows in relevant.values() if rows}
    passages = {
        row: cut(passage_text(passage["title"] or "", passage["text"] or ""), _PASSAGE)
        for row, passage in read_rows(corpus, CORPUS, wanted).items()
    }
    return _Texts(dict(zip(table["query_id"], table["query"], strict=True)), relevant, passages)


def _in_corpus(positives: Sequence[int], whole: Mapping[int, int] | None) -> list[int]:
    """Rows of the corpus that was searched."""
    return list(positives) if whole is None else [whole[row] for row in positives if row in whole]


def _files(settings: Content, layout: Layout, pair: Pair) -> tuple[str, str]:
    """Corpus and queries of a dataset."""
    benchmark, dataset = pair
    if benchmark == IN_DOMAIN:
        return layout.held_out(dataset, "corpus.parquet"), layout.held_out(dataset, "queries.parquet")
    corpus = settings.corpora.get(dataset, dataset)
    return layout.benchmark(corpus, "corpus.parquet"), layout.benchmark(dataset, "queries.parquet")


def _example(pair: Pair, place: int, base: Scores, here: Scores, texts: _Texts) -> Example:
    name = base.queries[place]
    relevant = texts.relevant[name]
    before, after = (
        [Found(texts.passages[row], None if relevant is None else row in relevant) for row in rows if row >= 0]
        for rows in (scores.first[place].tolist() for scores in (base, here))
    )
    seen = any(found.relevant for found in before + after)
    return Example(
        pair[1],
        cut(texts.queries[name], _QUERY),
        f"{_main(base)[place]:.2f}",
        f"{_main(here)[place]:.2f}",
        before,
        after,
        texts.passages[relevant[0]] if relevant and not seen else "",
    )

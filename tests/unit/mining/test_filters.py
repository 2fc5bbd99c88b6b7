import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdro.artifacts.files import read_counts, read_table, write_table
from tdro.artifacts.lists import Lists
from tdro.artifacts.schemas import CANDIDATES, CORPUS, NEGATIVES, QUERIES
from tdro.config.mining import Select
from tdro.mining.filters import Block, Passages, select
from tdro.mining.ranks import ranks_of
from tdro.mining.select import select_negatives
from tdro.text.relations import said_keys

TEXTS = ["alpha", "beta", "gamma", "delta", "epsilon"]


def corpus_of(number):
    return [f"passage {i}" for i in range(number)]


@dataclass
class Decision:
    mined: np.ndarray
    filled: np.ndarray
    dropped: dict


def lists(values):
    return Lists.from_arrow(pa.array(values, pa.list_(pa.int32())))


def block_of(queries):
    """A block of (row, text, positives, positive score, ranking, scores)."""
    rows, texts, positives, positive_scores, rankings, scores = zip(*queries, strict=True)
    return Block(
        np.array(rows), said_keys(texts), lists(positives), np.array(positive_scores, dtype=float), lists(rankings),
        np.concatenate([np.array(s, dtype=float) for s in scores]),
    )  # fmt: skip


def decide(texts, rows, positives, *, scores=None, text="the query", positive_score=1.0, row=0, **mining):
    """Rows chosen, and the selection, for a query whose ranking of ``texts`` is ``rows``."""
    scores = np.linspace(1, 0, len(rows)) if scores is None else scores
    block = block_of([(row, text, positives, positive_score, list(rows), scores)])
    (selection,), dropped = select(block, Passages(said_keys(texts)), Select(**mining))
    chosen = [*np.array(rows)[selection.mined].tolist(), *selection.filled.tolist()]
    return chosen, Decision(selection.mined, selection.filled, dropped)


def test_ranks_count_positives_as_the_released_code_does():
    rows, selection = decide(corpus_of(10), [0, 4, 1, 2, 3, 5], [4], ranks=(1, 5), samples=9, too_few="drop")
    assert rows == [1, 2, 3]
    assert [n for n in selection.dropped.values() if n] == [2, 1]


def test_positives_beyond_the_first_do_not_use_up_the_room():
    rows, selection = decide(corpus_of(10), [4, 0, 1, 2, 3, 5, 6], [4, 0, 2], ranks=(1, 4), samples=9, too_few="drop")
    assert rows == [1, 3, 5]
    assert selection.dropped["outside the ranks"] == 2
    assert selection.dropped["positives"] == 2


def test_scores_beyond_the_limits_are_dropped_and_counted():
    rows, selection = decide(
        corpus_of(9), [0, 1, 2, 3, 4], [8], scores=[0.9, 0.7, 0.5, 0.3, 0.1], min_score=0.3, max_score=0.7,
        ranks=(0, 9), samples=9, too_few="keep_with",
    )  # fmt: skip
    assert rows == [1, 2, 3]
    assert (selection.dropped["above the maximum score"], selection.dropped["below the minimum score"]) == (1, 1)


def test_a_query_that_keeps_what_it_has_is_not_filled_up():
    rows, _ = decide(corpus_of(50), [0, 1, 2], [0], ranks=(0, 9), samples=9, too_few="keep_with")
    assert rows == [1, 2]


def test_a_fill_out_of_millions_is_drawn_outside_the_ranking():
    keys = np.arange(3_000_000, dtype=np.uint64)
    block = block_of([(0, "query", [7], 1.0, [3, 7], [0.9, 0.8])])
    (selection,), _ = select(block, Passages(keys), Select(ranks=(0, 2), samples=200))
    assert len(set(selection.filled.tolist()) - {3, 7}) == 199


def test_texts_equal_but_for_case_and_white_space_are_dropped():
    texts = ["The  Answer", "the answer", "THE QUERY", "another", "Straße", "STRASSE"]
    rows, selection = decide(texts, [0, 1, 2, 3, 4], [0], text="the\tquery", ranks=(0, 9), samples=9, too_few="drop")
    assert rows == [3, 4]
    assert selection.dropped["say the same"] == 2
    rows, _ = decide(texts, [4, 5, 3], [4], ranks=(0, 9), samples=9, too_few="drop")
    assert rows == [3]


@pytest.mark.parametrize(
    ("positive_score", "margin", "expected"),
    [(0.8, 0.25, [3, 4, 5]), (0.8, 0.0, [2, 3, 4, 5]), (0.8, None, [1, 2, 3, 4, 5]), (-0.4, 0.25, [5])],
)
def test_margin_is_relative_to_the_size_of_the_positive_score(positive_score, margin, expected):
    # Limits: 0.6, 0.8, none, and -0.5 (a margin below a negative score lies lower, not higher).
    scores = [0.9, 0.85, 0.7, 0.5, -0.45, -0.6]
    rows, _ = decide(
        corpus_of(9), [0, 1, 2, 3, 4, 5], [0], scores=scores, positive_score=positive_score, margin=margin,
        ranks=(0, 9), samples=9, too_few="drop",
    )  # fmt: skip
    assert rows == expected


def test_gaps_are_filled_from_outside_the_ranking():
    rows, selection = decide(corpus_of(1000), range(20), [5], ranks=(2, 20), samples=30, margin=0.5)
    assert rows[:10] == list(range(10, 20))
    assert len(rows) == len(set(rows)) == 30
    assert min(selection.filled) >= 20


def test_a_corpus_without_others_gives_the_lowest_ranked_back():
    rows, selection = decide(corpus_of(6), range(6), [0], ranks=(2, 6), samples=5, margin=0.5)
    assert rows == [3, 4, 5, 2, 1]
    assert selection.filled.tolist() == [2, 1]


def test_a_single_passage_gives_no_negative():
    rows, _ = decide(["only"], [0], [0], ranks=(0, 9), samples=3)
    assert rows == []


def test_fill_is_uniform_over_what_is_left():
    hits = np.zeros(12)
    for row in range(3000):
        rows, _ = decide(corpus_of(12), [3, 7], [0], row=row, ranks=(1, 2), samples=2)
        assert rows[0] == 7
        hits[rows[1]] += 1
    assert hits[[0, 3, 7]].sum() == 0
    rest = hits[hits > 0]
    assert len(rest) == 9
    # 3000 / 9 a passage; five standard deviations of a binomial count are 86.
    assert abs(rest - 3000 / 9).max() < 86


@dataclass
class Case:
    texts: list
    rows: list
    positives: list
    scores: list
    text: str
    mining: dict


@st.composite
def cases(draw):
    texts = draw(st.lists(st.sampled_from([*TEXTS, *map(str.upper, TEXTS), *corpus_of(12)]), min_size=1, max_size=25))
    everything = draw(st.permutations(range(len(texts))))
    depth = draw(st.integers(1, len(texts)))
    scores = sorted(draw(st.lists(st.floats(-1, 1), min_size=depth, max_size=depth)), reverse=True)
    positives = draw(st.lists(st.sampled_from(range(len(texts))), min_size=1, max_size=3, unique=True))
    first = draw(st.integers(0, 4))
    mining = {
        "ranks": (first, first + draw(st.integers(1, 30))),
        "samples": draw(st.integers(1, 12)),
        "margin": draw(st.none() | st.floats(0, 0.9)),
        "too_few": draw(st.sampled_from(["fill_random", "keep_with", "drop"])),
    }
    return Case(texts, everything[:depth], positives, scores, draw(st.sampled_from(TEXTS)), mining)


def run(case, row=0):
    return decide(
        case.texts, case.rows, case.positives, scores=case.scores, text=case.text, positive_score=0.5, row=row,
        **case.mining,
    )  # fmt: skip


@given(cases())
def test_whatever_is_chosen_is_allowed(case):
    rows, selection = run(case)
    mined = selection.mined.tolist()
    forbidden = {case.text.lower(), *(case.texts[p].lower() for p in case.positives)}
    assert len(rows) == len(set(rows)) <= case.mining["samples"]
    assert not set(rows) & set(case.positives)
    assert not {case.texts[row].lower() for row in rows} & forbidden
    assert mined == sorted(mined)
    end = case.mining["ranks"][1] + len(case.positives) - 1
    assert all(case.mining["ranks"][0] <= rank < end for rank in mined)
    if case.mining["margin"] is not None:
        assert all(case.scores[rank] <= 0.5 - 0.5 * case.mining["margin"] for rank in mined)


@given(cases())
def test_as_many_are_chosen_as_there_are(case):
    rows, selection = run(case)
    samples = case.mining["samples"]
    left = len(case.rows) - sum(selection.dropped.values())
    forbidden = {case.text.lower(), *(case.texts[p].lower() for p in case.positives)}
    allowed = sum(text.lower() not in forbidden for text in case.texts)
    assert len(selection.mined) == min(samples, left)
    assert len(rows) == (min(samples, allowed) if case.mining["too_few"] == "fill_random" else len(selection.mined))


@given(st.lists(cases(), min_size=2, max_size=4))
def test_a_block_decides_as_its_queries_do_alone(several):
    texts, settings = several[0].texts, Select(**several[0].mining)
    queries = [
        (row, case.text, [p % len(texts) for p in case.positives[:1]], 0.5, several[0].rows, several[0].scores)
        for row, case in enumerate(several)
    ]
    together, dropped = select(block_of(queries), Passages(said_keys(texts)), settings)
    alone = [select(block_of([query]), Passages(said_keys(texts)), settings) for query in queries]
    for one, ((other,), _) in zip(together, alone, strict=True):
        assert (one.mined.tolist(), one.filled.tolist()) == (other.mined.tolist(), other.filled.tolist())
    assert dropped == {name: sum(counts[name] for _, counts in alone) for name in dropped}


@given(cases(), st.integers(0, 5))
def test_a_query_is_decided_alone(case, row):
    expected = run(case, row)[0]
    for other in (3, 1, 4):
        run(case, other)
    assert run(case, row)[0] == expected


def test_seed_and_query_change_the_sample():
    samples = [
        decide(corpus_of(200), range(100), [0], row=row, seed=seed, samples=16)[0] for row in (0, 1) for seed in (1, 2)
    ]
    assert len({tuple(rows) for rows in samples}) == 4


def test_what_answers_a_query_that_says_the_same_is_no_negative(tmp_path):
    passages = ["Lima", "It is Lima.", "LIMA!", "Cusco", "capital of peru", "Arequipa", "it is  lima"]
    queries = ["Capital of Peru?", "a quite different one", "capital of Peru"]
    positives = [[0], [3], [1]]
    empty = [""] * len(passages)
    write_table(tmp_path / "corpus.parquet", {"passage_id": passages, "title": empty, "text": passages}, CORPUS)
    columns = {"query_id": queries, "query": queries, "positives": positives, "negatives": [[]] * 3}
    write_table(tmp_path / "queries.parquet", columns, QUERIES)
    ranking = {"query": [0, 1, 2], "candidates": [list(range(7))] * 3, "scores": [[0.5] * 7] * 3}
    write_table(tmp_path / "candidates.parquet", ranking | {"positive_scores": [[0.5]] * 3}, CANDIDATES)
    files = [tmp_path / f"{name}.parquet" for name in ("candidates", "corpus", "queries", "negatives")]
    select_negatives(*files, Select(ranks=(0, 7), samples=7))
    assert read_table(files[3], NEGATIVES)["negatives"].to_pylist() == [[3, 5], [0, 1, 2, 4, 5, 6], [3, 5]]


@pytest.mark.parametrize(
    ("passages", "samples", "ranks"),
    [
        (150, 16, (2, 18)),
        (300, 16, (2, 30)),
        (991, 16, (2, 100)),
        (10**7, 16, (2, 100)),
        (500, 60, (2, 62)),
        (9, 300, (2, 100)),
    ],
)
def test_ranks_of_a_small_corpus_end_at_its_nearest_tenth(passages, samples, ranks):
    assert ranks_of(Select(samples=samples), passages) == ranks


@given(st.integers(1, 5000), st.integers(1, 300))
def test_ranks_never_pass_those_of_the_paper_and_grow_with_the_corpus(passages, samples):
    first, end = ranks_of(Select(samples=samples), passages)
    assert first == 2 < end <= 100
    assert end >= min(100, 2 + samples)
    assert end <= ranks_of(Select(samples=samples), passages + 1)[1]


@given(st.integers(1, 5000))
def test_ranks_that_are_given_are_kept(passages):
    assert ranks_of(Select(ranks=(0, 700)), passages) == (0, 700)


def test_in_a_small_corpus_no_far_passage_is_mined():
    """Of 300 passages the nearest tenth ends at rank 30; a tight margin leaves too few, which random ones fill up."""
    rows, selection = decide(corpus_of(300), range(100), [0])
    assert len(rows) == 16 and not len(selection.filled)
    assert min(selection.mined) >= 2 and max(selection.mined) < 30
    assert selection.dropped["outside the ranks"] == 72
    _, selection = decide(corpus_of(300), range(100), [0], margin=0.2)
    assert (selection.mined.tolist(), len(selection.filled)) == (list(range(20, 30)), 6)


def far_ranks(folder, number, **settings):
    """Counts and warnings of mining for two queries of a corpus of ``number`` passages, all ranked up to 100."""
    passages, ranking = corpus_of(number), list(range(min(100, number)))
    empty = [""] * number
    write_table(folder / "corpus.parquet", {"passage_id": passages, "title": empty, "text": passages}, CORPUS)
    columns = {"query_id": ["a", "b"], "query": ["one", "two"], "positives": [[0], [0, 5, 6]], "negatives": [[]] * 2}
    write_table(folder / "queries.parquet", columns, QUERIES)
    rows = {"query": [0, 1], "candidates": [ranking] * 2, "scores": [[0.5] * len(ranking)] * 2}
    write_table(folder / "candidates.parquet", rows | {"positive_scores": [[0.5], [0.5] * 3]}, CANDIDATES)
    files = [folder / f"{name}.parquet" for name in ("candidates", "corpus", "queries", "negatives")]
    select_negatives(*files, Select(**settings))
    return read_counts(files[3])["mined behind the nearest tenth of the corpus"]


@pytest.mark.parametrize(
    ("number", "settings", "mined", "warned"),
    [
        # Ranks 15 to 99 of the one query, 17 to 99 of the other, whose further positives move the end back.
        (150, {"ranks": (2, 100), "samples": 100}, 85 + 83, False),  # no fewer ranks than samples
        (150, {"ranks": (50, 100)}, 16 + 16, True),
        (150, {"ranks": (2, 15)}, 0, False),
        (150, {"samples": 16}, 3 + 3, False),
        (300, {}, 0, False),
        (1000, {"ranks": (2, 100)}, 0, False),
    ],
)
def test_ranks_that_reach_far_into_a_corpus_are_counted_and_warned_of(
    tmp_path, caplog, number, settings, mined, warned
):
    caplog.set_level(logging.INFO)
    assert far_ranks(tmp_path, number, **settings) == mined
    said = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == warned
    if warned:
        assert "ranks 50 to 100 reach behind the nearest tenth of 150 passages" in said[0]
        assert "leave `mining.select.ranks` out, which stops before rank 18" in said[0]
    assert any(f"of {number} passages" in record.message for record in caplog.records)

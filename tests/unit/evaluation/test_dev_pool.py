import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tdro.artifacts.files import read_table, write_table
from tdro.artifacts.schemas import CORPUS, DEV_POOL, DEV_ROWS, QUERIES, TEST_QUERIES
from tdro.errors import UserError
from tdro.evaluation.dev_pool import HARD, POOL, dev_pool


def write_corpus(folder, texts, ids=None):
    ids = ids or [f"p{n}" for n in range(len(texts))]
    write_table(folder / "corpus.parquet", {"passage_id": ids, "title": [""] * len(texts), "text": texts}, CORPUS)


def candidates(folder, name="toy", seed=1, rows=True):
    """The candidates by the row of the query."""
    files = [folder / "corpus.parquet", folder / "queries.parquet", folder / "rows.parquet" if rows else None]
    dev_pool(name, *files, folder / "pool.parquet", seed)
    found = read_table(folder / "pool.parquet", DEV_POOL)
    return dict(zip(found["query"].to_pylist(), found["candidates"].to_pylist(), strict=True))


@given(
    number=st.sampled_from([12, 100, 255, 300, 600]),
    queries=st.lists(
        st.tuples(
            st.lists(st.integers(0, 11), min_size=1, max_size=3, unique=True),
            st.lists(st.integers(0, 11), max_size=12, unique=True),
        ),
        min_size=1,
        max_size=6,
    ),
    seed=st.integers(0, 3),
)
@settings(max_examples=60)
def test_of_a_task_come_positive_mined_negatives_and_a_shared_pool(tmp_path_factory, number, queries, seed):
    folder = tmp_path_factory.mktemp("task")
    write_corpus(folder, [f"passage {n}" for n in range(number)])
    negatives = [[row for row in rows if row not in positives] for positives, rows in queries]
    columns = {
        "query": [3 * n for n in range(len(queries))],
        "positives": [p for p, _ in queries],
        "negatives": negatives,
    }
    write_table(folder / "rows.parquet", columns, DEV_ROWS)
    found = candidates(folder, seed=seed)
    pools = []
    for (row, ranked), (positives, _), hard in zip(found.items(), queries, negatives, strict=True):
        assert row % 3 == 0
        assert ranked[: 1 + len(hard[:HARD])] == [positives[0], *hard[:HARD]]
        assert len(ranked) == len(set(ranked))
        assert not set(ranked[1:]) & set(positives)
        pools.append(ranked[1 + len(hard[:HARD]) :])
        assert len(pools[-1]) == min(POOL, number - len(set(positives) | set(hard[:HARD])))
    for one in pools:
        shared = [row for row in pools[0] if row in one]
        assert [row for row in one if row in pools[0]] == shared
        assert len(shared) >= len(one) - HARD - 3
    others = {positives[0] for positives, _ in queries}
    for (positives, _), hard, one in zip(queries, negatives, pools, strict=True):
        assert others - set(positives) - set(hard[:HARD]) <= set(one)
    assert candidates(folder, seed=seed) == found


def test_another_dataset_or_seed_has_another_pool(tmp_path):
    write_corpus(tmp_path, [f"passage {n}" for n in range(900)])
    write_table(tmp_path / "rows.parquet", {"query": [0], "positives": [[5]], "negatives": [[8]]}, DEV_ROWS)
    pools = [candidates(tmp_path, *which)[0] for which in (("toy", 1), ("toy", 2), ("other", 1))]
    assert all(one[:2] == [5, 8] and len(one) == 2 + POOL for one in pools)
    assert len({tuple(one) for one in pools}) == 3


def test_of_a_benchmark_bm25_finds_the_hard_negatives(tmp_path):
    """Passages share more words with the query the lower their number; the query is the first one itself."""
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    texts = [" ".join(words[: 12 - n] + [f"filler{n}x{k}" for k in range(n)]) for n in range(12)]
    write_corpus(tmp_path, [*texts, "quite another", "the answer"], ["q", *(f"p{n}" for n in range(1, 14))])
    columns = {
        "query_id": ["empty", "q", "gone"],
        "query": ["no judgement", texts[0], "its passage is gone"],
        "positives": [[], [13, 4, 2], []],
        "grades": [[], [1, 3, 2], [1]],
        "negatives": [[]] * 3,
        "answers": [None] * 3,
    }
    write_table(tmp_path / "queries.parquet", columns, TEST_QUERIES)
    found = candidates(tmp_path, rows=False)
    assert list(found) == [1]
    assert found[1][:8] == [4, 1, 3, 5, 6, 7, 8, 9]
    assert set(found[1][8:]) == {10, 11, 12}


def test_of_a_benchmark_without_grades_the_first_positive_is_to_be_found(tmp_path):
    write_corpus(tmp_path, [f"passage {n}" for n in range(9)])
    columns = {"query_id": ["a"], "query": ["passage"], "positives": [[6, 2]], "negatives": [[]]}
    write_table(tmp_path / "queries.parquet", columns, QUERIES)
    assert candidates(tmp_path, rows=False)[0][:3] == [6, 0, 1]


def test_what_has_no_dev_loss_is_refused(tmp_path):
    write_corpus(tmp_path, ["passage"])
    columns = {"query_id": ["a"], "query": ["who"], "positives": [[]], "negatives": [[]], "grades": [None]}
    write_table(tmp_path / "queries.parquet", columns | {"answers": [["me"]]}, TEST_QUERIES)
    with pytest.raises(UserError, match=r"toy has answers and no relevant passages, .* take it out of `dev`\.$"):
        candidates(tmp_path, rows=False)
    write_table(tmp_path / "rows.parquet", {"query": [], "positives": [], "negatives": []}, DEV_ROWS)
    with pytest.raises(UserError, match=r"toy: no dev query is left in .*rows\.parquet; raise `dev`"):
        candidates(tmp_path)
    assert not (tmp_path / "pool.parquet").exists()

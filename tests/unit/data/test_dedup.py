import random

import pytest
from simhash import Simhash, SimhashIndex

from tdro.artifacts.files import read_counts, read_table, write_table
from tdro.artifacts.schemas import DEV_QUERIES, DUPLICATES, NEGATIVES, QUERIES, TRAIN
from tdro.config.data import Dedup
from tdro.data.dedup import NO_DEV, Dev, dedup
from tdro.errors import UserError
from tdro.text.fingerprints import normalise

ENGLISH = "how does a lithium battery lose its charge over time when it is stored in cold weather without use"
CHINESE = "如何 学习 自然 语言 处理 以及 检索 系统 的 基本 原理 北京 天气 明天 会 下雨 吗 大学 图书馆 在 哪里"


def write_queries(path, texts, negatives=()):
    columns = {
        "query_id": [f"q{i}" for i in range(len(texts))],
        "query": texts,
        "positives": [[i] for i in range(len(texts))],
        "negatives": [list(negatives)] * len(texts),
    }
    write_table(path, columns, QUERIES)
    return path


class Stage:
    """The stage on files in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.train, self.duplicates = folder / "train.parquet", folder / "duplicates.parquet"

    def run(self, queries, evaluation, mined=None, distance=2, within=False, files=(), dev=NO_DEV):
        negatives = None
        if mined is not None:
            negatives = self.folder / "negatives.parquet"
            columns = {"query": list(mined), "negatives": list(mined.values()), "scores": [[0.5]] * len(mined)}
            write_table(negatives, columns | {"positive_scores": [[0.9]] * len(mined)}, NEGATIVES)
        path = write_queries(self.folder / "queries.parquet", queries, negatives=[7, 8])
        tests = {name: write_queries(self.folder / f"{name}.parquet", texts) for name, texts in evaluation.items()}
        settings = Dedup(distance=distance, within=within, queries=files)
        dedup(path, negatives, tests, self.train, self.duplicates, settings, dev=dev)
        train, duplicates = read_table(self.train, TRAIN), read_table(self.duplicates, DUPLICATES)
        return train.to_pylist(), duplicates.to_pylist()

    def dev(self, own, others=()):
        """Dev queries of this task, by row, and of another one."""
        for name, texts in (("own", own), ("other", dict(enumerate(others)))):
            columns = {"query_id": map(str, texts), "query": texts.values(), "row": texts}
            rows = {name: list(values) for name, values in columns.items()} | dict.fromkeys(
                ("positives", "negatives"), [[]] * len(texts)
            )
            write_table(self.folder / f"{name}-dev.parquet", rows, DEV_QUERIES)
        queries = {name: self.folder / f"{name}-dev.parquet" for name in ("own", "other")}
        return Dev(self.folder / "dev.parquet", queries["own"], queries)


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def planted(seed):
    """Training and evaluation queries of two languages; a third of the training queries repeat with small changes."""
    chance = random.Random(seed)
    texts = [" ".join(chance.choices(ENGLISH.split(), k=12)) for _ in range(150)]
    texts += ["".join(chance.choices(CHINESE.split(), k=9)) for _ in range(100)]
    evaluation = [*texts[:40], *texts[150:190]]
    changed = [chance.choice([str.upper, lambda t: t + " ?", lambda t: t.replace(" ", "_"), lambda t: t + "s"])(t)
               for t in evaluation]  # fmt: skip
    return texts[20:] + changed, evaluation


def test_removals_equal_those_of_the_packages_own_index(stage):
    queries, evaluation = planted(seed=3)
    index = SimhashIndex([(str(i), Simhash(normalise(text))) for i, text in enumerate(evaluation)], k=2)
    expected = [i for i, text in enumerate(queries) if index.get_near_dups(Simhash(normalise(text)))]

    train, duplicates = stage.run(queries, {"a": evaluation[::2], "b": evaluation[1::2]})

    assert [row["query"] for row in duplicates] == expected
    assert [row["query"] for row in train] == sorted(set(range(len(queries))) - set(expected))
    assert 80 < len(expected) < len(queries)
    for row in duplicates:
        assert row["text"] == queries[row["query"]]
        hashes = [Simhash(normalise(row[key])) for key in ("text", "matched")]
        assert hashes[0].distance(hashes[1]) == row["distance"] <= 2


def test_the_nearest_match_is_named_and_the_first_benchmark_on_ties(stage):
    evaluation = {"z": ["quite another question"], "b": ["Where is Rome?"], "a": ["where is rome", "where is rome"]}
    train, duplicates = stage.run(["where is rome", "who wrote it"], evaluation)
    assert duplicates == [
        {"query": 0, "text": "where is rome", "source": "b", "matched": "Where is Rome?", "distance": 0}
    ]
    assert train == [{"query": 1, "positives": [1], "negatives": [7, 8]}]


def test_mined_negatives_and_queries_that_mining_left_out(stage):
    queries = ["one fish", "two birds", "where is rome", "four cows"]
    train, duplicates = stage.run(queries, {"a": ["Where is Rome"]}, mined={3: [5], 2: [6], 0: []})
    assert train == [
        {"query": 0, "positives": [0], "negatives": []},
        {"query": 3, "positives": [3], "negatives": [5]},
    ]
    assert [row["query"] for row in duplicates] == [2]
    assert read_counts(stage.train) == {
        "queries": 4,
        "dropped by mining": 1,
        "near-duplicates of evaluation queries": 1,
        "near-duplicates within the task": 0,
        "training rows": 2,
        "training rows without a negative": 1,
    }


def test_without_evaluation_queries_nothing_is_removed(stage):
    train, duplicates = stage.run(["one", "one"], {})
    assert [row["query"] for row in train] == [0, 1]
    assert duplicates == []


def test_distance_zero_removes_equal_hashes_only(stage):
    queries, evaluation = planted(seed=4)
    wanted = {Simhash(normalise(text)).value for text in evaluation}
    expected = [i for i, text in enumerate(queries) if Simhash(normalise(text)).value in wanted]
    _, duplicates = stage.run(queries, {"a": evaluation}, distance=0)
    assert [row["query"] for row in duplicates] == expected


def test_a_task_without_rows_left_is_refused(stage):
    with pytest.raises(UserError, match=r"queries\.parquet: none of 1 queries is left"):
        stage.run(["where is rome"], {"a": ["where is rome"]})
    assert not stage.train.exists()


def test_negatives_of_other_queries_are_refused(stage):
    with pytest.raises(UserError, match=r"negatives\.parquet has negatives for query 9, but .* has 1 rows"):
        stage.run(["one"], {}, mined={0: [1], 9: [2]})


def test_within_a_task_the_first_row_that_is_left_stays(stage):
    queries = ["where is rome", "who wrote it", "Where is Rome?", "Who wrote it", "who wrote it!"]
    train, duplicates = stage.run(queries, {"a": ["where is rome!"]}, within=True)
    assert [row["query"] for row in train] == [1]
    assert [(r["query"], r["source"], r["matched"]) for r in duplicates] == [
        (0, "a", "where is rome!"),
        (2, "a", "where is rome!"),
        (3, "(itself)", "who wrote it"),
        (4, "(itself)", "who wrote it"),
    ]


def test_dev_rows_stand_in_a_file_of_their_own_and_take_what_is_near_out_of_training(stage):
    queries = ["where is rome", "who wrote it", "Where is Rome?", "one fish", "two birds", "three cows", "four pigs"]
    dev = stage.dev({0: queries[0], 5: queries[5]}, ["one fish!", "four dogs"])
    train, duplicates = stage.run(queries, {"a": ["three cows!", "Two birds"]}, dev=dev)
    assert [row["query"] for row in train] == [1, 6]
    assert read_table(dev.rows, TRAIN).to_pylist() == [{"query": 0, "positives": [0], "negatives": [7, 8]}]
    assert [(row["query"], row["source"], row["matched"]) for row in duplicates] == [
        (2, "own (dev)", "where is rome"),
        (3, "other (dev)", "one fish!"),
        (4, "a", "Two birds"),
    ]
    counts = read_counts(stage.train)
    assert counts == {
        "queries": 7,
        "dropped by mining": 0,
        "near-duplicates of evaluation queries": 1,
        "near-duplicates of dev queries": 2,
        "near-duplicates within the task": 0,
        "training rows": 2,
        "training rows without a negative": 0,
        "dev rows near an evaluation query": 1,
        "dev rows": 1,
    }


def test_without_dev_queries_dev_rows_are_an_empty_file(stage):
    train, _ = stage.run(["where is rome", "who wrote it"], {}, dev=Dev(stage.folder / "dev.parquet"))
    assert [row["query"] for row in train] == [0, 1]
    assert len(read_table(stage.folder / "dev.parquet", TRAIN)) == 0


def test_query_files_of_every_kind(stage):
    texts = {
        "a.txt": "first question here\n\n",
        "b.tsv": "q1\tsecond question here\n",
        "c.jsonl": '{"_id": "1", "text": "third question here"}\n{"question": "fourth question here", "text": "x"}\n',
    }
    for name, text in texts.items():
        (stage.folder / name).write_text(text)
    write_queries(stage.folder / "d.parquet", ["fifth question here"])
    files = [str(stage.folder / name) for name in (*texts, "d.parquet")]
    queries = [f"{n} question here" for n in ("First", "Second", "Third", "Fourth", "Fifth")]
    train, duplicates = stage.run([*queries, "something else"], {}, files=files)
    assert [row["source"] for row in duplicates] == ["a.txt", "b.tsv", "c.jsonl", "c.jsonl", "d.parquet"]
    assert [row["matched"] for row in duplicates] == [text.lower() for text in queries]
    assert [row["query"] for row in train] == [5]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.tsv", b"q1\tgood\nbad\n", r"a\.tsv, line 2 has no second column; expected an identifier, a tab"),
        ("a.jsonl", b'{"query": 3}\n', r"a\.jsonl, line 1 has no query; expected an object"),
        ("a.txt", b"\xff\xfe\n", r"a\.txt cannot be read: it is text in UTF-16"),
        ("a.parquet", b"x", r"a\.parquet cannot be read: it is text, not Parquet"),
    ],
)
def test_a_malformed_query_file_is_refused(stage, name, content, said):
    (stage.folder / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        stage.run(["one"], {}, files=[str(stage.folder / name)])
    assert not stage.train.exists()

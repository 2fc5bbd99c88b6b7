import pytest

from tdro.artifacts.files import read_table, write_table
from tdro.artifacts.schemas import CORPUS, LEAKS, QUERIES, TEST_QUERIES, TRAIN
from tdro.config.data import Dedup
from tdro.data.containment import SAMPLE
from tdro.data.dedup import dedup
from tdro.data.leaks import EXAMPLES, Evaluated, Trained, leaks
from tdro.errors import UserError

QUESTION = "which king built the old bridge over the river near the market square"
PASSAGE = "The bridge was built in 1357 under the emperor, who laid the first stone himself on a summer morning."
LONG = " ".join(
    f"sentence number {i} of a long passage tells of {i * 7919} stones and {i * 104729} more." for i in range(30)
)

EVALUATED = {
    "web": (["How tall is the Eiffel Tower", QUESTION, "who wrote the origin of species"], [PASSAGE, LONG]),
    "quora": (["what is a prime number"], ["what's the definition of prime numbers in mathematics"]),
    "clean": (["an evaluation query that nobody trains on"], ["and its passage is unknown as well"]),
}
KINDS = ("query_in_query", "query_in_positive", "passage_in_query", "passage_in_positive")


class Project:
    """Datasets that are evaluated on, and tasks, as files in a folder."""

    def __init__(self, root):
        self.root = root
        self.evaluation, self.training = {}, {}
        for name, (queries, passages) in EVALUATED.items():
            positives = [list(range(len(passages)))] * len(queries)
            columns = {"query_id": queries, "query": queries, "positives": positives, "negatives": [[]] * len(queries)}
            answers = {"grades": positives, "answers": [None] * len(queries)}
            write_table(root / f"{name}.parquet", columns | answers, TEST_QUERIES)
            self.evaluation[name] = Evaluated(root / f"{name}.parquet", self.corpus(name, [*passages, QUESTION]))

    def corpus(self, name, passages):
        columns = {
            "passage_id": [str(i) for i in range(len(passages))],
            "title": [""] * len(passages),
            "text": passages,
        }
        write_table(self.root / f"{name}.corpus.parquet", columns, CORPUS)
        return self.root / f"{name}.corpus.parquet"

    def task(self, name, pairs, left=None):
        """A task of pairs of a query and a positive; of these train the rows ``left``, or all."""
        files = Trained(*(self.root / f"{name}.{file}.parquet" for file in ("queries", "corpus", "train")))
        queries, rows = [query for query, _ in pairs], [[i] for i in range(len(pairs))]
        columns = {"query_id": queries, "query": queries, "positives": rows, "negatives": rows}
        write_table(files.queries, columns, QUERIES)
        self.corpus(name, [positive for _, positive in pairs])
        left = range(len(pairs)) if left is None else left
        lists = [[i] for i in left]
        write_table(files.train, {"query": list(left), "positives": lists, "negatives": lists}, TRAIN)
        self.training[name] = files
        return self

    def dedup(self):
        """Write the training rows that deduplication leaves, as generous as it can be."""
        queries = {name: dataset.queries for name, dataset in self.evaluation.items()}
        for task, files in self.training.items():
            dedup(files.queries, None, queries, files.train, self.root / f"{task}.dup.parquet", Dedup(distance=8))
        return self

    def check(self, files=()):
        leaks(self.evaluation, self.training, self.root / "leaks.parquet", files)
        return {row["dataset"]: row for row in read_table(self.root / "leaks.parquet", LEAKS).to_pylist()}


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def found(rows):
    return {name: tuple(row[kind] for kind in KINDS) for name, row in rows.items()}


def test_what_deduplication_misses_is_found(project):
    """Clauses in another order, a query inside a longer one, in a passage, passages among passages and queries."""
    king, place = QUESTION.split(" near ")
    project.task("reordered", [(f"near {place}: {king}", "an answer"), ("a question of its own", "p")])
    project.task("embedded", [("nothing like it", f"Some asked {QUESTION}, others did not."), ("and another one", "q")])
    project.task(
        "passages", [("who laid it", f"Long ago. {PASSAGE} It stands."), ("and what of the rest", LONG.upper())]
    )
    project.task("symmetric", [("What's the definition of prime numbers in mathematics, please?", "r")])
    rows = project.dedup().check()
    assert {name: row["queries"] for name, row in rows.items()} == {"web": 3, "quora": 1, "clean": 1}
    assert {name: row["passages"] for name, row in rows.items()} == {"web": 2, "quora": 1, "clean": 1}
    assert found(rows) == {"web": (1, 1, 0, 2), "quora": (0, 0, 1, 0), "clean": (0, 0, 0, 0)}
    assert not rows["clean"]["examples"]
    (example,) = rows["quora"]["examples"]
    assert example == {
        "kind": "passage",
        "side": "query",
        "task": "symmetric",
        "row": 0,
        "share": 1.0,
        "evaluation": "what's the definition of prime numbers in mathematics",
        "training": "What's the definition of prime numbers in mathematics, please?",
    }
    assert [(e["kind"], e["side"], e["task"]) for e in rows["web"]["examples"]] == [
        ("query", "query", "reordered"),
        ("query", "positive", "embedded"),
        ("passage", "positive", "passages"),
    ]
    assert len(rows["web"]["examples"]) == EXAMPLES
    assert 0.8 <= rows["web"]["examples"][0]["share"] < 1


def test_only_rows_that_are_trained_on_count(project):
    pairs = [("How tall is the Eiffel Tower?", PASSAGE), ("a question of its own", "p")]
    assert found(project.task("t", pairs, left=[1]).check())["web"] == (0, 0, 0, 0)
    rows = project.task("t", pairs).task("u", pairs).check()
    assert found(rows)["web"] == (1, 0, 0, 1)
    assert {example["task"] for example in rows["web"]["examples"]} == {"t"}


def test_unicode_forms_case_and_marks_do_not_hide_a_leak(project):
    project.evaluation = {"f": Evaluated(project.evaluation["web"].queries)}
    columns = {"query_id": ["1", "2"], "query": ["où est la clé du château fort", "是什么"], "positives": [[]] * 2}
    write_table(project.evaluation["f"].queries, columns | {"negatives": [[]] * 2}, QUERIES)
    project.task(
        "t",
        [("OU\u0300 est la cle\u0301 du cha\u0302teau\u3000ｆｏｒｔ !", "p"), ("是什么？", "q"), ("是什么东西呢", "r")],
    )
    assert found(project.check())["f"] == (2, 0, 0, 0)


def test_short_texts_are_found_only_alone(project):
    project.evaluation = {"web": project.evaluation["web"]}
    columns = {"query_id": ["1"], "query": ["Who am I"], "positives": [[]], "negatives": [[]]}
    write_table(project.evaluation["web"].queries, columns, QUERIES)
    assert found(project.task("t", [("so tell me who am i now", "who am i, he said")]).check())["web"] == (0, 0, 0, 0)
    assert found(project.task("t", [("a query", "who am I?")]).check())["web"] == (0, 1, 0, 0)


def test_files_of_queries_are_looked_for_as_well(project):
    (project.root / "own.txt").write_text("is this one of my own questions\nand one that is not there\n")
    project.task("t", [("Is this one of my own questions?", "p")])
    rows = project.check([str(project.root / "own.txt")])
    assert found(rows)["own.txt"] == (1, 0, 0, 0)
    assert (rows["own.txt"]["queries"], rows["own.txt"]["passages"]) == (2, 0)
    (project.root / "own.txt").rename(project.root / "web")
    with pytest.raises(UserError, match="holds a file 'web', and a dataset is called so"):
        project.check([str(project.root / "web")])


def test_the_share_of_a_long_text_is_reckoned_from_a_sample(project):
    half = " ".join(LONG.split()[: len(LONG.split()) // 2])
    assert len(LONG) > 10 * SAMPLE
    rows = project.task("t", [("a query", half)]).check()
    assert found(rows)["web"] == (0, 0, 0, 0)


def test_an_example_of_a_long_text_is_the_piece_that_matters(project):
    rows = project.task("t", [("a query", f"{'filler ' * 200}{QUESTION}{' filler' * 200}")]).check()
    (example,) = rows["web"]["examples"]
    assert QUESTION in example["training"]
    assert len(example["training"]) < 310
    assert example["training"][0] == example["training"][-1] == "\u2026"


@pytest.mark.parametrize(("file", "said"), [("queries", "names a query"), ("corpus", "names a positive")])
def test_training_rows_of_another_preparation_are_refused(project, file, said):
    project.task("small", [("one", "two")]).task("large", [("one", "two"), ("three", "four")])
    small, large = project.training.pop("small"), project.training["large"]
    getattr(large, file).write_bytes(getattr(small, file).read_bytes())
    with pytest.raises(UserError, match=rf"large\.train\.parquet {said} that .*large\.{file}\.parquet lacks"):
        project.check()


def test_relevant_passages_of_another_corpus_are_refused(project):
    project.task("t", [("one", "two")]).corpus("web", ["only one"])
    with pytest.raises(UserError, match=r"web\.parquet names a passage that .*web\.corpus\.parquet lacks; prepare web"):
        project.check()

"""Rows in the forms of other programs, read again by these, by our readers or by hand."""

import json
import math

import pytest
import yaml
from datasets import load_dataset, load_from_disk
from sentence_transformers.util import mine_hard_negatives

from tdro.artifacts.files import write_table
from tdro.artifacts.layout import ROW_FORMS
from tdro.artifacts.schemas import CORPUS, NEGATIVES, QUERIES, SCORED_TRAIN, TRAIN
from tdro.cli.main import main
from tdro.config.commands import ExportDataJob
from tdro.config.registry import Prompted
from tdro.data.export_data import FORMS, export_data
from tdro.data.exports import rows
from tdro.errors import UserError
from tdro.readers import released
from tdro.readers.base import Passage, Row
from tdro.text.strings import choose

#: Rows of faq: query, positives, negatives; the second has two positives, the third fewer negatives, the last none.
FAQ = {1: ([0], [3, 4, 5]), 2: ([1, 2], [4, 0, 3]), 4: ([5], [1]), 7: ([3], [])}
SCORES = {1: ([0.75], [0.5, 0.25, None]), 2: ([1.0, 0.5], [0.75, 0.5, 0.25]), 4: ([0.5], [0.25]), 7: ([0.5], [])}
TITLES = ["", "Title", "", "Größe \u2028", "", ""]
WORDINGS = ["Find the answer.", "Which help page answers?"]
JOB = ExportDataJob(
    tasks={
        "faq": Prompted(instruction=WORDINGS),
        "twin-2": Prompted(instruction="Find the same question.", symmetric=True),
    },
    seed=7,
)


def passage(number):
    return Passage(f'text {number}, "said"\nin lines', TITLES[number], f"p{number}")


def text(number):
    return f'{TITLES[number]} text {number}, "said"\nin lines'.strip()


def write(folder, chosen, columns, schema, name="train.parquet"):
    write_table(folder / name, {"query": list(chosen), **columns}, schema)


@pytest.fixture
def results(tmp_path):
    """Two tasks: the negatives of one are mined and have scores, those of the other came with its source."""
    for task in ("faq", "twin-2"):
        folder = tmp_path / "results" / "data" / task
        texts = [passage(number) for number in range(6)]
        columns = zip(*((one.passage_id, one.title, one.text) for one in texts), strict=True)
        write_table(folder / "corpus.parquet", dict(zip(CORPUS.names, map(list, columns), strict=True)), CORPUS)
        asked = {"query_id": [f"q{n}" for n in range(9)], "query": [f"{task} {n}?" for n in range(9)]}
        write_table(folder / "queries.parquet", asked | {"positives": [[0]] * 9, "negatives": [[]] * 9}, QUERIES)
        lists = {"positives": [row[0] for row in FAQ.values()], "negatives": [row[1] for row in FAQ.values()]}
        write(folder, FAQ, lists, TRAIN)
    mined = (
        {0: ([2], [1.0], [0.5])}
        | {query: (FAQ[query][1], SCORES[query][1], SCORES[query][0]) for query in FAQ}
        | {8: ([], [], [0.5])}
    )
    named = dict(
        zip(("negatives", "scores", "positive_scores"), map(list, zip(*mined.values(), strict=True)), strict=True)
    )
    write(tmp_path / "results" / "data" / "faq", mined, named, NEGATIVES, "negatives.parquet")
    return tmp_path / "results"


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_the_forms_are_those_that_the_workflow_knows():
    assert tuple(FORMS) == ROW_FORMS


def test_the_released_form_is_read_again_to_equal_rows(results, tmp_path):
    export_data(results, "released", tmp_path / "out", JOB)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "about.yaml", "faq.jsonl.tar.gz", "twin-2.jsonl.tar.gz"
    ]  # fmt: skip
    for task in JOB.tasks:
        assert list(released.read(tmp_path / "out" / f"{task}.jsonl.tar.gz", "train")) == [
            Row(f"{task} {query}?", [passage(n) for n in own], [passage(n) for n in others], f"q{query}")
            for query, (own, others) in FAQ.items()
        ]
    first = (tmp_path / "out" / "faq.jsonl.tar.gz").read_bytes()
    export_data(results, "released", tmp_path / "out", JOB)
    assert (tmp_path / "out" / "faq.jsonl.tar.gz").read_bytes() == first


def test_sentence_transformers_reads_a_dataset_a_task_with_as_many_columns_in_every_row(results, tmp_path):
    export_data(results, "sentence-transformers", tmp_path / "out", JOB)
    datasets = load_from_disk(str(tmp_path / "out"))
    assert list(datasets) == ["faq", "twin-2"]
    assert [part.info.dataset_name for part in datasets.values()] == ["faq", "twin-2"]
    columns = ["anchor", "positive", "negative_1", "negative_2", "negative_3"]
    assert datasets["faq"].column_names == [*columns, "scores"]
    assert datasets["twin-2"].column_names == columns
    expected = [
        ("1", 0, [3, 4, 5], [0.75, 0.5, 0.25, math.nan]),
        ("2", 1, [4, 0, 3], [1.0, 0.75, 0.5, 0.25]),
        ("2", 2, [4, 0, 3], [0.5, 0.75, 0.5, 0.25]),
        ("4", 5, [1, 1, 1], [0.5, 0.25, 0.25, 0.25]),
    ]  # query 7 has no negative
    for task, dataset in datasets.items():
        found = dataset.to_list()
        assert len(found) == len(expected)
        for row, (query, positive, negatives, scores) in zip(found, expected, strict=True):
            assert [row[name] for name in columns] == [f"{task} {query}?", *map(text, [positive, *negatives])]
            assert task != "faq" or row["scores"] == pytest.approx(scores, nan_ok=True)


def test_columns_are_those_that_sentence_transformers_itself_mines(tmp_path, results):
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from tinymodels import save_words

    vectors = {word: [float(i == n) for i in range(4)] for n, word in enumerate(("a", "b", "c", "d"))}
    model = SentenceTransformer(str(save_words(tmp_path / "words", vectors)), device="cpu")
    pairs = Dataset.from_dict({"anchor": list("abcd"), "positive": list("abcd")})
    options = {"num_negatives": 2, "output_format": "n-tuple", "output_scores": True, "verbose": False}
    mined = mine_hard_negatives(pairs, model, **options)
    export_data(results, "sentence-transformers", tmp_path / "out", JOB, ["faq"], most=2)
    ours = load_from_disk(str(tmp_path / "out"))["faq"]
    assert [
        name.replace("score", "scores").replace("scoress", "scores") for name in mined.column_names
    ] == ours.column_names
    assert len(ours[0]["scores"]) == len(mined[0][mined.column_names[-1]])


def test_flagembedding_gets_texts_scores_and_the_wording_that_a_training_of_ours_takes(results, tmp_path):
    export_data(results, "flagembedding", tmp_path / "out", JOB)
    faq, twin = lines(tmp_path / "out" / "faq.jsonl"), lines(tmp_path / "out" / "twin-2.jsonl")
    assert faq[1] == {
        "query": "faq 2?",
        "pos": [text(1), text(2)],
        "neg": [text(4), text(0), text(3)],
        "pos_scores": [1.0, 0.5],
        "neg_scores": [0.75, 0.5, 0.25],
        "prompt": WORDINGS[choose(2, 7, "faq", 2)],
        "type": "normal",
    }
    assert faq[0]["neg_scores"] == [0.5, 0.25, None]
    assert [len(line["neg"]) for line in faq] == [3, 3, 1]
    assert set(twin[0]) == {"query", "pos", "neg", "prompt", "type"}
    assert {line["type"] for line in twin} == {"symmetric_sts"}
    read = load_dataset("json", data_files=str(tmp_path / "out" / "faq.jsonl"), cache_dir=str(tmp_path / "cache"))
    assert read["train"].to_list() == faq


def test_tevatron_gets_passages_with_their_scores(results, tmp_path):
    export_data(results, "tevatron", tmp_path / "out", JOB)
    faq, twin = lines(tmp_path / "out" / "faq.jsonl"), lines(tmp_path / "out" / "twin-2.jsonl")
    named = {"docid": "p1", "title": "Title", "text": passage(1).text}
    assert faq[2] == {
        "query_id": "q4",
        "query": "faq 4?",
        "positive_passages": [{"docid": "p5", "title": "", "text": passage(5).text, "score": 0.5}],
        "negative_passages": [named | {"score": 0.25}],
    }
    assert twin[2]["negative_passages"] == [named]
    assert len(faq) == len(twin) == 3


@pytest.mark.parametrize("form", ROW_FORMS)
def test_what_was_exported_is_said_beside_it(results, tmp_path, form):
    export_data(results, form, tmp_path / "out", ExportDataJob(), ["faq"], most=2)
    about = yaml.safe_load((tmp_path / "out" / "about.yaml").read_text())
    written = {"sentence-transformers": 4, "released": 4}.get(form, 3)
    assert about == {"form": form, "tasks": {"faq": {"training_rows": 4, "rows": written, "negatives": 2}}}
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_task_without_negatives_and_one_of_many_rows_are_written_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK", 3)
    folder = tmp_path / "results" / "data" / "plain"
    number = 20_000  # more than a batch of the texts' file has
    ids = [str(n) for n in range(number)]
    write_table(folder / "corpus.parquet", {"passage_id": ids, "title": [""] * number, "text": ids}, CORPUS)
    lists = {"positives": [[0]] * number, "negatives": [[]] * number}
    write_table(folder / "queries.parquet", {"query_id": ids, "query": ids} | lists, QUERIES)
    chosen = [5, 8191, 8192, 9000, 16_384, 19_999, 4]
    write(folder, chosen, {"positives": [[n - 1] for n in chosen], "negatives": [[]] * 7}, TRAIN)
    export_data(tmp_path / "results", "sentence-transformers", tmp_path / "out", ExportDataJob())
    assert load_from_disk(str(tmp_path / "out"))["plain"].to_list() == [
        {"anchor": str(n), "positive": str(n - 1)} for n in chosen
    ]


def test_scores_of_a_cross_encoder_stand_in_the_training_rows(results, tmp_path):
    lists = {"positives": [[0], [1]], "negatives": [[3], [4]]}
    scored = {"positive_scores": [[9.0], [8.0]], "negative_scores": [[-1.5], [None]]}
    write(results / "data" / "faq", [1, 2], lists | scored, SCORED_TRAIN)
    none = {"positive_scores": [None, None], "negative_scores": [None, None]}
    write(results / "data" / "twin-2", [1, 2], lists | none, SCORED_TRAIN)
    export_data(results, "flagembedding", tmp_path / "out", ExportDataJob())
    assert [line["neg_scores"] for line in lines(tmp_path / "out" / "faq.jsonl")] == [[-1.5], [None]]
    assert "neg_scores" not in lines(tmp_path / "out" / "twin-2.jsonl")[0]


def test_the_command_exports_and_a_mistake_is_one_sentence_that_leaves_nothing(results, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["export-data", "--form", "tevatron", "--output", "rows", "--tasks", "faq", "--negatives", "1"])
    assert [len(line["negative_passages"]) for line in lines(tmp_path / "rows" / "faq.jsonl")] == [1, 1, 1]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    for arguments, message in (
        (("--output", "mine"), "mine exists and is no export of rows"),
        (("--output", "new", "--tasks", "fag"), r"task 'fag' \(did you mean 'faq'\?\) has no training rows"),
        (("--output", "new", "--results", "nowhere"), "is there for no task"),
        (("--output", "new", "--settings", "{tasks: {faq: {instruction: Find.}}}"), "no instruction for 'twin-2'"),
    ):
        with pytest.raises(SystemExit, match=message):
            main(["export-data", "--form", "released", *arguments])
    assert not (tmp_path / "new").exists()


def test_files_that_do_not_belong_together_are_refused(results, tmp_path):
    faq, twin = results / "data" / "faq", results / "data" / "twin-2"
    write(faq, [3], {"positives": [[0]], "negatives": [[3]]}, TRAIN)
    with pytest.raises(UserError, match="has other negatives for query 3 than"):
        export_data(results, "released", tmp_path / "out", JOB, ["faq"])
    write(twin, [3], {"positives": [[6]], "negatives": [[3]]}, TRAIN)
    with pytest.raises(UserError, match=r"corpus\.parquet has no row 6"):
        export_data(results, "released", tmp_path / "out", JOB, ["twin-2"])
    assert [path.name for path in tmp_path.iterdir()] == ["results"]

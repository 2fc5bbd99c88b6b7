"""Rows are shown with the texts and scores that they name."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from everyartifact import BENCHMARK, MIXTURE, MODEL, SEED, as_json

from tdro.artifacts.files import table_writer, write_table
from tdro.artifacts.schemas import CORPUS, QUERIES, SCORED_TRAIN
from tdro.report.show.output import plain
from tdro.report.show.show import show
from tdro.report.show.view import Asked

WHOLE = Asked(whole=True)


def texts(path: str, asked: Asked = WHOLE) -> list[list[tuple]]:
    """What each row shows: what it is, its text, its score."""
    rows = as_json(show([Path(path)], asked))["content"]["rows"]
    return [[(text["is_a"], text.get("text"), text.get("score")) for text in row["texts"]] for row in rows]


def test_a_corpus_has_titles_and_identifiers(layout):
    path = layout.task("code", "corpus.parquet")
    assert texts(path)[:2] == [[("passage", "A title code answer 0", None)], [("passage", "code answer 1", None)]]
    shown = plain(show([Path(path)], Asked(rows=2)))
    assert "the first 2 of 6 passages; --rows N shows more" in shown and "code answer 2" not in shown


def test_rows_have_their_query_positives_and_negatives(layout):
    path = layout.task("code", "train.parquet")
    assert texts(path)[1] == [
        ("query", "code question 1", None),
        ("positive", "code answer 1", None),
        ("negative", "code answer 5", None),
        ("negative", "code answer 3", None),
    ]
    assert "[1]" in plain(show([Path(path)], WHOLE))


def test_mined_negatives_have_scores_and_the_gap_of_a_random_one_has_none(layout):
    assert texts(layout.task("code", "negatives.parquet"))[0] == [
        ("query", "code question 0", None),
        ("positive", "A title code answer 0", pytest.approx(0.9)),
        ("negative", "code answer 5", pytest.approx(0.6)),
        ("negative", "code answer 4", None),
    ]


def test_positives_among_the_candidates_are_marked(layout):
    path = layout.task("code", "candidates.parquet")
    assert [is_a for is_a, *_ in texts(path)[0]] == ["query", "positive", "positive", *["passage"] * 4]
    assert "1 more; --row K shows all of one row" in plain(show([Path(path)], WHOLE))
    assert len(texts(path, Asked(row=0, whole=True))[0]) == 8


def test_scores_of_a_cross_encoder_are_shown(layout, tmp_path):
    for file in ("corpus.parquet", "queries.parquet"):
        shutil.copy(layout.task("code", file), tmp_path / file)
    rows = {"query": [4], "positives": [[4]], "negatives": [[2]], "positive_scores": [[7.5]], "negative_scores": [[-3]]}
    write_table(tmp_path / "train.parquet", rows, SCORED_TRAIN)
    assert [score for *_, score in texts(str(tmp_path / "train.parquet"))[0]] == [None, 7.5, -3.0]


def test_a_benchmark_has_grades_and_answers(layout):
    path = Path(layout.benchmark("own", "queries.parquet"))
    assert texts(str(path)) == [
        [("query", "first", None), ("positive", None, None)],
        [("query", "second", None), ("answer", "forty-two", None)],
    ]
    assert "grade 2" in plain(show([path], Asked())) and "(its text is not at hand)" in plain(show([path], Asked()))


def test_positives_are_found_in_a_sampled_corpus(layout, tmp_path):
    shutil.copy(layout.benchmark(f"{BENCHMARK}@sample", "corpus.parquet"), tmp_path / "corpus.parquet")
    asked = {"query_id": ["q"], "query": ["?"], "positives": [[2, 3, 4]], "negatives": [[]]}
    write_table(tmp_path / "queries.parquet", asked, QUERIES)
    assert [text for _, text, _ in texts(str(tmp_path / "queries.parquet"))[0]] == ["?", "two", None, "four"]


def test_dev_pools_and_rankings_find_their_corpus(layout):
    assert texts(layout.dev_pool("code"))[0][:2] == [
        ("query", "code question 0", None),
        ("positive", "A title code answer 0", None),
    ]
    ranked = texts(layout.part(layout.rankings(MODEL, SEED, MIXTURE, BENCHMARK), "1of2"))[0]
    assert ranked == [
        ("passage", "A title web answer 0", pytest.approx(0.9)),
        ("passage", "web answer 5", pytest.approx(0.1)),
    ]


def test_long_texts_are_cut_on_a_screen_and_whole_elsewhere(tmp_path):
    passage = {"passage_id": ["a"], "title": ["Title\nof it"], "text": ["word " * 400]}
    write_table(tmp_path / "corpus.parquet", passage, CORPUS)
    assert "…" in plain(show([tmp_path / "corpus.parquet"], Asked()))
    whole = plain(show([tmp_path / "corpus.parquet"], WHOLE))
    assert whole.count("word") == 400 and "…" not in whole


def test_a_row_of_a_large_file_is_read_by_its_row_group(tmp_path, monkeypatch):
    with table_writer(tmp_path / "corpus.parquet", CORPUS) as writer:
        for group in range(4):
            ids = [str(row) for row in np.arange(100) + 100 * group]
            writer.append({"passage_id": ids, "title": [""] * 100, "text": [f"passage {n}" for n in ids]})
            writer.flush()
    read, real = [], pq.ParquetFile.iter_batches

    def spy(self, *arguments, row_groups=None, **others):
        read.append(row_groups)
        return real(self, *arguments, row_groups=row_groups, **others)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    assert texts(str(tmp_path / "corpus.parquet"), Asked(row=250))[0][0][1] == "passage 250"
    assert len(texts(str(tmp_path / "corpus.parquet"))) == 10
    assert read == [[2], [0]]

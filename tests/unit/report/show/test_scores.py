from pathlib import Path

import pyarrow.parquet as pq
import pytest
from everyartifact import BENCHMARK, MIXTURE, MODEL, SEED, as_json
from ours import write_sealed

from tdro.artifacts.files import write_json, write_table
from tdro.artifacts.schemas import METRICS, QUERY_SCORES
from tdro.report.show.output import plain
from tdro.report.show.show import show
from tdro.report.show.view import Asked


def test_one_file_has_all_metrics_and_their_means(layout):
    text = plain(show([Path(layout.scores(MODEL, SEED, MIXTURE, "in_domain"))], Asked()))
    lines = [line.split() for line in text.splitlines()]
    assert ["code", "2", "6", "0.500", "0.400", "1.000", "█" * 10] in lines
    assert ["mean", "0.500", "0.400", "1.000"] in lines


def test_cut_embeddings_and_previews_are_named(tmp_path):
    figures = {"ndcg_at_10": 0.5, "ndcg_at_10@64": 0.4, "queries": 2, "passages": 30, "sampled_from": 900}
    write_json(tmp_path / "a@sample.json", {"benchmark": "a", "datasets": {"a@sample": figures}})
    text = plain(show([tmp_path / "a@sample.json"], Asked()))
    assert "nDCG@10 at 64" in text and "a@sample is a preview: 30 of 900 passages" in text


def test_several_files_stand_side_by_side(tmp_path):
    for place, score in (("one", 0.3), ("two", 0.7), ("three", 0.5)):
        write_json(tmp_path / place / "web.json", {"benchmark": "web", "datasets": {"a": {"ndcg_at_10": score}}})
    view = show([tmp_path / place / "web.json" for place in ("one", "two", "three")], Asked())
    lines = [line.split() for line in plain(view).splitlines()]
    assert ["test", "set", "one", "two", "three"] in lines and ["a", "0.300", "0.700*", "0.500"] in lines
    assert list(as_json(view)["content"]) == ["one", "two", "three"]


def test_files_of_other_test_sets_come_one_after_the_other(layout):
    text = plain(show([Path(layout.evaluation(MODEL, SEED, MIXTURE))], Asked()))
    assert text.count("Recall@100") == 2 and f"benchmark {BENCHMARK}" in text


def found(view) -> list[tuple]:
    """Of each query its row, and its texts with what is said of them."""
    rows = as_json(view)["content"]["rows"]
    return [(row["row"], [(t["is_a"], t["text"], t.get("note", "")) for t in row["texts"]]) for row in rows]


def test_queries_have_means_a_histogram_and_the_worst_with_what_they_found(layout):
    path = Path(layout.query_scores(MODEL, SEED, MIXTURE, BENCHMARK))
    view = show([path], Asked())
    assert as_json(view)["content"]["datasets"][0]["ndcg_at_10"] == pytest.approx(0.5)
    assert found(view) == [
        (
            1,
            [
                ("query", "web question 1", "1"),
                ("positive", "web answer 1", ""),
                ("found", "A title web answer 0", ""),
                ("found", "web answer 1", "relevant"),
            ],
        ),
        (
            0,
            [
                ("query", "web question 0", "0"),
                ("positive", "A title web answer 0", ""),
                ("found", "A title web answer 0", "relevant"),
                ("found", "web answer 1", ""),
            ],
        ),
    ]
    assert "█" in plain(view) and "the 10 queries answered worst" in plain(view)
    assert [row for row, _ in found(show([path], Asked(row=0)))] == [0]
    assert [row for row, _ in found(show([path], Asked(rows=1)))] == [1]


def test_held_out_queries_of_tasks_have_texts_as_well(layout):
    rows = found(show([Path(layout.query_scores(MODEL, SEED, MIXTURE, "in_domain"))], Asked()))
    assert {texts[0][1] for _, texts in rows} == {f"{task} question {n}" for task in ("code", "news") for n in range(2)}


def test_evaluations_of_before_have_no_passages(layout, tmp_path):
    path = Path(layout.query_scores(MODEL, SEED, MIXTURE, BENCHMARK))
    before = path.with_name("before.queries.parquet")
    write_sealed(before, pq.read_table(path).drop_columns("first"))
    (_, texts), _ = found(show([before], Asked()))
    before.unlink()
    assert [is_a for is_a, *_ in texts] == ["query", "positive"]


def test_what_a_preview_found_are_rows_of_its_sample(layout, tmp_path):
    name = f"{BENCHMARK}@sample"
    columns: dict = {metric: [None] for metric in METRICS} | {"ndcg_at_10": [0.1], "first": [[1, 0]]}
    path = Path(layout.evaluation(MODEL, SEED, MIXTURE)) / f"{name}.queries.parquet"
    write_table(path, columns | {"dataset": [name], "query_id": ["4"]}, QUERY_SCORES)
    ((_, texts),) = found(show([path], Asked()))
    path.unlink()
    assert [text[1:] for text in texts[1:]] == [("four", ""), ("four", "relevant"), ("two", "")]


def test_the_table_of_the_report_has_a_line_a_mixture(layout):
    text = plain(show([Path(layout.report.csv)], Asked()))
    assert "tiny, nDCG@10" in text and "0.600 +0.100*" in text


def test_dev_queries_that_are_missed_most_come_first(layout):
    view = show([Path(layout.dev_scores(MODEL, SEED, MIXTURE))], Asked())
    worst, best = as_json(view)["content"]["rows"]
    assert (worst["text"], worst["loss"], best["text"]) == ("news question 1", 1.5, "code question 0")


def test_merged_experts_are_ordered_by_what_they_rank(layout):
    text = plain(show([Path(layout.experts(MODEL, SEED, "dev.parquet"))], Asked()))
    assert text.index("expert-code") < text.index("expert-news") and "code 1.00" in text


def test_choices_say_what_was_chosen_and_by_what(layout):
    text = plain(show([Path(layout.recommendation), Path(layout.study.json)], Asked()))
    assert text.count("Train on curr.") == 2 and "+0.100 [+0.050, +0.150] *" in text and "in domain" in text
    text = plain(show([Path(layout.soup_scores(MODEL, SEED, MIXTURE))], Asked()))
    assert "a share of 0.5 (chosen)" in text
    law = plain(show([Path(layout.experts(MODEL, SEED, "law.json"))], Asked()))
    assert "The law ranks what it has not seen." in law and "-0.1000" in law and "misses no query: news" in law
    pruned = plain(show([Path(layout.experts(MODEL, SEED, "prune.json"))], Asked()))
    assert "No task is dropped." in pruned and "[-0.0100, +0.0300]" in pruned
    assert "Asked about: news." in plain(show([Path(layout.experts(MODEL, SEED, "candidates.json"))], Asked()))

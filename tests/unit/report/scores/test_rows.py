import re

import numpy as np
import pytest
from finished import BENCHMARKS, Finished, content

from tdro.artifacts.schemas import ANSWER_METRICS, RELEVANCE_METRICS


@pytest.mark.parametrize("metric", RELEVANCE_METRICS)
@pytest.mark.parametrize("seed", ["all", "1"])
def test_scores_are_macro_averages(tree, built, metric, seed):
    column = RELEVANCE_METRICS.index(metric)
    for mixture in tree.settings.mixtures:
        wanted = {"mixture": mixture, "metric": metric, "seed": seed}
        means = {d: tree.scores["tiny", 1, mixture, d][:, column].mean() for d in tree.datasets}
        inside = BENCHMARKS["in_domain"]
        row = built.row("in_domain", **wanted)
        assert row["score"] == pytest.approx(np.mean([means[d] for d in inside]))
        assert row["queries"] == "180"
        for dataset in inside:
            assert built.row("in_domain", dataset=dataset, **wanted)["score"] == pytest.approx(means[dataset])
        outside = np.mean([means["nfcorpus"], means["scifact"]])
        assert built.row("out_of_domain", **wanted)["score"] == pytest.approx(outside)


def test_there_is_no_difference_for_the_baseline_and_no_row_twice(built):
    assert {row["difference"] for row in built.of(mixture="uniform")} == {""}
    keys = [tuple(row[key] for key in list(row)[:6]) for row in built.rows]
    assert len(set(keys)) == len(keys) == 3 * 2 * 3 * (4 + 2 + 2 + 1)


@pytest.mark.parametrize(
    ("benchmarks", "listed"),
    [({"scifact": ["scifact"]}, {"scifact", "out_of_domain"}), ({"in_domain": BENCHMARKS["in_domain"]}, {"in_domain"})],
)
def test_one_benchmark_has_the_averages_that_it_is_part_of(tmp_path, benchmarks, listed):
    report = Finished(tmp_path, content(benchmarks=benchmarks)).report()
    assert {row["benchmark"] for row in report.rows} == listed
    assert ("In domain, task by task" in report.html) == ("in_domain" in listed)
    assert ("out of domain" in report.summary) == (len(benchmarks) > 1)


def test_parts_count_as_one_benchmark_and_suites_average_benchmarks(tmp_path):
    parts = [f"cqa-{name}" for name in ("android", "english", "gis")]
    settings = content(benchmarks={"cqa": parts, "scifact": ["scifact"]}, suites={"BEIR": ["cqa", "scifact"]})
    tree = Finished(tmp_path, settings, shift={"curr": 0.1})
    report = tree.report()
    means = {d: tree.scores["tiny", 1, "curr", d][:, 0].mean() for d in (*parts, "scifact")}
    cqa = np.mean([means[part] for part in parts])
    assert report.row("cqa")["score"] == pytest.approx(cqa)
    for average in "BEIR", "out_of_domain":
        row = report.row(average)
        assert row["score"] == pytest.approx((cqa + means["scifact"]) / 2)
        assert row["comparisons"] == str(2 * 3), "BEIR and out of domain are the same two benchmarks"
        assert row["low"] < row["difference"] < row["high"]
    assert "mean of 3 parts" in report.html and "| BEIR" in report.summary


def test_answer_benchmarks_have_their_own_metrics(tmp_path):
    benchmarks = {"mkqa": ["mkqa-ar", "mkqa-th"], "scifact": ["scifact"]}
    tree = Finished(tmp_path, content(benchmarks=benchmarks, mixtures=["uniform", "curr"]))
    for mixture in tree.settings.mixtures:
        hits = {d: (tree.scores["tiny", 1, mixture, d] > 0.5).astype(float) for d in benchmarks["mkqa"]}
        tree.evaluation("tiny", 1, mixture, "mkqa", hits, ANSWER_METRICS)
    report = tree.report()
    assert {row["metric"] for row in report.of(benchmark="mkqa")} == set(ANSWER_METRICS)
    expected = np.mean([tree.scores["tiny", 1, "curr", d][:, 0].mean() for d in benchmarks["mkqa"]])
    assert report.row("mkqa", metric="acc_at_100")["score"] == pytest.approx(expected)
    # An average of nDCG@10 leaves out what has none.
    assert report.row("out_of_domain")["score"] == report.row("scifact")["score"]
    assert "nDCG@10; Acc@100 of mkqa" in report.text and "Acc@100 of mkqa" in report.summary


def test_scores_at_fewer_dimensions_stand_in_a_table_of_their_own_and_change_nothing_else(tmp_path):
    settings = {"seeds": [1, 2], "untrained": ["bm25", "miner"]}
    tree = Finished(tmp_path, content(**settings), shift={"curr": 0.1})
    for name in settings["untrained"]:
        tree.untrained(name, 0.2)
    before = tree.report()
    shares = {"64": 0.9, "32": 0.5}
    tree.cut({int(size): share for size, share in shares.items()}, bm25=None, miner=48)
    tree.settings = content(**settings, dimensions=[64, 32])
    report = tree.report()
    assert report.summary == before.summary
    assert [row for row in report.rows if "@" not in row["metric"]] == before.rows
    assert "Shorter embeddings" not in before.text

    added = [row for row in report.rows if "@" in row["metric"]]
    subjects, metrics, mixtures, seeds, sizes = 9, 3, 3, 2, 2
    assert len(added) == subjects * metrics * (mixtures * (seeds + 1) * sizes + 1)  # the miner at 32 only
    assert {row[key] for row in added for key in ("uniform", "difference", "p", "verdict")} == {""}
    keys = ("model", "mixture", "seed", "benchmark", "dataset")
    whole = {(*(row[key] for key in keys), row["metric"]): row for row in before.rows}
    for row in added:
        metric, size = row["metric"].split("@")
        uncut = whole[*(row[key] for key in keys), metric]
        assert float(row["score"]) == pytest.approx(shares[size] * float(uncut["score"]))
        assert row["queries"] == uncut["queries"]

    shown = report.text.partition("Shorter embeddings")[2].partition("What this says")[0]
    score = before.row("in_domain")["score"]
    lines = f"tiny, curr 96 whole {score:.3f} .* 64 {0.9 * score:.3f} 90.0% .* 32 {0.5 * score:.3f} 50.0%"
    for line in (lines, r"miner, untrained 48 whole( 0.200){4} 32( 0.100 50.0%){4}"):
        assert re.search(line, shown)
    assert "bm25" not in shown


def test_dimensions_that_no_retriever_has_are_said(tmp_path):
    tree = Finished(tmp_path, content(dimensions=[512, 128]))
    tree.cut({512: 0.9, 128: 0.5})
    report = tree.report()
    assert "No retriever has embeddings of more than 128 numbers" in report.text
    assert not [row for row in report.rows if "@" in row["metric"]]


def test_untrained_retrievers_anchor_the_table(tmp_path):
    tree = Finished(tmp_path, content(untrained=["bm25", "miner"]))
    values = {"bm25": 0.111, "miner": 0.222}
    for name, value in values.items():
        tree.untrained(name, value)
    report = tree.report()
    for name, value in values.items():
        found = report.of(model=name)
        assert {row["mixture"] for row in found} == {"untrained"} and {row["difference"] for row in found} == {""}
        assert {round(float(row["score"]), 6) for row in found} == {value}
        assert re.search(rf"{name} ({value} ){{4}}", report.text)
    assert re.search(r"\| scifact\s+\|\s+60 \| 0.111 \| 0.222 \|", report.summary)

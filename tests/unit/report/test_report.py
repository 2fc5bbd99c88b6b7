import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import scipy.stats

from tdro.artifacts.files import read_table, write_json, write_table
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import (
    ANSWER_METRICS,
    CORPUS,
    DUPLICATES,
    HEAVIEST,
    LEAKS,
    NEGATIVES,
    PLAN,
    QUERIES,
    QUERY_SCORES,
    RELEVANCE_METRICS,
    TEST_QUERIES,
    TRAIN,
    TRAJECTORY,
)
from tdro.config.commands import Content
from tdro.errors import UserError
from tdro.mixtures.weights import Weights, write_weights
from tdro.report.report import build
from tdro.report.scores.queries import Scores, over_seeds
from tdro.report.scores.rows import rows_of_model

TASKS = ["news", "code", "medical", "forum"]
BENCHMARKS = {"in_domain": ["news", "code", "medical"], "nfcorpus": ["nfcorpus"], "scifact": ["scifact"]}


def content(**changes) -> Content:
    values = {
        "models": ["tiny"],
        "proxy": "tiny",
        "seeds": [1],
        "mixtures": ["uniform", "curr", "top50"],
        "tasks": TASKS,
        "benchmarks": BENCHMARKS,
        "training_rows": 6400,
        "courses": ["tdro"],
        "report": {"bootstrap_samples": 1000},
    }
    return Content(**{**values, **changes})


def write_scores(scores, query_scores, values: dict, metrics=RELEVANCE_METRICS) -> None:
    """What an evaluation leaves: values of shape (queries, 3) by dataset."""
    names = [name for name, rows in values.items() for _ in rows]
    ids = [f"q{number}" for rows in values.values() for number in range(len(rows))]
    columns = {metric: [None] * len(names) for metric in (*RELEVANCE_METRICS, *ANSWER_METRICS)}
    columns.update(zip(metrics, np.concatenate(list(values.values())).T, strict=True))
    write_table(query_scores, {"dataset": names, "query_id": ids, **columns}, QUERY_SCORES)
    figures = {d: {**dict(zip(metrics, v.mean(0).tolist(), strict=True)), "queries": len(v)} for d, v in values.items()}
    write_json(scores, {"benchmark": "b", "datasets": figures})


class Tree:
    """A results folder as the stages leave it, with made-up figures; `shift` is each mixture's gain."""

    def __init__(self, root: Path, settings: Content, *, queries=60, shift=None, steps=20, script="") -> None:
        self.root, self.settings, self.layout = root, settings, Layout(root / "results")
        self.random = np.random.default_rng(7)
        self.scores: dict = {}
        shift = shift or {}
        for model in settings.models:
            for benchmark, datasets in settings.benchmarks.items():
                base = {d: self.random.beta(2, 2, (queries, 3)) for d in datasets}
                for seed in settings.seeds:
                    for mixture in settings.mixtures:
                        moved = {
                            d: np.clip(v + shift.get(mixture, 0.0) + self.random.normal(0, 0.05, v.shape), 0, 1)
                            for d, v in base.items()
                        }
                        self.evaluation(model, seed, mixture, benchmark, moved)
        sizes = {task: 1000 * (number + 1) for number, task in enumerate(settings.tasks)}
        for seed in settings.seeds:
            self.weights(seed, sizes, steps)
        for task in settings.tasks:
            self.data(task, script)
        self.leaks()
        self.jobs()

    def evaluation(self, model, seed, mixture, benchmark, values: dict, metrics=RELEVANCE_METRICS) -> None:
        for job in {self.layout.evaluated(benchmark, dataset) for dataset in values}:
            members = {d: rows for d, rows in values.items() if self.layout.evaluated(benchmark, d) == job}
            write_scores(
                self.layout.scores(model, seed, mixture, job),
                self.layout.query_scores(model, seed, mixture, job),
                members,
                metrics,
            )
        for dataset, rows in values.items():
            self.scores[model, seed, mixture, dataset] = rows

    def untrained(self, name, values: dict) -> None:
        for benchmark, datasets in self.settings.benchmarks.items():
            for job in {self.layout.evaluated(benchmark, dataset) for dataset in datasets}:
                members = {d: values[d] for d in datasets if self.layout.evaluated(benchmark, d) == job}
                paths = self.layout.untrained_scores(name, job), self.layout.untrained_query_scores(name, job)
                write_scores(*paths, members)

    def leaks(self, leaked=None, files=None) -> None:
        names = [d for datasets in self.settings.benchmarks.values() for d in datasets] + list(files or {})
        found = [((leaked or {}) | (files or {})).get(name, 0) for name in names]
        example = {"side": "positive", "task": "qa", "row": 3, "training": "x" * 999}
        columns = {"dataset": names, "queries": [60] * len(names), "passages": [80] * len(names)}
        columns |= {"query_in_query": found, "query_in_positive": found, "passage_in_query": [0] * len(names)}
        columns["passage_in_positive"] = [n // 2 for n in found]
        columns["examples"] = [
            [
                example | {"kind": "query", "evaluation": f"text {i} of {d}", "share": 0.8 + i / 10}
                for i in range(min(n, 3))
            ]
            for d, n in zip(names, found, strict=True)
        ]
        write_table(self.layout.leaks, columns, LEAKS)

    def weights(self, seed, sizes, steps) -> None:
        k = len(sizes)
        drift = np.linspace(0, 1, steps)[:, None] * self.random.normal(0, 1, k)
        course = np.exp(drift) / np.exp(drift).sum(1, keepdims=True)
        losses = 1 + self.random.gamma(4, 0.2, (steps, k))
        self.last = dict(zip(sizes, course[-1].tolist(), strict=True))
        proxy = self.settings.proxy
        for mixture in self.settings.mixtures:
            chosen = {"uniform": list(sizes), "curr": list(sizes)}.get(mixture) or list(sizes)[: k // 2]
            values = self.last if mixture == "curr" else dict.fromkeys(chosen, 1 / len(chosen))
            path = self.layout.weights(proxy, seed, mixture)
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            write_weights(path, Weights(values, {t: sizes[t] for t in values}))
        columns = {
            "step": np.repeat(np.arange(1, steps + 1), k),
            "task": list(sizes) * steps,
            "size": list(sizes.values()) * steps,
            "rows": [4] * (steps * k),
            "proxy_loss": losses.ravel() * 0.9,
            "reference_loss": losses.ravel(),
            "measurement": losses.ravel() / 2,
            "gradient": losses.ravel() / 9,
            "effective_rows": [4.0] * (steps * k),
            "weight": course.ravel(),
            "mean": course.ravel(),
            "ema": course.ravel(),
        }
        for course in self.settings.courses:
            write_table(self.layout.run(proxy, seed, f"{course}/trajectory.parquet"), columns, TRAJECTORY)
        for plan in ("tdro", "uniform"):
            counts = {
                task: {"rows drawn": 100, "drawn by the baseline, too": number} for number, task in enumerate(sizes)
            }
            write_table(self.layout.run(proxy, seed, f"{plan}/plan.parquet"), PLAN.empty_table(), PLAN, counts)
        self.heaviest(seed)

    def heaviest(self, seed, shares=(0.01, 0.01), rows=(0, 1), tasks=None) -> None:
        """The heaviest rows of every task: its first two."""
        tasks, n = tasks or self.settings.tasks, len(shares)
        columns = {
            "task": [task for task in tasks for _ in shares],
            "query": list(rows) * len(tasks),
            "positive": list(rows) * len(tasks),
            "draws": [1] * n * len(tasks),
            "reference_loss": [0.5] * n * len(tasks),
            "share": list(shares) * len(tasks),
            "rows": [100] * n * len(tasks),
        }
        write_table(self.layout.run(self.settings.proxy, seed, "tdro/heaviest_rows.parquet"), columns, HEAVIEST)

    def data(self, task, script) -> None:
        queries = [f"{task} question {n}{script}" for n in range(4)]
        passages = [f"{task} answer {n}" for n in range(3)] + [f"{task} QUESTION 3!"]
        ids, positives = [str(n) for n in range(4)], [[n] for n in range(4)]
        columns = {"query_id": ids, "query": queries, "positives": positives, "negatives": [[]] * 4}
        counts = {"rows": 4321, "too short": 21, "zero": 0}
        write_table(self.layout.task(task, "queries.parquet"), columns, QUERIES, counts)
        columns = {"passage_id": ids, "title": [""] * 4, "text": passages}
        write_table(self.layout.task(task, "corpus.parquet"), columns, CORPUS)
        if task != "forum":
            columns = {name: [] for name in NEGATIVES.names}
            write_table(self.layout.task(task, "negatives.parquet"), columns, NEGATIVES, {"candidates": 777})
        columns = {name: [] for name in TRAIN.names}
        write_table(self.layout.task(task, "train.parquet"), columns, TRAIN, {"training rows": 4298})
        found = {
            "query": [3, 5],
            "text": [f"what is {task} {script}", "same"],
            "source": ["nfcorpus", "scifact"],
            "matched": [f"What is {task}?", "same"],
            "distance": [2, 0],
        }
        if task == "news":
            found = {name: [] for name in DUPLICATES.names}
        write_table(self.layout.task(task, "duplicates.parquet"), found, DUPLICATES)

    def jobs(self) -> None:
        for name, seconds, peak in (("train/tiny/seed1/curr", 100, "2048.5"), ("train/tiny/seed1/uniform", 30.5, "-")):
            path = self.root / "logs" / f"{name}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"s\th:m:s\tmax_rss\tmax_vms\n{seconds}\t0:00:01\t{peak}\tNA\n")
        (self.root / "logs/train/other.tsv").write_text("loss\tstep\n1\t2\n")

    def build(self) -> tuple[str, str, list[dict]]:
        html, table = self.root / "report/index.html", self.root / "report/results.csv"
        summary = build(self.settings, self.layout, str(self.root / "logs"), html, table)
        with table.open() as file:
            return html.read_text(encoding="utf-8"), summary, list(csv.DictReader(file))


class _Text(HTMLParser):
    """Visible text, and every tag with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.parts, self._hidden = [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self._hidden = tag == "style"
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        self._hidden = False

    def handle_data(self, data):
        if not self._hidden:
            self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return Tree(tmp_path_factory.mktemp("report"), content(), shift={"curr": 0.1, "top50": -0.1})


@pytest.fixture(scope="module")
def built(tree):
    html, summary, rows = tree.build()
    return _Text(html), summary, rows


def of(rows, **wanted):
    return [row for row in rows if all(row[key] == str(value) for key, value in wanted.items())]


@pytest.mark.parametrize("metric", RELEVANCE_METRICS)
@pytest.mark.parametrize("seed", ["all", "1"])
def test_csv_scores_are_macro_averages(tree, built, metric, seed):
    column = RELEVANCE_METRICS.index(metric)
    for mixture in tree.settings.mixtures:
        means = {d: tree.scores["tiny", 1, mixture, d][:, column].mean() for d in ("news", "code", "medical")}
        (row,) = of(built[2], mixture=mixture, benchmark="in_domain", dataset="(mean)", metric=metric, seed=seed)
        assert float(row["score"]) == pytest.approx(np.mean(list(means.values())))
        assert row["queries"] == "180"
        for dataset, mean in means.items():
            (row,) = of(built[2], mixture=mixture, benchmark="in_domain", dataset=dataset, metric=metric, seed=seed)
            assert float(row["score"]) == pytest.approx(mean)
        (row,) = of(built[2], mixture=mixture, benchmark="out_of_domain", metric=metric, seed=seed)
        outside = [tree.scores["tiny", 1, mixture, d][:, column].mean() for d in ("nfcorpus", "scifact")]
        assert float(row["score"]) == pytest.approx(np.mean(outside))


def test_csv_differences_and_intervals_match_scipy(tree, built):
    (row,) = of(built[2], mixture="curr", benchmark="scifact", dataset="scifact", metric="ndcg_at_10", seed="all")
    pair = [tree.scores["tiny", 1, mixture, "scifact"][:, 0] for mixture in ("curr", "uniform")]
    assert float(row["difference"]) == pytest.approx((pair[0] - pair[1]).mean())
    assert float(row["score"]) - float(row["uniform"]) == pytest.approx(float(row["difference"]))
    oracle = scipy.stats.bootstrap((pair[0] - pair[1],), np.mean, method="percentile", n_resamples=9999, rng=0)
    assert float(row["low"]) == pytest.approx(oracle.confidence_interval.low, abs=0.003)
    assert float(row["high"]) == pytest.approx(oracle.confidence_interval.high, abs=0.003)


def test_csv_p_matches_scipy_and_is_corrected_over_the_main_table_and_over_single_datasets(tmp_path):
    tree = Tree(tmp_path, content(), shift={"curr": 0.008, "top50": 0.002})
    html, _, rows = tree.build()
    wanted = {"mixture": "curr", "metric": "ndcg_at_10", "seed": "all"}
    (row,) = of(rows, benchmark="scifact", dataset="scifact", **wanted)
    pair = [tree.scores["tiny", 1, mixture, "scifact"][:, 0] for mixture in ("curr", "uniform")]
    oracle = scipy.stats.permutation_test(
        pair, lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", vectorized=True, rng=0
    )
    assert float(row["p"]) == pytest.approx(oracle.pvalue, abs=0.05)
    # Both mixtures; every column of the main table, averages too. Then the tasks, which are no column.
    challengers = [row for row in of(rows, metric="ndcg_at_10", seed="all") if row["difference"]]
    table = [row for row in challengers if row["dataset"] == "(mean)"]
    tasks = [row for row in challengers if row["benchmark"] == "in_domain" and row["dataset"] != "(mean)"]
    assert [len(table), len(tasks)] == [2 * 4, 2 * 3]
    for family in table, tasks:
        ranked, running = sorted(family, key=lambda row: float(row["p"])), 0.0
        for place, row in enumerate(ranked):
            running = min(1, max(running, float(row["p"]) * (len(family) - place)))
            assert float(row["p_holm"]) == pytest.approx(running)
            assert row["comparisons"] == str(len(family))
    for row in challengers:  # an only dataset is its benchmark: one comparison, one p, one verdict
        if row["dataset"] == row["benchmark"]:
            (same,) = of(table, mixture=row["mixture"], benchmark=row["benchmark"])
            assert [row[k] for k in ("p", "p_holm", "verdict")] == [same[k] for k in ("p", "p_holm", "verdict")]
    assert "all 8 comparisons of a model in the main table" in _Text(html).text


def test_csv_has_no_difference_for_the_baseline_and_no_row_twice(built):
    assert {row["difference"] for row in of(built[2], mixture="uniform")} == {""}
    keys = [tuple(row[key] for key in list(row)[:6]) for row in built[2]]
    assert len(set(keys)) == len(keys) == 3 * 2 * 3 * (4 + 2 + 2 + 1)


def test_page_shows_the_figures_of_the_csv(built):
    page, _, rows = built
    for row in of(rows, seed="all", metric="ndcg_at_10", mixture="curr"):
        low, high, difference = (float(row[key]) for key in ("low", "high", "difference"))
        p = "p <0.001" if float(row["p"]) < 0.001 else f"p {float(row['p']):.3f}"
        assert f"▲ {difference:+.3f} [{low:+.3f}, {high:+.3f}] {p}" in page.text
        assert f"{float(row['score']):.3f}" in page.text
    for row in of(rows, seed="all", metric="ndcg_at_10", mixture="top50"):
        assert f"▼ {float(row['difference']):+.3f}" in page.text


def test_reading_names_gains_losses_and_the_single_seed(built):
    text = built[0].text
    assert "One training seed (1): the intervals cover the choice of queries only" in text
    assert "seeds: [42, 43, 44]" in text
    assert re.search(r"gain on 2 of 2 benchmarks: (nfcorpus|scifact) \(\+0\.\d+\) and", text)
    assert "loss on 3 of 3 in-domain tasks" in text


def test_no_difference_is_claimed_where_there_is_none(tmp_path):
    tree = Tree(tmp_path, content(mixtures=["uniform", "curr"]))
    for benchmark, datasets in BENCHMARKS.items():
        tree.evaluation("tiny", 1, "curr", benchmark, {d: tree.scores["tiny", 1, "uniform", d] for d in datasets})
    html, summary, rows = tree.build()
    assert {(row["low"], row["high"]) for row in of(rows, mixture="curr")} == {("0.0", "0.0")}
    text = _Text(html).text
    assert "On every query the same scores as uniform." in text
    assert "a distinguishable gain" not in text and "a distinguishable loss" not in text
    assert " *" not in summary.replace("* marks", "")


@pytest.mark.parametrize(
    ("benchmarks", "sentence"),
    [
        (BENCHMARKS, "On none of 2 benchmarks is the difference distinguishable from zero."),
        ({"scifact": ["scifact"]}, "On scifact the difference is not distinguishable from zero."),
    ],
)
def test_other_scores_of_the_same_mean_are_told_from_equal_ones(tmp_path, benchmarks, sentence):
    tree = Tree(tmp_path, content(mixtures=["uniform", "curr"], benchmarks=benchmarks))
    for benchmark, datasets in benchmarks.items():
        reversed_scores = {d: tree.scores["tiny", 1, "uniform", d][::-1] for d in datasets}
        tree.evaluation("tiny", 1, "curr", benchmark, reversed_scores)
    text = _Text(tree.build()[0]).text
    assert sentence in text
    assert "the same scores" not in text


def test_several_seeds_are_averaged_by_query_and_their_spread_is_shown(tmp_path):
    tree = Tree(tmp_path, content(seeds=[1, 2, 3], mixtures=["uniform", "curr"]), shift={"curr": 0.05})
    html, summary, rows = tree.build()
    by_seed = [
        (tree.scores["tiny", s, "curr", "scifact"] - tree.scores["tiny", s, "uniform", "scifact"])[:, 0]
        for s in (1, 2, 3)
    ]
    wanted = {"mixture": "curr", "benchmark": "scifact", "dataset": "(mean)", "metric": "ndcg_at_10"}
    (row,) = of(rows, seed="all", **wanted)
    assert float(row["difference"]) == pytest.approx(np.mean(by_seed))
    queries = scipy.stats.bootstrap((np.mean(by_seed, axis=0),), np.mean, method="percentile", rng=0)
    seeds = scipy.stats.ttest_1samp([values.mean() for values in by_seed], 0).confidence_interval(0.95)
    ends = [[getattr(interval, end) for interval in (queries.confidence_interval, seeds)] for end in ("low", "high")]
    halves = [np.hypot(*(np.mean(by_seed) - np.array(parts))) for parts in ends]
    assert np.mean(by_seed) - float(row["low"]) == pytest.approx(halves[0], abs=0.003)
    assert float(row["high"]) - np.mean(by_seed) == pytest.approx(halves[1], abs=0.003)
    for seed, values in zip((1, 2, 3), by_seed, strict=True):
        (row,) = of(rows, seed=seed, **wanted)
        assert float(row["difference"]) == pytest.approx(values.mean())
    text = _Text(html).text
    assert "Seed by seed" in text and "3 of 3 seeds point this way" in text
    assert "95% interval over queries and seeds" in text and "intervals over queries and seeds" in summary
    assert {row["verdict"] for row in rows if row["seed"] != "all"} == {""}
    assert {row["verdict"] for row in of(rows, seed="all", mixture="curr")} <= {"gain", "loss", "unclear"}
    assert "One training seed" not in text
    assert "3 seeds (1, 2, 3)" in summary


def test_a_gain_of_one_lucky_seed_is_none_however_many_queries_say_so(tmp_path):
    """Every query of one seed gains, no other seed does: over queries alone that is as sure as can be."""
    tree = Tree(tmp_path, content(seeds=[1, 2, 3], mixtures=["uniform", "curr"]), queries=200)
    for benchmark, datasets in BENCHMARKS.items():
        for seed, gain in ((1, 0.2), (2, 0.0), (3, 0.01)):
            moved = {d: tree.scores["tiny", seed, "uniform", d] + gain for d in datasets}
            tree.evaluation("tiny", seed, "curr", benchmark, moved)
    html, summary, rows = tree.build()
    page = _Text(html)
    assert {row["verdict"] for row in of(rows, mixture="curr", seed="all")} == {"unclear"}
    assert all(float(row["low"]) < 0 for row in of(rows, mixture="curr", seed="all"))
    assert not [a for tag, a in page.tags if a.get("class") in ("difference gain", "difference loss") and tag == "span"]
    assert "On none of 2 benchmarks is the difference distinguishable from zero." in page.text
    assert "* |" not in summary


def test_a_gain_that_all_seeds_share_is_one(tmp_path):
    tree = Tree(tmp_path, content(seeds=[1, 2, 3, 4, 5], mixtures=["uniform", "curr"]), shift={"curr": 0.1})
    html, summary, rows = tree.build()
    assert {row["verdict"] for row in of(rows, mixture="curr", seed="all", metric="ndcg_at_10")} == {"gain"}
    assert "gain on 2 of 2 benchmarks" in _Text(html).text and "* |" in summary


@pytest.mark.parametrize(("samples", "warned"), [(150, True), (160, False)])
def test_too_few_resamples_for_the_number_of_comparisons_are_pointed_out(tmp_path, samples, warned):
    text = _Text(Tree(tmp_path, content(report={"bootstrap_samples": samples})).build()[0]).text
    assert (f"With {samples} resamples no p can be small enough to call one of 8 comparisons" in text) == warned
    assert ("Set report.bootstrap_samples to 160 at least." in text) == warned


def test_if_nothing_changed_a_gain_is_called_in_at_most_the_promised_share_of_reports():
    """Simulated reports of mixtures that are alike: each training and each query moves by chance of its own.

    Chance of a training is drawn anew for every mixture, seed and benchmark, hence so are the differences.
    """
    random, reports = np.random.default_rng(5), 150
    settings = content(
        seeds=[1, 2],
        mixtures=["uniform", "curr", "mean", "ema"],
        benchmarks={"x": ["x"], "y": ["y"]},
        report={"bootstrap_samples": 400, "confidence": 0.8},
    )
    called = 0
    for _ in range(reports):
        queries = {name: random.normal(0.5, 0.2, (40, 1)) for name in ("x", "y")}
        runs = {
            mixture: over_seeds(
                {
                    seed: {
                        (name, name): Scores(
                            RELEVANCE_METRICS,
                            values + random.normal(0, 0.02) + random.normal(0, 0.1, (40, 3)),
                        )
                        for name, values in queries.items()
                    }
                    for seed in settings.seeds
                }
            )
            for mixture in settings.mixtures
        }
        rows = rows_of_model(settings, "tiny", runs)
        called += any(row.verdict in ("gain", "loss") for row in rows if row.metric == "ndcg_at_10")
    assert called / reports < 0.2 + 3 * np.sqrt(0.2 * 0.8 / reports)


def test_weights_and_passes(tree, built):
    line = re.search(r"medical 3,000 0\.250 · 0\.53 (\S+) · (\S+) 0 ", built[0].text)
    assert float(line[1]) == pytest.approx(tree.last["medical"], abs=0.0005)
    assert float(line[2]) == pytest.approx(tree.last["medical"] * 6400 / 3000, rel=0.05)


def test_unknown_training_rows_hide_passes(tmp_path):
    html, _, _ = Tree(tmp_path, content(training_rows=None)).build()
    assert "passes" not in _Text(html).text


def test_what_benchmarks_lack_is_counted(tmp_path):
    tree = Tree(tmp_path, content())
    name, *_ = tree.settings.out_of_domain
    columns = {column: [] for column in TEST_QUERIES.names}
    counts = {"relevant passages that the corpus lacks": 1234, "queries": 60}
    write_table(tree.layout.benchmark(name, "queries.parquet"), columns, TEST_QUERIES, counts)
    text = _Text(tree.build()[0]).text
    assert f"benchmark relevant passages that the corpus lacks queries {name} 1,234 60 all 1,234 60" in text


def test_counts_duplicates_and_jobs(built):
    text = built[0].text
    assert "task rows too short news 4,321 21" in text and "zero" not in text.split("Preparation")[1][:60]
    assert "all 2,331" in text, "three mined tasks of 777 candidates"
    assert re.search(r"source code medical forum all nfcorpus 1 1 1 3 scifact 1 1 1 3 all 2 2 2 6", text)
    assert "train 2 2 min 10 s 1 min 40 s 2.0 GB tiny/seed1/curr" in text


def test_leaks_by_benchmark(built, tmp_path):
    text = built[0].text
    assert "None of 300 evaluation queries and 400 relevant passages stands in the training data." in text
    assert "Examples" not in text.split("Evaluation texts left in training")[1].split("Time and memory")[0]
    leaky = Tree(tmp_path, content())
    leaky.leaks({"news": 3, "code": 6, "scifact": 60}, files={"own.tsv": 1})
    text = _Text(leaky.build()[0]).text
    assert "in_domain 180 9 (5%) 9 (5%) 240 0 4 (1.7%) nfcorpus 60 0 0 80 0 0 scifact 60 60 (100%) 60 (100%)" in text
    assert "own.tsv 60 1 (1.7%) 1 (1.7%) 80 0 0 Examples" in text
    assert f"scifact query in a training positive text 0 of scifact {'x' * 217}... qa 80%" in text
    assert text.count("in a training positive text") == 3 + 3 + 1
    leaky.leaks()
    rows = read_table(leaky.layout.leaks, LEAKS).slice(0, 1)
    write_table(leaky.layout.leaks, rows, LEAKS)
    with pytest.raises(UserError, match="says nothing of 'code'"):
        leaky.build()


def carried_by_few(tree, task, seed=1):
    """Lets a quarter of a task's rows carry its measurement."""
    path = tree.layout.run("tiny", seed, "tdro/trajectory.parquet")
    table = read_table(path, TRAJECTORY).to_pandas()
    table.loc[table["task"] == task, "effective_rows"] = 1.0
    write_table(path, {name: table[name] for name in TRAJECTORY.names}, TRAJECTORY)


def test_rows_that_carry_a_weight_are_shown_with_their_texts(tmp_path):
    tree = Tree(tmp_path, content())
    carried_by_few(tree, "code")
    tree.heaviest(1, shares=[0.4, 0.1], rows=[3, 0])
    page = _Text(tree.build()[0]).text
    shown = page.partition("Rows that carry a weight")[2].partition("The heaviest rows of the other tasks")
    assert (
        "code 40% 40 0.5 code question 3 code QUESTION 3! (says the same as the query) "
        "code 10% 10 0.5 code question 0 code answer 0" in shown[0]
    )
    assert "news" not in shown[0]
    assert "news 40% 40 0.5 news question 3" in shown[2]
    assert "Among the heaviest rows of code, forum, medical and news are some whose positive repeats the query" in page
    assert "data.drop_echoes: same leaves them out" in page


def test_shares_of_rows_are_means_over_the_seeds(tmp_path):
    tree = Tree(tmp_path, content(seeds=[1, 2]))
    carried_by_few(tree, "code")
    tree.heaviest(1, shares=[0.4], rows=[0])
    tree.heaviest(2, shares=[0.2, 0.1], rows=[1, 0])
    page = _Text(tree.build()[0]).text
    assert "code 25% 25 0.5 code question 0 code answer 0 code 10% 10 0.5 code question 1 code answer 1" in page
    assert "says the same as the query" not in page and "drop_echoes" not in page


def test_heaviest_rows_of_other_data_are_refused(tmp_path):
    tree = Tree(tmp_path, content())
    tree.heaviest(1, shares=[0.4], rows=[7])
    with pytest.raises(UserError, match=r"code/queries.parquet has no row 7"):
        tree.build()


def test_missing_job_records_are_no_error(tmp_path):
    tree = Tree(tmp_path, content())
    build(tree.settings, tree.layout, str(tmp_path / "none"), tmp_path / "r.html", tmp_path / "r.csv")
    assert "Snakemake recorded no job." in (tmp_path / "r.html").read_text()


def test_terminal_summary_is_plain_and_narrow(tree, built):
    summary = built[1]
    assert summary.isascii()
    assert max(map(len, summary.splitlines())) <= 120
    assert summary.splitlines()[-1] == f"Report: {tree.root / 'report/index.html'}"
    (row,) = of(built[2], mixture="curr", benchmark="nfcorpus", dataset="(mean)", metric="ndcg_at_10", seed="all")
    shown = f"{float(row['score']):.3f} {float(row['difference']):+.3f} [{float(row['low']):+.3f}, "
    assert re.search(rf"\| nfcorpus\s+\|\s+60 \|.*{re.escape(shown)}", summary)
    assert "95% intervals" in summary


def test_many_mixtures_and_long_names_stay_narrow(tmp_path):
    long = "a-benchmark-with-a-name-that-nobody-would-type-" * 2
    settings = content(
        mixtures=["uniform", "curr", "top50", "mean", "ema"],
        benchmarks={long + "x": [long + "x"]},
        models=["tiny", "big"],
    )
    _, summary, _ = Tree(tmp_path, settings).build()
    assert max(map(len, summary.splitlines()[:-1])) <= 120
    assert "ema" in summary and summary.count("nDCG@10") == 2


def test_page_is_self_contained(built):
    page = built[0]
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "img", "iframe", "object")]
    addresses = [v for _, attributes in page.tags for k, v in attributes.items() if k in ("src", "href", "xlink:href")]
    assert all(address.startswith("#") for address in addresses)


def test_page_holds_no_external_address(tree):
    html = (tree.root / "report/index.html").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"'<)]+", html)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"url\((?!#)", html) and "@import" not in html


def test_same_inputs_give_the_same_bytes(tree, built):
    files = [tree.root / "report/index.html", tree.root / "report/results.csv"]
    before = [file.read_bytes() for file in files]
    tree.build()
    assert [file.read_bytes() for file in files] == before


def test_texts_of_datasets_are_escaped(tmp_path):
    html, _, _ = Tree(tmp_path, content(), script="<script>alert(1)</script>").build()
    assert "<script" not in html and "&lt;script&gt;alert(1)" in html


def test_text_in_figures_is_escaped(tmp_path):
    tree = Tree(tmp_path, content())
    path = tree.layout.run("tiny", 1, "tdro/trajectory.parquet")
    table = read_table(path, TRAJECTORY)
    renamed = [name.replace("code", "<script>$x$") for name in table["task"].to_pylist()]
    write_table(path, {**{n: table[n] for n in TRAJECTORY.names}, "task": renamed}, TRAJECTORY)
    html, _, _ = tree.build()
    assert "<script" not in html and "&lt;script&gt;$x$" in html


def test_uniform_alone_needs_no_trajectory(tmp_path):
    tree = Tree(tmp_path, content(mixtures=["uniform"], courses=[]))
    assert not Path(tree.layout.run("tiny", 1, "tdro/trajectory.parquet")).exists()
    html, summary, rows = tree.build()
    assert "nothing to compare" in html and "How the weights were learnt" not in html
    assert "interval" not in summary and {row["mixture"] for row in rows} == {"uniform"}


def test_other_runs_of_tdro_are_compared_with_the_main_one(tmp_path):
    tree = Tree(tmp_path, content(courses=["tdro", "tdro-doremi", "tdro-ratio-0.05"], seeds=[1, 2]))
    path = tree.layout.run("tiny", 2, "tdro-ratio-0.05/trajectory.parquet")
    table = read_table(path, TRAJECTORY).to_pandas()
    table["weight"] = table["weight"].groupby(table["step"]).transform(lambda weights: weights[::-1].to_numpy())
    write_table(path, {name: table[name] for name in TRAJECTORY.names}, TRAJECTORY)
    html = tree.build()[0].partition("Other runs of tDRO")[2].partition("</table>")[0]
    rows = re.findall(r"<tr><th[^>]*>([a-z.0-9-]+)</th><td[^>]*>([\d.]+)</td><td[^>]*>(-?[\d.]+)</td>", html)
    last = table[table["step"] == table["step"].max()]["weight"].to_numpy()
    distance = np.abs(last - last[::-1]).sum() / 2 / 2  # of the second seed only, halved by the mean over both
    agreement = (1 + scipy.stats.spearmanr(last, last[::-1]).statistic) / 2
    assert [row[0] for row in rows] == ["doremi", "ratio-0.05"]
    assert [float(value) for value in rows[0][1:]] == [0, 1]
    assert [float(value) for value in rows[1][1:]] == pytest.approx([distance, agreement], abs=0.006)


def test_the_report_says_what_reusing_reference_losses_saved(tmp_path):
    tree = Tree(tmp_path, content(courses=["tdro", "tdro-doremi"]))
    assert "read by 2 runs of tDRO each" not in tree.build()[0]
    (tmp_path / "logs/reference").mkdir()
    (tmp_path / "logs/reference/tiny.seed1.tsv").write_text("s\th:m:s\tmax_rss\n90\t0:01:30\t100\n")
    assert "(1 min 30 s in all) and read by 2 runs of tDRO each" in tree.build()[0]


def test_out_of_domain_alone(tmp_path):
    html, _, rows = Tree(tmp_path, content(benchmarks={"scifact": ["scifact"]})).build()
    assert "In domain, task by task" not in html
    assert {row["benchmark"] for row in rows} == {"scifact", "out_of_domain"}


def test_in_domain_alone(tmp_path):
    _, summary, rows = Tree(tmp_path, content(benchmarks={"in_domain": TASKS})).build()
    assert {row["benchmark"] for row in rows} == {"in_domain"}
    assert "out of domain" not in summary


def test_parts_count_as_one_benchmark_and_suites_average_benchmarks(tmp_path):
    parts = [f"cqa-{name}" for name in ("android", "english", "gis")]
    settings = content(benchmarks={"cqa": parts, "scifact": ["scifact"]}, suites={"BEIR": ["cqa", "scifact"]})
    tree = Tree(tmp_path, settings, shift={"curr": 0.1})
    html, summary, rows = tree.build()
    wanted = {"mixture": "curr", "metric": "ndcg_at_10", "seed": "all", "dataset": "(mean)"}
    means = {d: tree.scores["tiny", 1, "curr", d][:, 0].mean() for d in (*parts, "scifact")}
    cqa = np.mean([means[part] for part in parts])
    (row,) = of(rows, benchmark="cqa", **wanted)
    assert float(row["score"]) == pytest.approx(cqa)
    for average in "BEIR", "out_of_domain":
        (row,) = of(rows, benchmark=average, **wanted)
        assert float(row["score"]) == pytest.approx((cqa + means["scifact"]) / 2)
        assert row["comparisons"] == str(2 * 3), "BEIR and out of domain are the same two benchmarks"
        assert float(row["low"]) < float(row["difference"]) < float(row["high"])
    assert "mean of 3 parts" in html and "| BEIR" in summary


def test_answer_benchmarks_have_their_own_metrics(tmp_path):
    settings = content(
        benchmarks={"mkqa": ["mkqa-ar", "mkqa-th"], "scifact": ["scifact"]}, mixtures=["uniform", "curr"]
    )
    tree = Tree(tmp_path, settings)
    for mixture in settings.mixtures:
        hits = {d: (tree.scores["tiny", 1, mixture, d] > 0.5).astype(float) for d in ("mkqa-ar", "mkqa-th")}
        tree.evaluation("tiny", 1, mixture, "mkqa", hits, ANSWER_METRICS)
    html, summary, rows = tree.build()
    assert {row["metric"] for row in of(rows, benchmark="mkqa")} == set(ANSWER_METRICS)
    (row,) = of(rows, mixture="curr", benchmark="mkqa", dataset="(mean)", metric="acc_at_100", seed="all")
    expected = np.mean([tree.scores["tiny", 1, "curr", d][:, 0].mean() for d in ("mkqa-ar", "mkqa-th")])
    assert float(row["score"]) == pytest.approx(expected)
    # An average of nDCG@10 leaves out what has none, and so does one of hits.
    (average,) = of(rows, mixture="curr", benchmark="out_of_domain", metric="ndcg_at_10", seed="all")
    (alone,) = of(rows, mixture="curr", benchmark="scifact", dataset="(mean)", metric="ndcg_at_10", seed="all")
    assert average["score"] == alone["score"]
    assert "nDCG@10; Acc@100 of mkqa" in _Text(html).text and "Acc@100 of mkqa" in summary


def test_untrained_retrievers_anchor_the_table(tmp_path):
    tree = Tree(tmp_path, content(untrained=["bm25", "miner"]))
    for name, value in (("bm25", 0.111), ("miner", 0.222)):
        datasets = [d for members in BENCHMARKS.values() for d in members]
        tree.untrained(name, {d: np.full((60, 3), value) for d in datasets})
    html, summary, rows = tree.build()
    for name, value in (("bm25", "0.111"), ("miner", "0.222")):
        found = of(rows, model=name)
        assert {row["mixture"] for row in found} == {"untrained"} and {row["difference"] for row in found} == {""}
        assert {round(float(row["score"]), 6) for row in found} == {float(value)}
        assert re.search(rf"{name} ({value} ){{4}}", _Text(html).text)
    assert re.search(r"\| scifact\s+\|\s+60 \| 0.111 \| 0.222 \|", summary)


def test_what_training_gained_over_each_untrained_retriever_is_said_first(tmp_path):
    """One retriever that is a tenth worse on every query, and one that scores the same but for its order."""
    tree = Tree(tmp_path, content(seeds=[1, 2], untrained=["bm25", "base-tiny"]))
    datasets = [d for members in BENCHMARKS.values() for d in members]
    trained = {d: (tree.scores["tiny", 1, "uniform", d] + tree.scores["tiny", 2, "uniform", d]) / 2 for d in datasets}
    tree.untrained("bm25", {d: rows - 0.1 for d, rows in trained.items()})
    tree.untrained("base-tiny", {d: rows + np.tile([[0.2], [-0.2]], (30, 1)) for d, rows in trained.items()})
    html, summary, _ = tree.build()
    text = _Text(html).text
    mean = np.mean([trained[d][:, 0].mean() for d in BENCHMARKS["in_domain"]])
    line = f"In domain, against bm25: {mean - 0.1:.3f} to {mean:.3f}, +0.100 [+0."
    assert line in text
    assert "a distinguishable gain" in text[text.index(line) :][:130]
    assert text.index("Whether training paid") < text.index("curr against uniform, tiny")
    other = text[text.index("In domain, against base-tiny") :][:130]
    assert "+0.000 [" in other and "not distinguishable from zero" in other
    (row,) = re.findall(r"\| in domain\s+\| (\+0.100 \[.*?\] \*)\s+\| (.*?)\s+\|\n", summary)
    assert "*" not in row[1]
    assert re.search(r"\| out of domain \| \+0.100 ", summary)


def test_nothing_is_said_of_gains_where_nothing_anchors_the_table(built):
    html, summary, _ = built
    assert "Whether training paid" not in html.text
    assert "has gained over" not in summary


def cut(tree, shares, dimension=96, **others):
    """Score embeddings cut to some dimensions: those shares of what the whole ones score; ``others`` have another."""
    for path in (tree.root / "results").rglob("eval/*.json"):
        name = next((name for name in others if name in path.parts), None)
        whole = others[name] if name else dimension
        sizes = {size: share for size, share in shares.items() if whole and size < whole}
        table = pq.read_table(path.with_suffix(".queries.parquet"))
        stated = json.loads(path.read_text()) | ({"dimension": whole} if whole else {})
        for size, share in sizes.items():
            for metric in (*RELEVANCE_METRICS, *ANSWER_METRICS):
                table = table.append_column(f"{metric}@{size}", pc.multiply(table[metric], share))
            for figures in stated["datasets"].values():
                figures |= {f"{m}@{size}": v * share for m, v in figures.items() if "_at_" in m and "@" not in m}
        pq.write_table(table, path.with_suffix(".queries.parquet"))
        path.write_text(json.dumps(stated))


def test_scores_at_fewer_dimensions_stand_in_a_table_of_their_own_and_change_nothing_else(tmp_path):
    settings = {"seeds": [1, 2], "untrained": ["bm25", "miner"]}
    tree = Tree(tmp_path, content(**settings), shift={"curr": 0.1})
    for name in ("bm25", "miner"):
        tree.untrained(name, {d: np.full((60, 3), 0.2) for members in BENCHMARKS.values() for d in members})
    plain, summary, before = tree.build()
    cut(tree, {64: 0.9, 32: 0.5}, bm25=None, miner=48)
    tree.settings = content(**settings, dimensions=[64, 32])
    html, after_summary, rows = tree.build()
    assert after_summary == summary
    assert [row for row in rows if "@" not in row["metric"]] == before
    assert "Shorter embeddings" not in _Text(plain).text

    added = [row for row in rows if "@" in row["metric"]]
    subjects, metrics, mixtures, seeds, sizes = 9, 3, 3, 2, 2
    assert len(added) == subjects * metrics * (mixtures * (seeds + 1) * sizes + 1)  # the miner at 32 only
    assert {row[key] for row in added for key in ("uniform", "difference", "p", "verdict")} == {""}
    for row in added:
        metric, size = row["metric"].split("@")
        keys = {key: row[key] for key in ("model", "mixture", "seed", "benchmark", "dataset")}
        (whole,) = of(before, metric=metric, **keys)
        assert float(row["score"]) == pytest.approx({"64": 0.9, "32": 0.5}[size] * float(whole["score"]))
        assert row["queries"] == whole["queries"]

    shown = _Text(html).text.partition("Shorter embeddings")[2].partition("What this says")[0]
    (row,) = of(
        before, model="tiny", mixture="curr", benchmark="in_domain", dataset="(mean)", metric="ndcg_at_10", seed="all"
    )
    score = float(row["score"])
    assert re.search(
        rf"tiny, curr 96 whole {score:.3f} .* 64 {0.9 * score:.3f} 90.0% .* 32 {0.5 * score:.3f} 50.0%", shown
    )
    assert re.search(r"miner, untrained 48 whole( 0.200){4} 32( 0.100 50.0%){4}", shown)
    assert "bm25" not in shown


def test_dimensions_that_no_retriever_has_are_said_and_scores_without_them_refused(tmp_path):
    tree = Tree(tmp_path, content(dimensions=[512, 128]))
    path = tree.layout.scores("tiny", 1, "uniform", "in_domain")
    with pytest.raises(UserError, match=rf"{re.escape(path)} was made without `evaluation.dimensions`"):
        tree.build()
    cut(tree, {512: 0.9, 128: 0.5})
    html, _, rows = tree.build()
    assert "No retriever has embeddings of more than 128 numbers" in _Text(html).text
    assert not [row for row in rows if "@" in row["metric"]]
    tree.settings = content(dimensions=[64])
    with pytest.raises(UserError, match=r"has no column 'ndcg_at_10@64'"):
        tree.build()


def test_untrained_scores_of_other_queries_are_refused(tmp_path):
    tree = Tree(tmp_path, content(untrained=["bm25"]))
    tree.untrained("bm25", {d: np.zeros((59, 3)) for members in BENCHMARKS.values() for d in members})
    with pytest.raises(UserError, match="differ in the queries"):
        tree.build()


def test_few_queries_are_named(tmp_path):
    html, _, _ = Tree(tmp_path, content(), queries=12).build()
    assert "Fewer than 30 queries" in html and "scifact (12)" in html


def test_missing_scores_are_named(tmp_path):
    tree = Tree(tmp_path, content())
    path = Path(tree.layout.query_scores("tiny", 1, "curr", "scifact"))
    path.unlink()
    with pytest.raises(UserError, match=re.escape(str(path))):
        tree.build()


def test_other_queries_cannot_be_compared(tmp_path):
    tree = Tree(tmp_path, content())
    tree.evaluation("tiny", 1, "curr", "scifact", {"scifact": tree.scores["tiny", 1, "curr", "scifact"][:-1]})
    with pytest.raises(UserError, match="differ in the queries of 'scifact', for example 'q59'"):
        tree.build()


def test_scores_of_another_run_are_refused(tmp_path):
    tree = Tree(tmp_path, content())
    path = Path(tree.layout.scores("tiny", 1, "curr", "scifact"))
    figures = json.loads(path.read_text())
    figures["datasets"]["scifact"]["mrr_at_10"] += 0.01
    path.write_text(json.dumps(figures))
    with pytest.raises(UserError, match="different runs"):
        tree.build()


def test_a_missing_dataset_is_named(tmp_path):
    tree = Tree(tmp_path, content())
    tree.evaluation("tiny", 1, "curr", "in_domain", {"news": tree.scores["tiny", 1, "curr", "news"]})
    with pytest.raises(UserError, match="holds scores of news, but the report expects code, medical, news"):
        tree.build()


def test_a_score_that_is_no_number_is_refused(tmp_path):
    tree = Tree(tmp_path, content())
    values = tree.scores["tiny", 1, "curr", "scifact"].copy()
    values[0, 0] = np.nan
    path = tree.layout.query_scores("tiny", 1, "curr", "scifact")
    ids = [f"q{number}" for number in range(len(values))]
    columns = {metric: [None] * len(ids) for metric in ANSWER_METRICS} | dict(
        zip(RELEVANCE_METRICS, values.T, strict=True)
    )
    write_table(path, {"dataset": ["scifact"] * len(ids), "query_id": ids, **columns}, QUERY_SCORES)
    with pytest.raises(UserError, match="no finite number"):
        tree.build()


def test_content_needs_the_baseline_and_datasets():
    with pytest.raises(ValueError, match="uniform"):
        content(mixtures=["curr"])
    with pytest.raises(ValueError, match="lists no dataset"):
        content(benchmarks={"in_domain": []})


def test_the_report_loads_no_model_library():
    code = "import sys, tdro.report.report; assert not {'torch', 'transformers', 'datasets'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

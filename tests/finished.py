"""A results folder as the stages leave it, with made-up figures, and the report on it."""

import csv
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ours import write_sealed

from tdro.artifacts.files import read_json, write_json, write_table
from tdro.artifacts.layout import Layout, evaluation_files
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
    TRAIN,
    TRAJECTORY,
)
from tdro.config.commands import Content
from tdro.mixtures.weights import Weights, write_weights
from tdro.report.report import build
from tdro.report.scores import queries, rows

TASKS = ["news", "code", "medical", "forum"]
BENCHMARKS = {"in_domain": ["news", "code", "medical"], "nfcorpus": ["nfcorpus"], "scifact": ["scifact"]}
STEPS = 20


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


class Finished:
    """The folder; `shift` is each mixture's gain, `script` stands in the texts of the data."""

    def __init__(self, root: Path, settings: Content | None = None, *, queries=60, shift=None, script="") -> None:
        self.root, self.settings, self.layout = root, settings or content(), Layout(root / "results")
        self.random = np.random.default_rng(7)
        self.scores: dict = {}
        for model in self.settings.models:
            for benchmark, datasets in self.settings.benchmarks.items():
                base = {d: self.random.beta(2, 2, (queries, 3)) for d in datasets}
                for seed in self.settings.seeds:
                    for mixture in self.settings.mixtures:
                        gain = (shift or {}).get(mixture, 0.0)
                        moved = {
                            d: np.clip(v + gain + self.random.normal(0, 0.05, v.shape), 0, 1) for d, v in base.items()
                        }
                        self.evaluation(model, seed, mixture, benchmark, moved)
        for seed in self.settings.seeds:
            self.learnt(seed)
        for task in self.settings.tasks:
            self.data(task, script)
        for benchmark, datasets in self.settings.benchmarks.items():
            for dataset in datasets:
                self.test_set(benchmark, dataset, queries)
        self.leaks()
        self.jobs()

    @property
    def datasets(self) -> list[str]:
        return [dataset for members in self.settings.benchmarks.values() for dataset in members]

    def evaluation(self, model, seed, mixture, benchmark, values: dict, metrics=RELEVANCE_METRICS) -> None:
        """What an evaluation leaves: values of shape (queries, 3) by dataset."""
        self._evaluation(self.layout.evaluation(model, seed, mixture), benchmark, values, metrics)
        for dataset, scored in values.items():
            self.scores[model, seed, mixture, dataset] = scored

    def untrained(self, name, values: dict | float) -> None:
        """The same of a retriever that nothing was trained for; a number is that of every query."""
        values = values if isinstance(values, dict) else {d: np.full((60, 3), values) for d in self.datasets}
        for benchmark, datasets in self.settings.benchmarks.items():
            self._evaluation(self.layout.untrained_evaluation(name), benchmark, {d: values[d] for d in datasets})

    def _evaluation(self, folder, benchmark, values: dict, metrics=RELEVANCE_METRICS) -> None:
        samples = self.settings.sampled
        for job in {Layout.evaluated(benchmark, dataset, samples) for dataset in values}:
            of_job = {d: rows for d, rows in values.items() if Layout.evaluated(benchmark, d, samples) == job}
            names = [name for name, rows in of_job.items() for _ in rows]
            columns = {metric: [None] * len(names) for metric in (*RELEVANCE_METRICS, *ANSWER_METRICS)}
            places = [n for rows in of_job.values() for n in range(len(rows))]
            columns |= {"dataset": names, "query_id": [f"q{n}" for n in places]}
            columns |= zip(metrics, np.concatenate(list(of_job.values())).T, strict=True)
            # Queries that score well find their passage first, the others those of their neighbours.
            better = columns[metrics[0]] > 0.5
            columns["first"] = [[n, n + 1] if found else [n + 1] for n, found in zip(places, better, strict=True)]
            means = {d: dict(zip(metrics, rows.mean(0).tolist(), strict=True)) for d, rows in of_job.items()}
            for name in set(means) & set(samples):
                means[name] |= {"passages": 30, "sampled_from": 900}
            files = evaluation_files(folder, job)
            write_table(files.query_scores, columns, QUERY_SCORES)
            write_json(files.scores, {"benchmark": "b", "datasets": means})

    def cut(self, shares, dimension=96, **others) -> None:
        """Score embeddings cut to some dimensions: shares of what the whole ones score; ``others`` have another."""
        for path in (self.root / "results").rglob("eval/*.json"):
            whole = next((others[name] for name in others if name in path.parts), dimension)
            sizes = {size: share for size, share in shares.items() if whole and size < whole}
            table = pq.read_table(path.with_suffix(".queries.parquet"))
            stated = read_json(path) | ({"dimension": whole} if whole else {})
            for size, share in sizes.items():
                for metric in (*RELEVANCE_METRICS, *ANSWER_METRICS):
                    table = table.append_column(f"{metric}@{size}", pc.multiply(table[metric], share))
                for figures in stated["datasets"].values():
                    figures |= {f"{m}@{size}": v * share for m, v in figures.items() if "@" not in m}
            write_sealed(path.with_suffix(".queries.parquet"), table)
            write_json(path, stated)

    def learnt(self, seed) -> None:
        """Weights of every mixture, the trajectories, plans and heaviest rows of tDRO."""
        sizes = {task: 1000 * (number + 1) for number, task in enumerate(self.settings.tasks)}
        k = len(sizes)
        drift = np.linspace(0, 1, STEPS)[:, None] * self.random.normal(0, 1, k)
        course = np.exp(drift) / np.exp(drift).sum(1, keepdims=True)
        losses = 1 + self.random.gamma(4, 0.2, STEPS * k)
        self.last = dict(zip(sizes, course[-1].tolist(), strict=True))
        for mixture in self.settings.mixtures:
            chosen = list(sizes) if mixture in ("uniform", "curr") else list(sizes)[: k // 2]
            values = self.last if mixture == "curr" else dict.fromkeys(chosen, 1 / len(chosen))
            path = Path(self.layout.weights(self.settings.proxy, seed, mixture))
            path.parent.mkdir(parents=True, exist_ok=True)
            write_weights(path, Weights(values, {t: sizes[t] for t in values}))
        columns = {
            "step": np.repeat(np.arange(1, STEPS + 1), k),
            "task": list(sizes) * STEPS,
            "size": list(sizes.values()) * STEPS,
            "rows": [4] * (STEPS * k),
            "proxy_loss": losses * 0.9,
            "reference_loss": losses,
            "measurement": losses / 2,
            "gradient": losses / 9,
            "effective_rows": [4.0] * (STEPS * k),
            **dict.fromkeys(("weight", "mean", "ema"), course.ravel()),
        }
        for course in self.settings.courses:
            write_table(self.run(seed, f"{course}/trajectory.parquet"), columns, TRAJECTORY)
        counts = {task: {"rows drawn": 100, "drawn by the baseline, too": n} for n, task in enumerate(sizes)}
        for plan in ("tdro", "uniform"):
            write_table(self.run(seed, f"{plan}/plan.parquet"), PLAN.empty_table(), PLAN, counts)
        self.heaviest(seed)

    def run(self, seed, file) -> str:
        return self.layout.run(self.settings.proxy, seed, file)

    def change_course(self, *columns: pl.Expr, seed=1, course="tdro") -> pl.DataFrame:
        """Change some columns of a trajectory."""
        path = self.run(seed, f"{course}/trajectory.parquet")
        changed = pl.read_parquet(path).with_columns(*columns)
        write_table(path, changed.to_arrow(), TRAJECTORY)
        return changed

    def carried_by_few(self, task) -> None:
        """Lets a quarter of a task's rows carry its measurement."""
        few = pl.when(pl.col("task") == task).then(1.0).otherwise(pl.col("effective_rows"))
        self.change_course(few.alias("effective_rows"))

    def heaviest(self, seed, shares=(0.01, 0.01), rows=(0, 1)) -> None:
        """The heaviest rows of every task: its first two."""
        tasks, n = self.settings.tasks, len(shares) * len(self.settings.tasks)
        columns = {"task": [task for task in tasks for _ in shares], "share": list(shares) * len(tasks)}
        columns |= {"query": list(rows) * len(tasks), "positive": list(rows) * len(tasks)}
        columns |= {"draws": [1] * n, "reference_loss": [0.5] * n, "rows": [100] * n}
        write_table(self.run(seed, "tdro/heaviest_rows.parquet"), columns, HEAVIEST)

    def data(self, task, script) -> None:
        """Prepared, mined and deduplicated data; the negatives of the forum were provided."""
        ids = [str(n) for n in range(4)]
        columns = {"query_id": ids, "query": [f"{task} question {n}{script}" for n in ids]}
        columns |= {"positives": [[n] for n in range(4)], "negatives": [[]] * 4}
        counts = {"rows": 4321, "too short": 21, "zero": 0}
        write_table(self.layout.task(task, "queries.parquet"), columns, QUERIES, counts)
        passages = [f"{task} answer {n}" for n in range(3)] + [f"{task} QUESTION 3!"]
        columns = {"passage_id": ids, "title": [""] * 4, "text": passages}
        write_table(self.layout.task(task, "corpus.parquet"), columns, CORPUS)
        if task != "forum":
            path = self.layout.task(task, "negatives.parquet")
            write_table(path, NEGATIVES.empty_table(), NEGATIVES, {"candidates": 777})
        write_table(self.layout.task(task, "train.parquet"), TRAIN.empty_table(), TRAIN, {"training rows": 4298})
        found = {
            "query": [3, 5],
            "text": [f"what is {task} {script}", "same"],
            "source": ["nfcorpus", "scifact"],
            "matched": [f"What is {task}?", "same"],
            "distance": [2, 0],
        }
        found = DUPLICATES.empty_table() if task == "news" else found
        write_table(self.layout.task(task, "duplicates.parquet"), found, DUPLICATES)

    def test_set(self, benchmark, dataset, queries) -> None:
        """A passage a query, which is the relevant one, and one more."""
        files = self.layout.held_out if benchmark == "in_domain" else self.layout.benchmark
        ids, texts = [f"q{n}" for n in range(queries)], [f"{dataset} passage {n}" for n in range(queries + 1)]
        columns = {"passage_id": [f"p{n}" for n in range(len(texts))], "title": [""] * len(texts), "text": texts}
        write_table(files(dataset, "corpus.parquet"), columns, CORPUS)
        columns = {"query_id": ids, "query": [f"{dataset} question {name}?" for name in ids]}
        columns |= {"positives": [[n] for n in range(queries)], "negatives": [[]] * queries}
        write_table(files(dataset, "queries.parquet"), columns, QUERIES)

    def leaks(self, leaked=None, files=None) -> None:
        """Numbers of leaks by dataset, and by further file of queries."""
        names = [*self.datasets, *(files or {})]
        found = [((leaked or {}) | (files or {})).get(name, 0) for name in names]
        example = {"kind": "query", "side": "positive", "task": "qa", "row": 3, "training": "x" * 999}
        columns = {"dataset": names, "queries": [60] * len(names), "passages": [80] * len(names)}
        columns |= {"query_in_query": found, "query_in_positive": found, "passage_in_query": [0] * len(names)}
        columns["passage_in_positive"] = [n // 2 for n in found]
        columns["examples"] = [
            [example | {"evaluation": f"text {i} of {d}", "share": 0.8 + i / 10} for i in range(min(n, 3))]
            for d, n in zip(names, found, strict=True)
        ]
        write_table(self.layout.leaks, columns, LEAKS)

    def jobs(self) -> None:
        for name, seconds, peak in (("tiny/seed1/curr", 100, "2048.5"), ("tiny/seed1/uniform", 30.5, "-")):
            path = self.root / "logs/train" / f"{name}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"s\th:m:s\tmax_rss\tmax_vms\n{seconds}\t0:00:01\t{peak}\tNA\n")
        (self.root / "logs/train/other.tsv").write_text("loss\tstep\n1\t2\n")
        line = {"rule": "train", "logs": "train", "jobs": 4, "seconds": 300.0}
        made = {"made": "2026-01-02T03:04:05+00:00", "device": "a laptop", "said": ["rates: stated"]}
        write_json(self.root / "logs/forecast.json", made | {"lines": [line]})

    def results(self) -> rows.Results:
        """The rows of the report, without its page."""
        return rows.collect(self.settings, queries.read(self.settings, self.layout))

    def report(self) -> "Report":
        files = self.root / "report/index.html", self.root / "report/results.csv"
        return Report(build(self.settings, self.layout, str(self.root / "logs"), *files), *files)


class Report(HTMLParser):
    """A report: ``html``, every tag of it with its attributes, its visible ``text``; ``rows``; ``summary``."""

    def __init__(self, summary: str, page: Path, table: Path) -> None:
        super().__init__()
        self.summary, self.html = summary, page.read_text(encoding="utf-8")
        self.rows = list(csv.DictReader(table.read_text().splitlines()))
        self.tags, self._parts, self._hidden = [], [], False
        self.feed(self.html)
        self.text = " ".join(" ".join(self._parts).split())

    def handle_starttag(self, tag, attributes):
        self._hidden = tag in ("style", "script")
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        self._hidden = False

    def handle_data(self, data):
        if not self._hidden:
            self._parts.append(data)

    def of(self, **wanted) -> list[dict]:
        """Rows with some values."""
        return [row for row in self.rows if all(row[key] == str(value) for key, value in wanted.items())]

    def row(self, benchmark, mixture="curr", **wanted) -> dict:
        """One row: the mean over a benchmark, of nDCG@10 and all seeds, unless ``wanted`` has it otherwise."""
        usual = {"seed": "all", "dataset": "(mean)", "metric": "ndcg_at_10", "model": "tiny"}
        (row,) = self.of(benchmark=benchmark, mixture=mixture, **(usual | wanted))
        return {key: float(value) if key in _NUMBERS and value else value for key, value in row.items()}


_NUMBERS = ("score", "uniform", "difference", "low", "high", "p", "p_holm")

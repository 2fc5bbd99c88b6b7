"""Where every artifact lies: the path says what it is. Used by the rules and by the report."""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

#: The benchmark made of the held-out rows of the training tasks.
IN_DOMAIN = "in_domain"

#: The dev queries of the training tasks, where choices are made on them.
DEV_ROWS = "dev_rows"

# Behind the name of a corpus of which a sample is searched, and of a test set that searches it. No name has an `@`, so
# that nothing of a preview lies where a full evaluation looks.
_SAMPLE = "@sample"

#: Forms that training rows are exported in (:mod:`tdro.data.export_data`).
ROW_FORMS = ("sentence-transformers", "flagembedding", "tevatron", "released")

#: What a dataset is once it is prepared.
TEXTS = ("corpus.parquet", "queries.parquet")


class ReportFiles(NamedTuple):
    """The report as a page and as a table."""

    html: str
    csv: str


class StudyFiles(NamedTuple):
    """What a study ends with: its choice beside what is reported, for programs and for people."""

    json: str
    text: str


class EvaluationFiles(NamedTuple):
    """What the evaluation of a retriever on one benchmark writes."""

    scores: str
    query_scores: str
    runs: str


def evaluation_files(folder: str | Path, benchmark: str) -> EvaluationFiles:
    """Mean scores, scores of each query, and the folder of the rankings in TREC's format."""
    return EvaluationFiles(*(f"{folder}/{benchmark}{end}" for end in (".json", ".queries.parquet", ".runs")))


def sampled(name: str) -> str:
    """What the sample of a corpus is called, and a test set that is evaluated on it."""
    return f"{name}{_SAMPLE}"


def whole(name: str) -> str:
    """The name of a corpus or test set, whether it is sampled or not."""
    return name.removesuffix(_SAMPLE)


class Layout:
    """Paths below a results folder; arguments may be values or Snakemake wildcards like ``{task}``."""

    def __init__(self, results: str | Path = "results") -> None:
        self.results = str(results)

    @property
    def handed_on(self) -> "Layout":
        """The same paths without the folders above the results, for pages that leave the machine."""
        return Layout(Path(self.results).name)

    def task_folder(self, task: str) -> str:
        """Folder of a training task."""
        return f"{self.results}/data/{task}"

    def task(self, task: str, file: str) -> str:
        """A file of a training task: corpus, queries, negatives, train, dev or duplicates (.parquet)."""
        return f"{self.task_folder(task)}/{file}"

    def fetched(self, key: str) -> str:
        """The manifest of a fetched dataset, model or package; ``key`` is that of its FetchJob."""
        return f"{self.results}/fetched/{key}.json"

    def held_out(self, task: str, file: str) -> str:
        """A file of a task's in-domain benchmark: corpus.parquet or queries.parquet."""
        return f"{self.results}/data/{task}/heldout/{file}"

    def dev_queries(self, task: str) -> str:
        """The queries of a task that choices are made on, with their rows in its queries.parquet."""
        return f"{self.results}/data/{task}/dev/queries.parquet"

    def dev_pool(self, dataset: str) -> str:
        """The dev queries of a task or benchmark, each with the passages that it is ranked among."""
        return f"{self.results}/dev/{dataset}.parquet"

    def benchmark(self, benchmark: str, file: str) -> str:
        """A file of an out-of-domain benchmark or a part of it: corpus.parquet or queries.parquet."""
        return f"{self.results}/benchmarks/{benchmark}/{file}"

    @staticmethod
    def digest(file: str) -> str:
        """The file beside a Parquet file that tells its content (:mod:`tdro.artifacts.digests`)."""
        return f"{file.removesuffix('.parquet')}.digest"

    def passed(self, gate: str) -> str:
        """Mark of a point of the workflow that a run has passed: all data are ``prepared``, all ``deduplicated``."""
        return f"{self.results}/.passed/{gate}"

    @property
    def project(self) -> str:
        """Note of the registry that made the results (:mod:`tdro.pipeline.project`)."""
        return f"{self.results}/project.json"

    @property
    def versions(self) -> str:
        """Notes of which code and libraries made what (:mod:`tdro.artifacts.versions`)."""
        return f"{self.results}/.versions"

    @property
    def leaks(self) -> str:
        """Evaluation queries that still have a near-duplicate in training."""
        return f"{self.results}/leaks.parquet"

    @property
    def task_means(self) -> str:
        """The miner's mean embedding of each mined task."""
        return f"{self.results}/task_means.parquet"

    @property
    def report(self) -> ReportFiles:
        """The report's files."""
        return ReportFiles(f"{self.results}/report/index.html", f"{self.results}/report/results.csv")

    @property
    def paper_tables(self) -> str:
        """The paper's tables with our figures."""
        return f"{self.results}/report/tables.md"

    @property
    def recommendation(self) -> str:
        """Which mixture to train on, by dev scores alone."""
        return f"{self.results}/dev/recommendation.json"

    @property
    def study(self) -> StudyFiles:
        """The recommendation beside what is reported."""
        return StudyFiles(f"{self.results}/report/study.json", f"{self.results}/report/study.txt")

    def run(self, model: str, seed: int | str, file: str) -> str:
        """A file of a model and seed, such as ``tdro/trajectory.parquet``."""
        return f"{self.results}/{model}/seed{seed}/{file}"

    def base(self, model: str) -> str:
        """The base of a model as the retriever that its trainings start from, while soups are made with it."""
        return f"{self.results}/{model}/base"

    def weights(self, model: str, seed: int | str, mixture: str) -> str:
        """The weights JSON of a mixture."""
        return self.run(model, seed, f"weights/{mixture}.json")

    def rows(self, form: str) -> str:
        """Folder of all tasks' training rows in a form that other programs train on."""
        return f"{self.results}/rows/{form}"

    def package(self, model: str, seed: int | str, mixture: str) -> str:
        """A retriever with its card, weights and results, as an archive to hand on."""
        return f"{self.results}/packages/{model}.seed{seed}.{mixture}.tar.gz"

    def evaluation(self, model: str, seed: int | str, mixture: str) -> str:
        """Folder of a retriever's scores (:func:`evaluation_files`)."""
        return self.run(model, seed, f"{mixture}/eval")

    def dev_scores(self, model: str, seed: int | str, mixture: str) -> str:
        """What choices between retrievers are made on: loss and rank of each dev query."""
        return self.run(model, seed, f"{mixture}/dev.parquet")

    def experts(self, model: str, seed: int | str, file: str) -> str:
        """What merged experts tell: dev.parquet, law.json, candidates.json, prune.json."""
        return self.run(model, seed, f"experts/{file}")

    def soup_scores(self, model: str, seed: int | str, mixture: str) -> str:
        """What a soup and its ingredients score on dev queries, and the share that these have chosen."""
        return self.run(model, seed, f"{mixture}/soup.json")

    def untrained_evaluation(self, name: str) -> str:
        """The same of a retriever that nothing was trained for, such as ``bm25``."""
        return f"{self.results}/untrained/{name}/eval"

    def scores(self, model: str, seed: int | str, mixture: str, dataset: str) -> str:
        """Mean scores of a retriever on a dataset, or on all of the in-domain benchmark."""
        return evaluation_files(self.evaluation(model, seed, mixture), dataset).scores

    def query_scores(self, model: str, seed: int | str, mixture: str, dataset: str) -> str:
        """Scores of each query beside them."""
        return evaluation_files(self.evaluation(model, seed, mixture), dataset).query_scores

    def untrained_scores(self, name: str, dataset: str) -> str:
        """Mean scores of a retriever that nothing was trained for."""
        return evaluation_files(self.untrained_evaluation(name), dataset).scores

    def untrained_query_scores(self, name: str, dataset: str) -> str:
        """Scores of each query beside them."""
        return evaluation_files(self.untrained_evaluation(name), dataset).query_scores

    def runs(self, model: str, seed: int | str, mixture: str, dataset: str) -> str:
        """Folder of the rankings in TREC's format."""
        return evaluation_files(self.evaluation(model, seed, mixture), dataset).runs

    def untrained_runs(self, name: str, dataset: str) -> str:
        """The same of a retriever that nothing was trained for."""
        return evaluation_files(self.untrained_evaluation(name), dataset).runs

    def rankings(self, model: str, seed: int | str, mixture: str, corpus: str) -> str:
        """What a retriever finds in a corpus that is searched ahead of the evaluations, for all queries of these."""
        return self.run(model, seed, f"{mixture}/rankings/{corpus}.parquet")

    def untrained_rankings(self, name: str, corpus: str) -> str:
        """The same of a retriever that nothing was trained for."""
        return f"{self.results}/untrained/{name}/rankings/{corpus}.parquet"

    @staticmethod
    def part(rankings: str, part: str) -> str:
        """What it finds in a part of the corpus, such as ``3of17``."""
        return f"{rankings.removesuffix('.parquet')}/{part}.parquet"

    @staticmethod
    def evaluated(benchmark: str, dataset: str, samples: Collection[str] = ()) -> str:
        """What one job evaluates: a dataset, maybe on one of the samples, or the held-out rows of all tasks at once."""
        if benchmark == IN_DOMAIN:
            return IN_DOMAIN
        return sampled(dataset) if dataset in samples else dataset

"""What the rows of the results are about: a metric of a dataset, a benchmark, or an average over benchmarks."""

from dataclasses import dataclass

from tdro.artifacts.schemas import ANSWER_METRICS, METRICS, RELEVANCE_METRICS
from tdro.config.commands import Content
from tdro.report.scores.queries import Pair, Scored

#: Stands for the macro average over a benchmark's datasets in the place of a dataset.
MEAN = "(mean)"
#: The macro average over all out-of-domain benchmarks, in the place of a benchmark.
OUT_OF_DOMAIN = "out_of_domain"

# Comparisons whose p are corrected together: all of a table of benchmarks, and all of single datasets beside it.
_TABLE, _DATASETS = "table", "datasets"


@dataclass(frozen=True)
class Subject:
    """A metric of some datasets, and the weight of each in the average; ``weights`` says what is compared.

    Attributes:
        benchmark: A benchmark or an average over benchmarks.
        dataset: One of its datasets, or :data:`MEAN`.
        metric: As in ``results.csv``.
        weights: Weight of each dataset that has the metric, sum 1.
        family: Equal for comparisons that are corrected together: whether it is a column of the main table, and
            whether the metric is a main one, a second or a third, whatever it is.
    """

    benchmark: str
    dataset: str
    metric: str
    weights: dict[Pair, float]
    family: tuple[str, int]

    @property
    def same(self) -> tuple:
        """Equal for subjects that are one comparison, such as a benchmark and its only dataset."""
        return self.metric, tuple(sorted((pair, round(weight, 9)) for pair, weight in self.weights.items()))

    def score(self, scores: Scored) -> float:
        """The mean over its datasets."""
        return float(sum(weight * scores[pair].mean(self.metric) for pair, weight in self.weights.items()))


def subjects(settings: Content, scores: Scored) -> list[Subject]:
    """Every benchmark, each of its datasets, every suite and all out of domain, with each metric that it has."""
    found = []
    for benchmark, datasets in settings.benchmarks.items():
        pairs = [(benchmark, dataset) for dataset in datasets]
        found += _with_metrics(scores, benchmark, MEAN, {pair: 1 / len(pairs) for pair in pairs}, _TABLE)
        for pair in pairs:  # an only dataset is its benchmark
            found += _with_metrics(scores, *pair, {pair: 1.0}, _TABLE if len(pairs) == 1 else _DATASETS)
    for name, members in {**settings.suites, OUT_OF_DOMAIN: settings.out_of_domain}.items():
        if members:
            found += _with_metrics(scores, name, MEAN, _average(settings, members), _TABLE)
    return found


def _average(settings: Content, benchmarks: list[str]) -> dict[Pair, float]:
    """Every benchmark counts the same, and within it every dataset."""
    return {
        (benchmark, dataset): 1 / len(benchmarks) / len(settings.benchmarks[benchmark])
        for benchmark in benchmarks
        for dataset in settings.benchmarks[benchmark]
    }


def _with_metrics(
    scores: Scored, benchmark: str, dataset: str, weights: dict[Pair, float], table: str
) -> list[Subject]:
    """A subject a metric.

    An average is over the benchmarks that have the metric: one of nDCG@10 leaves MKQA out.
    """
    found = []
    for metric in sorted({m for pair in weights for m in scores[pair].metrics}, key=METRICS.index):
        having = {pair: weight for pair, weight in weights.items() if metric in scores[pair].metrics}
        total = sum(having.values())
        shares = {pair: weight / total for pair, weight in having.items()}
        kind = RELEVANCE_METRICS if metric in RELEVANCE_METRICS else ANSWER_METRICS
        found.append(Subject(benchmark, dataset, metric, shares, (table, kind.index(metric))))
    return found

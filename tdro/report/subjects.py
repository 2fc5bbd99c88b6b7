"""What the rows of the results are about: a metric of a dataset, a benchmark, or an average over benchmarks."""

from dataclasses import dataclass

from tdro.artifacts.schemas import ANSWER_METRICS, RELEVANCE_METRICS
from tdro.config.commands import Content
from tdro.report.queries import ORDER, Pair, Scores

#: Stands for the macro average over a benchmark's datasets in the place of a dataset.
MEAN = "(mean)"
#: The macro average over all out-of-domain benchmarks, in the place of a benchmark.
OUT_OF_DOMAIN = "out_of_domain"

#: Comparisons whose p are corrected together: all of a table of benchmarks, and all of single datasets beside it.
TABLE, DATASETS = "table", "datasets"


@dataclass(frozen=True)
class Subject:
    """A metric of some datasets, and the weight of each in the average; ``weights`` says what is compared.

    Attributes:
        benchmark: A benchmark or an average over benchmarks.
        dataset: One of its datasets, or :data:`MEAN`.
        metric: As in ``results.csv``.
        weights: Weight of each dataset that has the metric, sum 1.
        family: :data:`TABLE` for the columns of the main table, :data:`DATASETS` for what stands in none of them.
    """

    benchmark: str
    dataset: str
    metric: str
    weights: dict[Pair, float]
    family: str

    @property
    def rank(self) -> int:
        """0 for a main metric, whatever it is, 1 for a second one."""
        return max(metrics.index(self.metric) for metrics in _KINDS if self.metric in metrics)

    @property
    def same(self) -> tuple:
        """Equal for subjects that are one comparison, such as a benchmark and its only dataset."""
        return self.metric, tuple(sorted((pair, round(weight, 9)) for pair, weight in self.weights.items()))


_KINDS = (RELEVANCE_METRICS, ANSWER_METRICS)


def subjects(settings: Content, scores: dict[Pair, Scores]) -> list[Subject]:
    """Every benchmark, each of its datasets, every suite and all out of domain, with each metric that it has."""
    found = []
    for benchmark, datasets in settings.benchmarks.items():
        pairs = [(benchmark, dataset) for dataset in datasets]
        found += _with_metrics(scores, benchmark, MEAN, {pair: 1 / len(pairs) for pair in pairs}, TABLE)
        for pair in pairs:  # an only dataset is its benchmark
            found += _with_metrics(scores, *pair, {pair: 1.0}, TABLE if len(pairs) == 1 else DATASETS)
    for name, members in {**settings.suites, OUT_OF_DOMAIN: settings.out_of_domain}.items():
        if members:
            found += _with_metrics(scores, name, MEAN, _average(settings, members), TABLE)
    return found


def _average(settings: Content, benchmarks: list[str]) -> dict[Pair, float]:
    """Every benchmark counts the same, and within it every dataset."""
    return {
        (benchmark, dataset): 1 / len(benchmarks) / len(settings.benchmarks[benchmark])
        for benchmark in benchmarks
        for dataset in settings.benchmarks[benchmark]
    }


def _with_metrics(
    scores: dict[Pair, Scores], benchmark: str, dataset: str, weights: dict[Pair, float], family: str
) -> list[Subject]:
    """A subject a metric.

    An average is over the benchmarks that have the metric: one of nDCG@10 leaves MKQA out.
    """
    found = []
    for metric in sorted({m for pair in weights for m in scores[pair].metrics}, key=ORDER.__getitem__):
        having = {pair: weight for pair, weight in weights.items() if metric in scores[pair].metrics}
        total = sum(having.values())
        shares = {pair: weight / total for pair, weight in having.items()}
        found.append(Subject(benchmark, dataset, metric, shares, family))
    return found

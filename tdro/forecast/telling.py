"""Which gain a study can tell from none, by its dev queries, seeds and mixtures."""

from tdro.forecast.sizes import Sizes
from tdro.formats import plural
from tdro.pipeline.jobs import Jobs


def least(jobs: Jobs, sizes: Sizes) -> list[str]:
    """A sentence on the gain that a study of these sizes finds in most cases; none where it compares nothing."""
    from tdro.evaluation.power import FOUND, Design, least_gain

    if not jobs.tests.dev or len(jobs.config.mixtures) < 2:
        return []
    study = jobs.recommend()
    queries = {name: _queries(jobs, sizes, name) for datasets in study.dev.values() for name in datasets}
    shares = [(1 / len(study.dev) / len(names), queries[name]) for names in study.dev.values() for name in names]
    as_sure = 1 / sum(share**2 / number for share, number in shares)
    seeds, mixtures = len(study.seeds), len(study.challengers)
    gain = least_gain(Design(as_sure, seeds, mixtures, study.report.confidence))
    over = f"{plural(sum(queries.values()), 'query', 'queries')}, {plural(seeds, 'seed')}"
    return [
        f"what it can tell: a gain of {gain:.3f} in reciprocal rank on dev, in {10 * FOUND:.0f} of 10 cases "
        f"({over}, {plural(mixtures, 'mixture')}, and differences that scatter as in docs/evaluation.md)"
    ]


def _queries(jobs: Jobs, sizes: Sizes, name: str) -> int:
    """Dev queries of a dataset: a task's own, or all of a benchmark."""
    if name in jobs.tasks:
        return max(1, min(jobs.tasks[name].dev, sizes.task(name).queries.number))
    return max(1, sizes.queries(name).number)

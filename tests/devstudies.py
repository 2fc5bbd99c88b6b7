"""Dev scores with planted gains."""

import numpy as np

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import DEV_SCORES
from tdro.config.commands import RecommendJob

#: Under `dev` the rows of two tasks, and a benchmark.
DEV = {"dev_rows": ["faq", "code"], "wiki": ["wiki"]}
QUERIES = {"faq": 80, "code": 30, "wiki": 120}


def job(**changes):
    values = {"models": ["tiny"], "seeds": [1, 2, 3, 4, 5], "dev": DEV, "report": {"bootstrap_samples": 1000}}
    return RecommendJob(**values | changes)


def write(layout, settings, gains, model="tiny"):
    """The dev scores of each mixture: those of the baseline and a gain, with noise of the query, the seed and both."""
    random = np.random.default_rng(5)
    names = np.concatenate([[name] * number for name, number in QUERIES.items()])
    base = random.uniform(0.3, 0.7, len(names))
    for seed in settings.seeds:
        for mixture in settings.mixtures:
            ranks = base + gains.get(mixture, 0.0) + random.normal(0, 0.004) + random.normal(0, 0.02, len(names))
            columns = {"dataset": names.tolist(), "query": [n for k in QUERIES.values() for n in range(k)]}
            path = layout.dev_scores(model, seed, mixture)
            write_table(path, columns | {"loss": 2 - ranks, "reciprocal_rank": ranks}, DEV_SCORES)

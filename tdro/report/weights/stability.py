"""How far learnt weights can be trusted: have they settled, do seeds agree, do they repeat a dataset too often?"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import polars as pl

from tdro.config.commands import Content
from tdro.config.mixturenames import parse
from tdro.formats import listed, passes, plural
from tdro.mixtures.weights import Weights

#: Below this mean rank correlation between seeds the order of the tasks is called unstable.
STABLE_CORRELATION = 0.7

#: A task whose measurement is carried by less than this share of its rows is pointed out.
FEW = 0.5


def of_courses(courses: Mapping[int, pl.DataFrame]) -> list[str]:
    """Sentences on whether the weights settled, and whether the seeds agree.

    Args:
        courses: Trajectory of each seed, schema ``TRAJECTORY``; empty when nothing was learnt.
    """
    weights = {seed: _matrix(course) for seed, course in courses.items()}
    return [*_settling(weights), *_agreement(weights), *_about_few(courses)]


def correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's rank correlation of two sets of weights; 0 where one is constant, which has no order to agree on."""
    ranks = [pl.Series(list(values)).rank() for values in (one, other)]
    # Spearman's rho is Pearson's of the ranks.
    return _rounded(np.corrcoef(*ranks)[0, 1]) if all(r.std() for r in ranks) else 0.0


def repetitions(settings: Content, files: Mapping[str, Sequence[Weights]]) -> list[str]:
    """A sentence a mixture that goes over a dataset more often than ``report.max_passes``, in any seed.

    Args:
        settings: What the report covers.
        files: Weights of each mixture, a file a seed.
    """
    sentences = []
    sampled = [mixture for mixture in settings.mixtures if not parse(mixture).reweights]
    for mixture in sampled if settings.training_rows else []:
        most: dict[str, float] = {}
        for weights in files[mixture]:
            seen = weights.passes(settings.rows_of(mixture))
            most |= {task: max(most.get(task, 0.0), count) for task, count in seen.items()}
        often = sorted(((n, task) for task, n in most.items() if n > settings.report.max_passes), reverse=True)
        if often:
            named = listed([f"{task} ({passes(n)})" for n, task in often])
            sentences.append(
                f"{mixture} goes over these datasets more than {settings.report.max_passes:g} times in one training, "
                f"which invites overfitting: {named}."
            )
    return sentences


def _matrix(course: pl.DataFrame) -> np.ndarray:
    """Weights of shape (steps, k)."""
    steps = course["step"].n_unique()
    return course.sort("step", "task")["weight"].to_numpy().reshape(steps, -1)


def _settling(weights: Mapping[int, np.ndarray]) -> list[str]:
    sentences = []
    for seed, course in weights.items():
        if len(course) < 10:
            continue
        tail = len(course) // 10
        late, whole = (0.5 * np.abs(course[-1] - course[start]).sum() for start in (-1 - tail, 0))
        sentences.append(
            f"Seed {seed}: in the last {tail} of {len(course)} steps the weights moved by a total variation of "
            f"{late:.4f} (that share of the rows changed task), against {whole:.4f} since the first step. "
            + ("They had not settled; more steps would move them on." if late > 0.1 * whole else "They had settled.")
        )
    return sentences


def _agreement(weights: Mapping[int, np.ndarray]) -> list[str]:
    if len(weights) < 2:
        return []
    pairs = {(a, b): correlation(weights[a][-1], weights[b][-1]) for a, b in combinations(weights, 2)}
    mean, (worst, lowest) = _rounded(float(np.mean(list(pairs.values())))), min(pairs.items(), key=lambda pair: pair[1])
    verdict = (
        "The order of the tasks is not stable: do not read much into a single task's weight."
        if mean < STABLE_CORRELATION
        else "The order of the tasks is fairly stable."
    )
    return [
        f"Rank correlation (Spearman) of the last weights between seeds: {mean:.2f} on average over "
        f"{plural(len(pairs), 'pair')}, lowest {_rounded(lowest):.2f} (seeds {worst[0]} and {worst[1]}). {verdict}"
    ]


def carried_by_few(courses: Mapping[int, pl.DataFrame]) -> list[tuple[str, float, float]]:
    """Tasks whose measurement comes from few of their rows, over all steps and seeds, the fewest first.

    With the mean number of their rows in a step, and how many of these count.
    """
    if not courses:
        return []
    measured = pl.concat(courses.values()).filter(pl.col("rows") > 0, pl.col("effective_rows") > 0)
    tasks = measured.group_by("task").agg(pl.col("rows").mean(), pl.col("effective_rows").mean())
    few = tasks.filter(pl.col("effective_rows") < FEW * pl.col("rows")).sort("effective_rows", "task")
    return list(few.iter_rows())


def _about_few(courses: Mapping[int, pl.DataFrame]) -> list[str]:
    few = carried_by_few(courses)
    if not few:
        return []
    named = [f"{task} ({effective:.1f} of {rows:.1f})" for task, rows, effective in few]
    return [
        "The measurement of these tasks is carried by few of their rows (rows that count, of the rows of a step, on "
        f"average): {listed(named)}. A handful of odd rows may decide such a weight; look at them (below), or raise "
        "the batch size."
    ]


def _rounded(value: float) -> float:
    """So that neither a sign of zero nor the last bit of a sum shows."""
    return round(float(value), 6) + 0.0

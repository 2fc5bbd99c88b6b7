"""How far learnt weights can be trusted: have they settled, do seeds agree, do they repeat a dataset too often?"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import polars as pl

from tdro.layout import Layout
from tdro.mixtures import parse
from tdro.report.content import Content
from tdro.report.formats import listed, passes, plural
from tdro.weights import read_weights

#: Below this mean rank correlation between seeds the order of the tasks is called unstable.
STABLE_CORRELATION = 0.7


def of_courses(courses: Mapping[int, pl.DataFrame]) -> list[str]:
    """Sentences on whether the weights settled, and whether the seeds agree.

    Args:
        courses: Trajectory of each seed, schema ``TRAJECTORY``; empty when nothing was learnt.
    """
    weights = {seed: _matrix(course) for seed, course in courses.items()}
    return [*_settling(weights), *_agreement(weights)]


def repetitions(settings: Content, layout: Layout) -> list[str]:
    """A sentence a mixture that goes over a dataset more often than ``report.max_passes``, in any seed."""
    sentences = []
    sampled = [mixture for mixture in settings.mixtures if not parse(mixture).reweights]
    for mixture in sampled if settings.training_rows else []:
        most: dict[str, float] = {}
        for seed in settings.seeds:
            seen = read_weights(layout.weights(settings.proxy, seed, mixture)).passes(settings.training_rows)
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
    last = {seed: pl.Series(course[-1]).rank() for seed, course in weights.items()}
    # Spearman's rho is Pearson's of the ranks; constant weights have no order to agree on.
    pairs = {
        (a, b): float(np.corrcoef(last[a], last[b])[0, 1]) if last[a].std() and last[b].std() else 0.0
        for a, b in combinations(last, 2)
    }
    # Rounded, so that neither a sign of zero nor the last bit of a sum shows.
    mean, (worst, lowest) = _rounded(np.mean(list(pairs.values()))), min(pairs.items(), key=lambda pair: pair[1])
    verdict = (
        "The order of the tasks is not stable: do not read much into a single task's weight."
        if mean < STABLE_CORRELATION
        else "The order of the tasks is fairly stable."
    )
    return [
        f"Rank correlation (Spearman) of the last weights between seeds: {mean:.2f} on average over "
        f"{plural(len(pairs), 'pair')}, lowest {_rounded(lowest):.2f} (seeds {worst[0]} and {worst[1]}). {verdict}"
    ]


def _rounded(value: float) -> float:
    return round(float(value), 6) + 0.0

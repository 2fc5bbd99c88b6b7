"""Other runs of tDRO over the same plan and reference losses, beside the one that the report is about."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from tdro.artifacts.layout import Layout
from tdro.config.commands import Content
from tdro.formats import duration, listed, plural, weight
from tdro.report.weights.courses import last_weights, read_courses
from tdro.report.weights.stability import correlation

_HEAVIEST = 3


@dataclass(frozen=True)
class Variation:
    """A run: how far its last weights lie from those of ``curr``, mean over the seeds, and what it favours."""

    name: str
    distance: str
    agreement: str
    heaviest: str


def variations(settings: Content, layout: Layout, courses: Mapping[int, pl.DataFrame]) -> list[Variation]:
    """One line a run, in the order of the configuration.

    Args:
        settings: What the report covers.
        layout: Where the results lie.
        courses: The runs of ``curr``, by seed; empty when there are none, and then nothing is compared.
    """
    if not courses:
        return []
    found = []
    for course in [course for course in settings.courses if course != "tdro"]:
        runs = read_courses(settings, layout, course)
        pairs = [(last_weights(courses[seed]), last_weights(runs[seed])) for seed in settings.seeds]
        found.append(_variation(course.removeprefix("tdro-"), pairs, settings.tasks))
    return found


def _variation(name: str, pairs: list[tuple[dict, dict]], tasks: list[str]) -> Variation:
    mean = {task: float(np.mean([run.get(task, 0.0) for _, run in pairs])) for task in tasks}
    distance = np.mean([sum(abs(run[task] - base[task]) for task in base) / 2 for base, run in pairs])
    agreement = np.mean([correlation(list(base.values()), [run[task] for task in base]) for base, run in pairs])
    heaviest = sorted(mean, key=lambda task: -mean[task])[:_HEAVIEST]
    named = listed([f"{task} ({weight(mean[task])})" for task in heaviest])
    return Variation(name, f"{distance:.3f}", f"{agreement:.2f}", named)


def reuse(settings: Content, seconds: float | None) -> str:
    """What it saved to compute the reference losses once, as a sentence; empty where one run read them.

    Args:
        settings: What the report covers.
        seconds: Time of all jobs that computed them; None when it was not recorded.
    """
    further = len(settings.courses) - 1
    if further < 1 or not seconds:
        return ""
    return (
        f"The reference losses were computed once a seed ({duration(seconds)} in all) and read by "
        f"{plural(further + 1, 'run')} of tDRO each; computing them anew for every run would have taken "
        f"{duration(further * seconds)} more."
    )

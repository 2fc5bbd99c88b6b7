"""Which mixture to train on, by dev scores and nothing else.

    print(recommend(job, Layout("results"), Path("results/dev/recommendation.json")))

What is reported is not read: a choice by a benchmark would have seen what it is judged by.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tdro.artifacts.files import write_json
from tdro.artifacts.layout import Layout
from tdro.config.commands import BASELINE, RecommendJob
from tdro.report.scores.comparison import Judged, compare, judge
from tdro.report.scores.queries import ALL_SEEDS, Runs
from tdro.report.scores.subjects import Subject
from tdro.report.study import devscores
from tdro.report.study.advice import Candidate, choose, sentence
from tdro.report.study.devscores import DEV, RECIPROCAL_RANK


def recommend(settings: RecommendJob, layout: Layout, output: Path) -> str:
    """Write the choice of each model and return its sentence, a line a model.

    Args:
        settings: Models, seeds, mixtures, and what the choice is made on.
        layout: Where the dev scores lie.
        output: JSON to write: the settings, and of each model sentence, mixture, and what every mixture has on dev.

    Raises:
        UserError: for a missing file, or one of other queries.
    """
    found = {model: of_model(settings, devscores.read(settings, layout, model)) for model in settings.models}
    write_json(output, {"settings": settings.model_dump(mode="json"), "models": found})
    return "\n".join(f"{model}: {choice['sentence']}" for model, choice in found.items())


def of_model(settings: RecommendJob, runs: dict[str, Runs]) -> dict[str, Any]:
    """The choice between the mixtures of one model.

    Verdicts are those of the report: a paired difference to the baseline with one interval over queries and seeds, and
    p corrected by Holm over all mixtures. Reciprocal ranks decide; the dev loss is shown beside them.
    """
    about, base = devscores.subjects(settings), runs[BASELINE]
    judged = judge(settings, about, {m: compare(settings, about, runs[m], base) for m in settings.challengers})
    decides = next(place for place, one in enumerate(about) if (one.benchmark, one.metric) == (DEV, RECIPROCAL_RANK))
    candidates = [
        Candidate(mixture, settings.trainings.get(mixture), verdicts[decides]) for mixture, verdicts in judged.items()
    ]
    queries = sum(len(scores.values) for scores in base[ALL_SEEDS].values())
    chosen = choose(candidates)
    return {
        "sentence": sentence(candidates, len(settings.seeds), queries),
        "recommended": chosen.mixture if chosen else BASELINE,
        "queries": queries,
        "mixtures": {m: _figures(settings, about, runs[m], m, judged.get(m)) for m in settings.mixtures},
    }


def _figures(
    settings: RecommendJob, about: Sequence[Subject], runs: Runs, mixture: str, judged: Sequence[Judged] | None
) -> dict[str, Any]:
    """What a mixture costs, and by metric what it has on all of dev and on each part of it."""
    found: dict[str, Any] = {"trainings": settings.trainings.get(mixture)}
    for place, subject in enumerate(about):
        figures = {"score": subject.score(runs[ALL_SEEDS])}
        if judged:
            one = judged[place]
            figures |= vars(one.difference) | {"p_holm": one.holm, "verdict": one.verdict}
            figures["difference"] = figures.pop("mean")
        found.setdefault(subject.metric, {})[subject.benchmark] = figures
    return found

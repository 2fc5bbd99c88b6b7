"""What soups and what they are made of score on dev queries, before any soup is written; the best share is chosen.

    soup_scores([Path("curr/model")], job, Path("soup-half/soup.json"), base=Path("base"))

One model is loaded, and takes on the weights of one average after another.
"""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from tdro.artifacts.files import write_json
from tdro.config.commands import SoupScoresJob
from tdro.evaluation.dev_scores import means, read_dev_sets, score
from tdro.evaluation.soups import DevMeans, SoupScores, Tried, choose
from tdro.models.ingredients import Ingredients
from tdro.models.inplace import InPlace
from tdro.progress import Progress
from tdro.retrieval.retrievers import open_encoder

log = logging.getLogger(__name__)


def soup_scores(models: Sequence[Path], job: SoupScoresJob, output: Path, base: Path | None = None) -> None:
    """Write the dev scores of every ingredient and of the soup with every share, and which share is the best.

    All of them read texts with the prompts of the first model, as the soup will.

    Args:
        models: SentenceTransformer folders, alike but for the values of their weights.
        job: Datasets, temperature, method, and the shares that are tried.
        output: The file to write, a :class:`tdro.evaluation.soups.SoupScores`.
        base: The model that they were trained from, where the soup has a share of it.

    Raises:
        UserError: when a file is missing or wrong, the models cannot be averaged, or embeddings are not finite.
    """
    ingredients = Ingredients(models, base)
    tried = {share: ingredients.shares(share) for share in job.shares or [None]}
    alone = dict(zip(ingredients.names, ingredients.alone(), strict=True))
    sets = read_dev_sets(job.datasets)
    encoder, prompts = open_encoder(models[0], job.encoding)
    loaded, found = InPlace(encoder.model, models[0]), {}
    averages = list(dict.fromkeys([*alone.values(), *tried.values()]))  # of one model the share 1 is that model
    for shares in Progress("measured", "models", len(averages)).through(averages):
        loaded.put(partial(ingredients.averaged, shares=shares, method=job.method))
        measured = list(means(score(encoder, prompts, sets, job.temperature)).values())
        loss, rank = np.mean(measured, axis=0).tolist()
        found[shares] = {"loss": loss, "reciprocal_rank": rank}
    soups = [Tried(share=share, **found[shares]) for share, shares in tried.items()]
    scores = SoupScores(
        datasets=list(job.datasets),
        ingredients={name: DevMeans(**found[shares]) for name, shares in alone.items()},
        soups=soups,
        chosen=choose(soups),
    )
    _say(scores)
    write_json(output, scores.model_dump())


def _say(scores: SoupScores) -> None:
    """What was measured, chosen and is odd, in the log."""
    line = "%s: dev loss %.4f, mean reciprocal rank %.4f"
    for name, one in scores.ingredients.items():
        log.info(line, name, one.loss, one.reciprocal_rank)
    for soup in scores.soups:
        name = "soup" if soup.share is None else f"soup, share {soup.share:g}"
        log.info(line, name, soup.loss, soup.reciprocal_rank)
    if len(scores.soups) > 1:
        log.info("chosen: share %g", scores.chosen)
    if scores.between_basins:
        log.warning(
            "the soup's dev loss is above that of its worst ingredient, %s: the models lie in different basins of the "
            "loss, and their average between them",
            scores.worst,
        )

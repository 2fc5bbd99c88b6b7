"""Stage ``fit_law``: dev losses of merged experts to a law of how they depend on the mixture, and to who helps whom.

    fit_law(Path("experts/dev.parquet"), Path("weights/uniform.json"), Path("experts/law.json"), job)
    read_law(Path("experts/law.json")).law.losses(ratios)

The losses are means over the dev queries of a dataset. Where a temperature is as low as 0.002, a query that is answered
has a loss of 0 and one that is missed by a cosine of 0.1 one of 50, so that a mean counts by how much queries are
missed. That is bounded by 2 / temperature, and all candidates answer the same queries, so what the queries differ by
does not blur the comparison of candidates. A dataset of which some candidate misses no query has no logarithm; it tells
nothing and is left out.
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from tdro.artifacts.files import read_json, read_table, write_json
from tdro.artifacts.schemas import EXPERT_SCORES
from tdro.artifacts.shapes import expecting
from tdro.config.commands import FitLawJob
from tdro.errors import UserError
from tdro.mixtures import mixinglaw
from tdro.mixtures.mixinglaw import Law
from tdro.mixtures.transfer import transfer_table
from tdro.mixtures.weights import read_weights

log = logging.getLogger(__name__)

#: The smallest mean loss that counts: below it no query is missed.
NOTHING = 1e-6
#: Rank correlation on mixtures left out below which the law is not to be trusted.
TRUSTED = 0.5


class Told(NamedTuple):
    """What merged experts tell.

    Attributes:
        tasks: Training tasks, by which ratios are ordered.
        datasets: Dev sets.
        rho: Of the experts.
        law: Losses by ratio.
        ranking: Spearman's correlation of what the law tells of candidates left out with what was measured, by dataset.
        candidates: Names of those that were measured, in the order of ``ratios`` and ``measured``.
        ratios: Shape (candidates, tasks).
        measured: Mean losses, shape (candidates, datasets).
        transfer: What each expert takes off each loss, shape (datasets, tasks).
        untold: Datasets that are left out, as some candidate misses no query of them.
    """

    tasks: list[str]
    datasets: list[str]
    rho: float
    law: Law
    ranking: np.ndarray
    candidates: list[str]
    ratios: np.ndarray
    measured: np.ndarray
    transfer: np.ndarray
    untold: list[str]

    @property
    def trusted(self) -> bool:
        """Whether the law ranks candidates that were left out."""
        return float(np.median(self.ranking)) >= TRUSTED


def fit_law(scores: Path, weights: Path, output: Path, job: FitLawJob) -> None:
    """Write the law, how well it ranks what it has not seen, and the table of transfer.

    Args:
        scores: ``experts/dev.parquet``.
        weights: A weights JSON of all tasks.
        output: ``law.json``.
        job: Rho, and the seed.

    Raises:
        UserError: when every dataset is answered without a miss.
    """
    tasks = list(read_weights(weights).sizes)
    names, ratios, datasets, losses = _means(scores, tasks)
    told_of = np.min(losses, axis=0) > NOTHING
    untold = [name for name, told in zip(datasets, told_of, strict=True) if not told]
    if untold:
        log.warning("some mixture misses no dev query of %s; the law leaves that out", ", ".join(untold))
    if not told_of.any():
        raise UserError(
            f"{scores}: no dev query is missed, so no mixture is better than another; set dev queries apart that are "
            "harder, or raise training.temperature."
        )
    warm, measured = losses[0, told_of], losses[1:, told_of]
    ratios, names = ratios[1:], names[1:]
    experts = measured[[names.index(f"expert-{task}") for task in tasks]]
    found = Told(
        tasks,
        [name for name in datasets if name not in untold],
        job.rho,
        mixinglaw.fit_law(ratios, measured, job.seed),
        mixinglaw.ranking(ratios, measured, job.seed),
        names,
        ratios,
        measured,
        transfer_table(experts.T, warm),
        untold,
    )
    _say(found)
    write_json(output, _as_json(found))


def _means(scores: Path, tasks: list[str]) -> tuple[list[str], np.ndarray, list[str], np.ndarray]:
    """Candidates, the warm-up first, their ratios, datasets, and mean losses, shape (candidates, datasets)."""
    table = pl.DataFrame(read_table(scores, EXPERT_SCORES))
    grouped = table.group_by("candidate", "dataset", maintain_order=True).agg(pl.mean("loss"), pl.first("ratio"))
    wide = grouped.pivot("dataset", index="candidate", values="loss")
    pairs = dict(grouped.select("candidate", "ratio").iter_rows())
    weights = {name: {pair["task"]: pair["weight"] for pair in ratio} for name, ratio in pairs.items()}
    names = wide["candidate"].to_list()
    ratios = np.array([[weights[name].get(task, 0.0) for task in tasks] for name in names])
    return names, ratios, wide.columns[1:], wide.drop("candidate").to_numpy()


def _say(found: Told) -> None:
    for name, rank in zip(found.datasets, found.ranking, strict=True):
        log.info("%s: rank correlation %.2f of losses foretold and measured of mixtures left out", name, rank)
    if not found.trusted:
        log.warning(
            "the law hardly ranks mixtures that it has not seen (median correlation %.2f, below %.1f): mergemix is not "
            "to be trusted; train the experts longer (experts.steps), or set more dev queries apart",
            np.median(found.ranking),
            TRUSTED,
        )


def _as_json(found: Told) -> dict:
    told = found.law.losses(found.ratios)

    def by_dataset(values) -> dict:
        return dict(zip(found.datasets, map(float, values), strict=True))

    def by_task(values) -> dict:
        return dict(zip(found.tasks, map(float, values), strict=True))

    return {
        "tasks": found.tasks,
        "rho": found.rho,
        "floors": by_dataset(found.law.floors),
        "slopes": dict(zip(found.datasets, map(by_task, found.law.slopes), strict=True)),
        "ranking": by_dataset(found.ranking),
        "transfer": dict(zip(found.datasets, map(by_task, found.transfer), strict=True)),
        "untold": found.untold,
        "candidates": {
            name: {
                "ratio": by_task(found.ratios[row]),
                "measured": by_dataset(found.measured[row]),
                "foretold": by_dataset(told[row]),
            }
            for row, name in enumerate(found.candidates)
        },
    }


def read_law(file: str | Path) -> Told:
    """What :func:`fit_law` has written.

    Raises:
        UserError: when the file is missing or none of these.
    """
    content = read_json(file)
    with expecting(file, "law of merged experts", "make it with `tdro fit-law`"):
        tasks, datasets, candidates = content["tasks"], list(content["floors"]), content["candidates"]
        told = Told(
            tasks,
            datasets,
            content["rho"],
            Law(_numbers(content["floors"].values()), _matrix(content["slopes"], datasets, tasks)),
            _numbers(content["ranking"][name] for name in datasets),
            list(candidates),
            np.array([_numbers(one["ratio"][task] for task in tasks) for one in candidates.values()]),
            np.array([_numbers(one["measured"][name] for name in datasets) for one in candidates.values()]),
            _matrix(content["transfer"], datasets, tasks),
            content["untold"],
        )
        if not tasks or not datasets or not 0 < told.rho < np.inf:
            raise ValueError("it tells of no task or no dataset, or rho is no number above 0")
        return told


def _numbers(values: Iterable[float]) -> np.ndarray:
    """Finite numbers; raises ValueError: for others."""
    found = np.array(list(values), float)
    if not np.isfinite(found).all():
        raise ValueError("a number is not finite")
    return found


def _matrix(content: dict, rows: list[str], columns: list[str]) -> np.ndarray:
    return np.array([_numbers(content[row][column] for column in columns) for row in rows])

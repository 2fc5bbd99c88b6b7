"""What merged experts score on dev queries: one loaded model takes on dozens of sums of weights, one after another.

    expert_scores(Path("warmup/model"), [Path("expert-faq/model"), ...], Path("weights/uniform.json"), ...)

Nothing is written for a sum but its scores. They lie among the checkpoints until all are there, so that a killed job
goes on with the next.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tdro.artifacts.beside import take_away
from tdro.artifacts.files import read_table, write_table
from tdro.artifacts.schemas import DEV_SCORES, EXPERT_SCORES
from tdro.config.commands import ExpertScoresJob
from tdro.errors import UserError
from tdro.evaluation.dev_scores import read_dev_sets, score
from tdro.mixtures.ratios import candidate_ratios, mixture_of, ratio_of, without_one
from tdro.mixtures.weights import read_weights
from tdro.models.modelfiles import model_files
from tdro.models.summed import Summed
from tdro.progress import Progress
from tdro.retrieval.retrievers import open_encoder
from tdro.training.checkpoints import keep_if_same

log = logging.getLogger(__name__)


def expert_scores(
    warmup: Path, experts: Sequence[Path], weights: Path, output: Path, checkpoints: Path, job: ExpertScoresJob
) -> None:
    """Write the dev loss and the reciprocal rank of each dev query by the warm-up and by each candidate.

    Args:
        warmup: Folder of the model that the experts went on from.
        experts: Those of the experts, in the order of ``job.tasks``.
        weights: A weights JSON, which tells the training rows of each task.
        output: The file to write, schema ``EXPERT_SCORES``.
        checkpoints: Folder for the scores of single candidates until all are there.
        job: Datasets, temperature, tasks and how many candidates.

    Raises:
        UserError: when a file is missing or wrong, models cannot be added up, or embeddings are not finite.
    """
    if len(experts) != len(job.tasks):
        raise UserError(f"{len(experts)} experts for the {len(job.tasks)} tasks of the settings; name one a task.")
    sizes = read_weights(weights).sizes
    ratios = candidates(job, np.array([sizes[task] for task in job.tasks], float))
    texts = [Path(file) for one in job.datasets.values() for file in (one.corpus, one.queries, one.candidates)]
    models = [file for folder in (warmup, *experts) for file in model_files(str(folder))]
    keep_if_same(checkpoints, job, [weights], [*models, *texts], stage=__name__)
    sets = read_dev_sets(job.datasets)
    encoder, prompts = open_encoder(warmup, job.encoding)
    summed = Summed(encoder.model, warmup, experts)
    files = {name: checkpoints / f"{name}.parquet" for name in ratios}
    for name in Progress("measured", "mixtures", len(ratios)).through(ratios):
        if not files[name].is_file():
            summed.put(ratios[name].tolist())
            write_table(files[name], score(encoder, prompts, sets, job.temperature), DEV_SCORES)
    tables = [_named(name, ratios[name], job.tasks, file) for name, file in files.items()]
    write_table(output, pa.concat_tables(tables), EXPERT_SCORES)
    take_away(checkpoints)


def candidates(job: ExpertScoresJob, sizes: np.ndarray) -> dict[str, np.ndarray]:
    """The weights of the experts in each candidate, by its name; those of the warm-up itself are all 0.

    Args:
        job: Tasks, rho, how many, and the seed of those that are drawn.
        sizes: Training rows of each task, shape (tasks,).
    """
    tasks, proportional = len(job.tasks), sizes / sizes.sum()
    known = [*mixture_of(without_one(tasks), job.rho), proportional]
    ratios = candidate_ratios(np.full(tasks, 1 / tasks), job.seed, known, job.rho, job.candidates)
    names = ["uniform", *(f"expert-{task}" for task in job.tasks), *(f"without-{task}" for task in job.tasks)]
    names += ["proportional"] if ratio_of(proportional, job.rho) is not None else []
    names += [f"ratio-{number}" for number in range(1, len(ratios) - len(names) + 1)]
    return {"warmup": np.zeros(tasks), **dict(zip(names, ratios, strict=True))}


def _named(name: str, ratio: np.ndarray, tasks: Sequence[str], file: Path) -> pa.Table:
    table = read_table(file, DEV_SCORES)
    pairs = [{"task": task, "weight": weight} for task, weight in zip(tasks, ratio.tolist(), strict=True) if weight]
    columns = {"candidate": [name] * len(table), "ratio": [pairs] * len(table)}
    return pa.table({**columns, **{n: table[n] for n in DEV_SCORES.names}}, schema=EXPERT_SCORES)

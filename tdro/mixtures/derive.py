"""A mixture out of what is known of the tasks: their sizes, the trajectory of tDRO, or another file of weights."""

import logging
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tdro.artifacts.files import column_names, count_rows, read_json, read_table
from tdro.artifacts.schemas import TASK_MEANS, TRAJECTORY
from tdro.artifacts.shapes import expecting
from tdro.config import mixturenames
from tdro.config.experts import Experts
from tdro.errors import UserError
from tdro.mixtures.bestratio import best_ratio, limits_of
from tdro.mixtures.fit_law import read_law
from tdro.mixtures.leverage import leverage_shares
from tdro.mixtures.ratios import expert_mixtures, mixture_of
from tdro.mixtures.transfer import transfer_shares
from tdro.mixtures.weights import Weights, read_weights

log = logging.getLogger(__name__)

#: Columns of a trajectory that are mixtures.
_COLUMNS = {"curr": "weight", "mean": "mean", "ema": "ema", "loss": "weight", "doremi": "mean"}


def derive(
    sources: Sequence[Path],
    mixture: str,
    rows: int | None = None,
    seed: int | None = None,
    experts: Experts | None = None,
) -> Weights:
    """Make a mixture out of what is known about the tasks.

    Args:
        sources: A trajectory of tDRO, a weights JSON, or the ``train.parquet`` of every task, whose
            folders name the tasks. For ``file-NAME`` two weights JSONs: the file, and one that tells the
            training rows of the tasks there are; for ``chameleon`` the mean embeddings of tasks, and such a JSON. For
            ``soup-NAME`` and ``averaged-NAME`` those of the mixtures that it is made of. For ``mergemix`` and
            ``transfer`` the law of merged experts and such a JSON, for ``prune`` which tasks stay, and such a JSON.
        mixture: One of :data:`tdro.config.mixturenames.KNOWN`. Those of sizes are made from any source; ``curr``,
            ``mean``, ``ema``, ``loss`` and ``doremi`` need a trajectory; ``topP`` and ``bottomP``, the floor(k P / 100)
            heaviest or lightest of k tasks with equal weights, and ``shuffled-N`` need a trajectory or a weights JSON.
        rows: Rows that a training draws, for ``unimaxN`` and ``mergemix``.
        seed: Of the run, for ``shuffled-N`` and ``randomP-N``, which are drawn from N and this.
        experts: How experts are trained, for ``expert-TASK``, and what is made of them, for ``mergemix`` and
            ``transfer``.

    Raises:
        UserError: when ``sources`` do not hold what ``mixture`` needs.
    """
    parsed = mixturenames.parse(mixture)
    if parsed.kind == "file":
        return _of_file(sources)
    if parsed.drawn and seed is None:
        raise UserError(f"mixture {mixture} is drawn at random, from its number and the seed of the run; give --seed.")
    if parsed.kind == "chameleon":
        return _apart(sources)
    if parsed.of_experts:
        return _of_experts(sources, parsed.kind, rows, experts or Experts())
    if parsed.of_task:
        return _of_task(_sizes(sources), parsed, experts or Experts())
    if parsed.kind == "random":
        return _random(_sizes(sources), parsed, mixture, seed)
    if parsed.kind == "shuffled":
        return _shuffled(_learnt(sources, "curr"), parsed, seed)
    if parsed.of_others:
        return mean([read_weights(source) for source in sources])
    if not parsed.learnt:
        sizes = _sizes(sources)
        if parsed.kind == "bag":
            sizes = {task: mixturenames.bagged(parsed.number, rows) for task, rows in sizes.items()}
        return Weights(mixturenames.of_sizes(parsed, sizes, rows), sizes)
    if parsed.kind in _COLUMNS:
        return _learnt(sources, parsed.kind)
    return _selected(_learnt(sources, "curr"), parsed, mixture)


def _of_file(sources: Sequence[Path]) -> Weights:
    """The weights of a file, with the training rows that the tasks have here."""
    if len(sources) != 2 or any(source.suffix != ".json" for source in sources):
        raise UserError("file-NAME takes two weights JSONs: the file, and one with the training rows, uniform.json.")
    file, here = read_weights(sources[0]).weights, read_weights(sources[1]).sizes
    weighted = {task: weight for task, weight in file.items() if weight}
    unknown = [task for task in weighted if task not in here]
    if unknown:
        raise UserError(
            f"{sources[0]} weighs {unknown[0]!r}, which is none of the tasks here ({', '.join(here)}); rename it in "
            "the file or add the task to the registry."
        )
    return Weights(weighted, {task: here[task] for task in weighted})


def _apart(sources: Sequence[Path]) -> Weights:
    """Shares by how far tasks stand apart; a task without embeddings keeps its share of the uniform mixture."""
    if len(sources) != 2 or sources[1].suffix != ".json":
        raise UserError("chameleon takes task_means.parquet, and a weights JSON with the training rows, uniform.json.")
    table, sizes = read_table(sources[0], TASK_MEANS), read_weights(sources[1]).sizes
    means = {task: mean for task, mean in zip(*table.to_pydict().values(), strict=True) if task in sizes}
    with expecting(sources[0], "file of the tasks' mean embeddings"):
        shares = leverage_shares(np.array(list(means.values()))) * len(means) / len(sizes) if means else []
    found = dict(zip(means, map(float, shares), strict=True))
    return Weights({task: found.get(task, 1 / len(sizes)) for task in sizes}, sizes)


def _of_experts(sources: Sequence[Path], kind: str, rows: int | None, experts: Experts) -> Weights:
    """What experts of the tasks tell: the best ratio by their law, who helps whom, or the tasks that stay."""
    if len(sources) != 2 or any(source.suffix != ".json" for source in sources):
        raise UserError(
            f"{kind} takes {'prune' if kind == 'prune' else 'law'}.json of the experts, and a weights JSON with the "
            "training rows, uniform.json."
        )
    sizes = read_weights(sources[1]).sizes
    if kind == "prune":
        with expecting(sources[0], "file of the tasks that stay, of the same tasks as the weights"):
            return uniform({task: sizes[task] for task in read_json(sources[0])["kept"]})
    told = read_law(sources[0])
    if kind == "transfer":
        own = [told.tasks.index(name) if name in told.tasks else None for name in told.datasets]
        with expecting(sources[0], "law for this mixture", "see docs/algorithm.md for what it needs"):
            shares = transfer_shares(told.transfer, own, experts.eta)
        return _weights(told.tasks, shares, sizes)
    if rows is None:
        raise UserError("mixture mergemix depends on how many rows a training draws; give --rows.")
    with expecting(sources[0], "law for this mixture", "see docs/algorithm.md for what it needs"):
        limits = limits_of(np.array([sizes[task] for task in told.tasks]), rows, experts.passes, told.rho)
        prior = np.full(len(told.tasks), 1 / len(told.tasks))
        best = best_ratio(told.law, prior, limits, strength=experts.penalty)
    return _weights(told.tasks, mixture_of(best, told.rho), sizes)


def _of_task(sizes: dict[str, int], mixture: mixturenames.Mixture, experts: Experts) -> Weights:
    """Shares of an expert, or all tasks alike but one."""
    if mixture.name not in sizes:
        raise UserError(
            f"mixture {mixturenames.written(mixture)} names none of the tasks ({', '.join(sizes)}); correct the name."
        )
    if mixture.kind == "without":
        return uniform({task: size for task, size in sizes.items() if task != mixture.name})
    return _weights(list(sizes), expert_mixtures(len(sizes), experts.rho)[list(sizes).index(mixture.name)], sizes)


def _weights(tasks: Sequence[str], shares: np.ndarray, sizes: dict[str, int]) -> Weights:
    return Weights(dict(zip(tasks, map(float, shares), strict=True)), {task: sizes[task] for task in tasks})


def _selected(weights: Weights, mixture: mixturenames.Mixture, name: str) -> Weights:
    """The heaviest or lightest tasks, all alike."""
    ordered = sorted(weights.weights, key=weights.weights.__getitem__, reverse=mixture.kind == "top")
    return _first(weights.sizes, ordered, mixture, name)


def _first(sizes: dict[str, int], ordered: Sequence[str], mixture: mixturenames.Mixture, name: str) -> Weights:
    """As many tasks as a mixture keeps, the first of an order, all alike."""
    keep = mixturenames.kept(mixture, len(ordered))
    if keep < 1:
        raise UserError(f"mixture {name} keeps none of {len(ordered)} tasks; choose a larger percentage.")
    return uniform({task: sizes[task] for task in ordered[:keep]})


def _random(sizes: dict[str, int], mixture: mixturenames.Mixture, name: str, seed: int) -> Weights:
    """As many tasks as ``topP`` keeps, chosen by chance; of one N, a smaller P keeps some of those of a larger."""
    tasks = list(sizes)
    ordered = [tasks[place] for place in _draws(mixture, seed).permutation(len(tasks))]
    return _first(sizes, ordered, mixture, name)


def _shuffled(weights: Weights, mixture: mixturenames.Mixture, seed: int) -> Weights:
    """The same weights given to other tasks: a permutation that moves at least one task, said in the log."""
    tasks, draws = list(weights.weights), _draws(mixture, seed)
    if len(tasks) < 2:
        raise UserError(f"{mixturenames.written(mixture)} has one task, whose weight no other can take; add tasks.")
    order = draws.permutation(len(tasks))
    while (order == np.arange(len(tasks))).all():
        order = draws.permutation(len(tasks))
    givers = {task: tasks[place] for task, place in zip(tasks, order, strict=True)}
    for task, giver in givers.items():
        log.info("%s gets the weight of %s: %.4f", task, giver, weights.weights[giver])
    return Weights({task: weights.weights[giver] for task, giver in givers.items()}, weights.sizes)


def _draws(mixture: mixturenames.Mixture, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, int(mixture.name), zlib.crc32(mixture.kind.encode())])


def uniform(sizes: dict[str, int]) -> Weights:
    """The same weight for every task."""
    return Weights(mixturenames.of_sizes(mixturenames.Mixture("uniform"), sizes), sizes)


def mean(files: Sequence[Weights]) -> Weights:
    """The mean of some weights, all alike; a task that one of them lacks has weight 0 there.

    Sizes are the largest of a task: that of all its rows, where one of them is of a bag.
    """
    sizes: dict[str, int] = {}
    for file in files:
        sizes |= {task: max(size, sizes.get(task, 0)) for task, size in file.sizes.items()}
    return Weights({task: sum(file.weights.get(task, 0) for file in files) / len(files) for task in sizes}, sizes)


def _learnt(sources: Sequence[Path], mixture: str) -> Weights:
    """Weights of the trajectory's last step, or of a weights JSON, which are its only ones."""
    source = sources[0]
    if len(sources) == 1 and _is_trajectory(source):
        last = _last_step(source)
        values = last[_COLUMNS[mixture]].to_pylist()
        return Weights(dict(zip(last["task"].to_pylist(), values, strict=True)), _sizes(sources))
    if len(sources) == 1 and source.suffix == ".json" and mixture == "curr":
        return read_weights(source)
    raise UserError(
        f"{source} holds no learnt weights; name a trajectory.parquet, or for topP and bottomP also a weights JSON."
    )


def _sizes(sources: Sequence[Path]) -> dict[str, int]:
    """Training rows of each task that ``sources`` know."""
    source = sources[0]
    if source.suffix == ".json":
        return read_weights(source).sizes
    if _is_trajectory(source):
        last = _last_step(source)
        return dict(zip(last["task"].to_pylist(), last["size"].to_pylist(), strict=True))
    sizes = {path.parent.name: count_rows(path) for path in sources}
    if len(sizes) < len(sources):
        raise UserError("two of the training files lie in folders of one name, so their tasks cannot be told apart.")
    empty = [path for path in sources if not sizes[path.parent.name]]
    if empty:
        raise UserError(f"{empty[0]} holds no training row; leave the task out of the config or check its source.")
    return sizes


def _is_trajectory(source: Path) -> bool:
    return source.suffix == ".parquet" and "weight" in column_names(source)


def _last_step(source: Path) -> pa.Table:
    trajectory = read_table(source, TRAJECTORY)
    if not trajectory.num_rows:
        raise UserError(f"{source} holds no step; delete it and run tDRO again.")
    return trajectory.filter(pc.equal(trajectory["step"], pc.max(trajectory["step"])))

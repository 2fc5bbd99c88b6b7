"""Which model, seed and mixture of a folder of results is meant, where a command line leaves it open."""

from pathlib import Path
from typing import NamedTuple

from tdro.config.nearest import hint
from tdro.errors import UserError

_SEED = "seed"


class Run(NamedTuple):
    """A model and seed, and the file of it that was looked for."""

    model: str
    seed: int
    file: Path

    @property
    def folder(self) -> Path:
        """``results/{model}/seed{seed}``."""
        return next(one for one in self.file.parents if one.name == f"{_SEED}{self.seed}")


def found(results: Path, file: str) -> list[Run]:
    """The runs that have a file, such as ``tdro/trajectory.parquet``, by model and seed; ``*`` stands for any name."""
    runs = []
    for path in results.glob(f"*/{_SEED}*/{file}"):
        model, seed = path.relative_to(results).parts[:2]
        if seed.removeprefix(_SEED).isdigit():
            runs.append(Run(model, int(seed.removeprefix(_SEED)), path))
    return sorted(runs)


def chosen(results: Path, file: str, model: str | None, seed: int | None) -> tuple[Run, list[Run]]:
    """The run that is meant: the first by model and seed of those that fit; and the others of its model.

    Raises:
        UserError: when none fits.
    """
    runs = found(results, file)
    if not runs:
        raise UserError(f"{results} has no run with {file}; run the workflow first, or name another --results.")
    models = list(dict.fromkeys(run.model for run in runs))
    model = models[0] if model is None else model
    if model not in models:
        raise UserError(
            f"no run of model {model!r}{hint(model, models)} has {file}; those of {', '.join(models)} have."
        )
    mine = [run for run in runs if run.model == model]
    seeds = list(dict.fromkeys(run.seed for run in mine))
    seed = seeds[0] if seed is None else seed
    if seed not in seeds:
        raise UserError(f"{model} has no {file} of seed {seed}; it has that of {', '.join(map(str, seeds))}.")
    run = next(run for run in mine if run.seed == seed)
    return run, [other for other in mine if other != run]

"""Stage ``merge``: several trained models, and maybe their base, to the model that is their average (a soup)."""

import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tdro.config.soups import Method
from tdro.errors import UserError
from tdro.models.alike import check_alike, check_base
from tdro.models.average import METHODS
from tdro.models.folders import check_output, replacing_folder
from tdro.models.modelfiles import parts
from tdro.models.stored import StoredModel
from tdro.progress import Progress
from tdro.training.card import describe_merge

log = logging.getLogger(__name__)

# What a model has beside its weights: configuration, tokenizer, prompts, code of its own.
_COPIED = {".json", ".txt", ".model", ".jinja", ".py", ".tiktoken"}


def merge(
    models: Sequence[Path],
    output: Path,
    weights: Sequence[float] | None = None,
    *,
    base: Path | None = None,
    share: float | None = None,
    method: Method = "linear",
) -> None:
    """Write the average of models: every tensor of floating-point numbers is averaged, all others must be equal.

    A tensor is read of each model, averaged and written before the next is looked at. What is no weight is copied from
    the first model, and the card says what was averaged.

    Args:
        models: SentenceTransformer folders, alike but for the values of their weights.
        output: The folder to write.
        weights: Weight of each of them, made to sum to 1; None: all alike.
        base: The model that they were trained from, to mix in.
        share: Part that the average has beside it, between 0 and 1.
        method: How tensors are averaged (:mod:`tdro.models.average`).

    Raises:
        UserError: when the models differ in more than their weights, or the arguments do not fit each other.
    """
    shares = _shares(models, weights, base, share)
    check_output(output)
    opened = [StoredModel(folder) for folder in (*models, *([base] if base else []))]
    for other in opened[1 : len(models)]:
        check_alike(opened[0], other)
    if base:
        check_base(opened[0], opened[-1])
    progress = Progress("averaged", "tensors", len(opened[0].places))

    def averaged(part: str, name: str) -> Tensor:
        progress.add()
        return _average(opened, part, name, shares, method)

    with replacing_folder(output) as folder:
        _copy_others(opened[0].folder, folder)
        opened[0].copy_weights(folder, averaged)
        describe_merge(folder, opened[0].folder, dict(zip(_names(models, base), shares, strict=True)), method)
    log.info("wrote %s", output)


def _shares(
    models: Sequence[Path], weights: Sequence[float] | None, base: Path | None, share: float | None
) -> list[float]:
    """Weight of each model, the base's last; they sum to 1."""
    if weights is not None and len(weights) != len(models):
        raise UserError(f"--weights has {len(weights)} numbers for {len(models)} models; give one a model.")
    if weights is not None and not all(0 < weight < float("inf") for weight in weights):
        raise UserError(f"--weights {','.join(f'{w:g}' for w in weights)}: every weight must be above 0.")
    if (base is None) != (share is None):
        raise UserError("--base and --share belong together: the base, and the part that the models have beside it.")
    if share is not None and not 0 < share < 1:
        raise UserError(f"--share {share:g}: expected a number between 0 (the base) and 1 (the models).")
    if len(models) == 1 and base is None:
        raise UserError("one model is its own average; name more, or a --base.")
    whole = 1.0 if share is None else share
    given = list(weights) if weights is not None else [1.0] * len(models)
    return [whole * weight / sum(given) for weight in given] + ([1 - whole] if base else [])


def _average(models: Sequence[StoredModel], part: str, name: str, shares: Sequence[float], method: Method) -> Tensor:
    first = models[0].read(part, name)
    if first.is_floating_point():
        return METHODS[method]((model.read(part, name) for model in models), shares)
    for other in models[1:]:
        if not torch.equal(first, other.read(part, name)):
            raise UserError(
                f"{models[0].folder} and {other.folder} differ in {name}, whose whole numbers have no average; merge "
                "models that were trained from one base."
            )
    return first


def _copy_others(model: Path, output: Path) -> None:
    """Copy the files of a model and of its modules that are no weights; its card is written anew."""
    for folder in dict.fromkeys([model, *(part for part, _ in parts(model))]):
        to = output / folder.relative_to(model)
        to.mkdir(parents=True, exist_ok=True)
        for file in sorted(folder.iterdir()):
            if file.is_file() and file.suffix in _COPIED and not file.name.startswith("."):
                shutil.copyfile(file, to / file.name)


def _names(models: Sequence[Path], base: Path | None) -> list[str]:
    """What tells the models apart, without where they lie: ``curr``, or ``seed1/curr``; ``base``."""
    paths = [model.resolve() for model in models]
    paths = [path.parent if path.name == "model" else path for path in paths]
    if len(set(paths)) < len(paths):
        return [f"{path.name} ({number})" for number, path in enumerate(paths, 1)] + (["base"] if base else [])
    root = Path(os.path.commonpath([path.parent for path in paths]))
    return [path.relative_to(root).as_posix() for path in paths] + (["base"] if base else [])

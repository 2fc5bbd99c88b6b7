"""Stage ``merge``: several trained models, and maybe their base, to the model that is their average (a soup)."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from tdro.artifacts.folders import check_output, replacing_folder
from tdro.artifacts.sums import CHECKSUMS, write_sums
from tdro.config.soups import Method
from tdro.errors import UserError
from tdro.models.ingredients import Ingredients
from tdro.models.modelfiles import parts
from tdro.progress import Progress
from tdro.training.card import describe_merge
from tdro.training.finite import check_weights

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
        share: Part that the average has beside it, above 0; with 1 nothing of the base is left.
        method: How tensors are averaged (:mod:`tdro.models.average`).

    Raises:
        UserError: when the models differ in more than their weights, or the arguments do not fit each other.
    """
    _check_numbers(models, weights, base, share)
    check_output(output)
    ingredients = Ingredients(models, base)
    shares, first = ingredients.shares(share, weights), ingredients.first
    progress = Progress("averaged", "tensors", len(first.places))

    def averaged(part: str, name: str) -> Tensor:
        progress.add()
        found = ingredients.averaged(part, name, shares, method)
        check_weights([(name, found)], f"the average of {', '.join(map(str, models))}")
        return found

    with replacing_folder(output) as folder:
        _copy_others(first.folder, folder)
        first.copy_weights(folder, averaged)
        describe_merge(folder, first.folder, dict(zip(ingredients.names, shares, strict=True)), method)
        write_sums(folder)
    log.info("wrote %s", output)


def _check_numbers(
    models: Sequence[Path], weights: Sequence[float] | None, base: Path | None, share: float | None
) -> None:
    """Raises UserError: where they do not fit each other."""
    if weights is not None and len(weights) != len(models):
        raise UserError(f"--weights has {len(weights)} numbers for {len(models)} models; give one a model.")
    if weights is not None and not all(0 < weight < float("inf") for weight in weights):
        raise UserError(f"--weights {','.join(f'{w:g}' for w in weights)}: every weight must be above 0.")
    if (base is None) != (share is None):
        raise UserError("--base and --share belong together: the base, and the part that the models have beside it.")
    if share is not None and not 0 < share <= 1:
        raise UserError(f"--share {share:g}: expected a number above 0 (the base) up to 1 (the models).")
    if len(models) == 1 and base is None:
        raise UserError("one model is its own average; name more, or a --base.")


def _copy_others(model: Path, output: Path) -> None:
    """Copy the files of a model and of its modules that are no weights; its card is written anew."""
    for folder in dict.fromkeys([model, *(part for part, _ in parts(model))]):
        to = output / folder.relative_to(model)
        to.mkdir(parents=True, exist_ok=True)
        for file in sorted(folder.iterdir()):
            if file.is_file() and file.suffix in _COPIED and not file.name.startswith(".") and file.name != CHECKSUMS:
                shutil.copyfile(file, to / file.name)

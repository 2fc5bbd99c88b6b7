"""Stopping where a number is not finite, before anything of the spoilt model is written."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from tdro.errors import UserError


def check_finite(values: Tensor, rows: Sequence[int]) -> None:
    """Check what was computed of some rows.

    Args:
        values: Of each row, shape (n, ...).
        rows: Number of each row in the plan, n of them.

    Raises:
        UserError: naming the first rows with a value that is not finite.
    """
    finite = torch.isfinite(values).flatten(1).all(dim=1)
    bad = [row for row, well in zip(rows, finite.tolist(), strict=True) if not well]
    if bad:
        first = ", ".join(map(str, bad[:5]))
        raise UserError(
            f"the loss is not finite for {len(bad)} of {len(rows)} rows, in the plan row {first}. "
            "Lower `learning_rate` or raise `temperature`, and look at the texts of these rows. "
            "Checkpoints of earlier steps are kept."
        )


def check_weights(weights: Iterable[tuple[str, Tensor]], what: str) -> None:
    """Check the weights of a model, by name.

    Raises:
        UserError: naming the model, ``what``, and the first weight with a value that is not finite.
    """
    for name, weight in weights:
        if weight.is_floating_point() and not torch.isfinite(weight).all():
            raise UserError(f"{what} holds values that are not finite in {name}; get its files anew, or take another.")

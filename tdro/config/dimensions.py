"""Embeddings that are cut to their first numbers: which cuts a configuration may name, and whether a model has them."""

import itertools
import logging
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from tdro.errors import UserError

log = logging.getLogger(__name__)


def _falling(dimensions: list[int]) -> list[int]:
    if any(one <= other for one, other in itertools.pairwise(dimensions)):
        raise ValueError(f"{dimensions} must fall; write each dimension once, the largest first")
    return dimensions


#: Numbers of an embedding that are kept, the most first; may be empty.
Dimensions = Annotated[list[Annotated[int, Field(ge=1)]], AfterValidator(_falling)]


def check_trained(name: str, dimension: int, dimensions: Sequence[int]) -> None:
    """Check that a model can be trained for some dimensions; warn where its whole embeddings are not among them.

    Args:
        name: The model's name in the configuration.
        dimension: Of its embeddings.
        dimensions: Of ``training.matryoshka``.

    Raises:
        UserError: for a dimension above the model's.
    """
    if not dimensions:
        return
    if dimensions[0] > dimension:
        raise UserError(
            f"`training.matryoshka` names {dimensions[0]} dimensions, but the embeddings of model {name!r} have "
            f"{dimension}; write {dimension} in its place, or take it out."
        )
    if dimensions[0] < dimension:
        log.warning(
            "`training.matryoshka` does not name %d, the dimensions of model %r: its whole embeddings are not trained "
            "for, only their first %d numbers",
            *(dimension, name, dimensions[0]),
        )

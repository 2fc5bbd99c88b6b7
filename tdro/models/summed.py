r"""A loaded retriever that takes on other weights in place: a model, and some shares of what others have changed of it.

.. math:: \theta(\alpha) = \theta_0 + \sum_k \alpha_k (\theta_k - \theta_0)

Dozens of such sums are measured one after another; none is written, and of the stored models one tensor is held at a
time.
"""

from collections.abc import Sequence
from pathlib import Path

from tdro.models.alike import check_tensors
from tdro.models.average import linear
from tdro.models.inplace import InPlace
from tdro.models.stored import StoredModel


class Summed:
    """A retriever whose weights can be set to such a sum.

    Args:
        model: A SentenceTransformer that was loaded from ``origin``; changed in place.
        origin: The folder of theta_0.
        others: Those of theta_k.

    Raises:
        UserError: for a folder that holds no such model, one whose tensors are not those of ``origin``, or weights
            that are found elsewhere in the loaded model than in its folder.
    """

    def __init__(self, model, origin: Path, others: Sequence[Path]) -> None:
        self._origin, self._others = StoredModel(origin), [StoredModel(folder) for folder in others]
        for other in self._others:
            check_tensors(self._origin, other)
        self._loaded = InPlace(model, origin)

    def put(self, shares: Sequence[float]) -> None:
        """Take on the sum with these alpha, one a model; whole numbers stay those of theta_0."""
        used = [(share, other) for share, other in zip(shares, self._others, strict=True) if share]
        models = [self._origin, *(other for _, other in used)]
        weights = [1 - sum(share for share, _ in used), *(share for share, _ in used)]
        self._loaded.put(lambda part, name: linear((model.read(part, name) for model in models), weights))

r"""A loaded retriever that takes on other weights in place: a model, and some shares of what others have changed of it.

.. math:: \theta(\alpha) = \theta_0 + \sum_k \alpha_k (\theta_k - \theta_0)

Dozens of such sums are measured one after another; none is written, and of the stored models one tensor is held at a
time.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tdro.errors import UserError
from tdro.models.alike import check_tensors
from tdro.models.average import linear
from tdro.models.networks import network_of
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
        parts = [entry.get("path", "") for entry in json.loads((origin / "modules.json").read_text(encoding="utf-8"))]
        own = {part: _weights(module) for part, module in zip(parts, model, strict=False)}
        self._loaded = {
            (part, name): own.get(part, {}).get(name) for part, name in self._origin.places if self._floats(part, name)
        }
        for place, tensor in self._loaded.items():
            if tensor is None or not torch.equal(tensor.cpu(), self._origin.read(*place).to(tensor.dtype)):
                raise UserError(
                    f"{origin}: the weights {place[1]} are not found in the loaded model under that name, so models "
                    "of this kind cannot be added up; leave out mergemix, transfer and prune."
                )

    def _floats(self, part: str, name: str) -> bool:
        return self._origin.places[part, name].dtype in ("F64", "F32", "F16", "BF16")

    @torch.no_grad()
    def put(self, shares: Sequence[float]) -> None:
        """Take on the sum with these alpha, one a model; whole numbers stay those of theta_0."""
        used = [(share, other) for share, other in zip(shares, self._others, strict=True) if share]
        weights = [1 - sum(share for share, _ in used), *(share for share, _ in used)]
        for place, tensor in self._loaded.items():
            tensor.copy_(linear((model.read(*place) for model in (self._origin, *(m for _, m in used))), weights))


def _weights(module) -> dict[str, Tensor]:
    """The tensors of a module of sentence-transformers by the names that they are saved under."""
    network = network_of(module)
    return (module if network is None else network).state_dict(keep_vars=True)

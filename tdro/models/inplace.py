"""A loaded retriever that takes on the weights of other models, one after another: none of them is written or loaded.

loaded = InPlace(model, folder)
loaded.put(lambda part, name: other.read(part, name))
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from tdro.artifacts.foreign import read_foreign
from tdro.errors import UserError
from tdro.models.networks import network_of
from tdro.models.stored import StoredModel


class InPlace:
    """A retriever whose weights are set in place.

    Args:
        model: A SentenceTransformer that was loaded from ``folder``.
        folder: Where its weights are stored.

    Raises:
        UserError: for weights that are found elsewhere in the loaded model than in its folder.
    """

    def __init__(self, model, folder: Path) -> None:
        stored = StoredModel(folder)
        paths = [entry.get("path", "") for entry in read_foreign(folder / "modules.json", list)]
        loaded = {path: _weights(module) for path, module in zip(paths, model, strict=True)}
        self._tensors: dict[tuple[str, str], Tensor] = {}
        for part, name in stored.places:
            tensor = stored.read(part, name)
            if not tensor.is_floating_point():
                continue
            own = loaded.get(part, {}).get(name)
            if own is None or not torch.equal(own.cpu(), tensor.to(own.dtype)):
                raise UserError(
                    f"{folder}: the weights {name} are not found in the loaded model under that name, so models of "
                    "this kind cannot be added up; leave out mergemix, transfer and prune, and soups beside `dev`."
                )
            self._tensors[part, name] = own

    @torch.no_grad()
    def put(self, tensor: Callable[[str, str], Tensor]) -> None:
        """Take on other weights; whole numbers stay.

        Args:
            tensor: What takes the place of a tensor, by its module's folder and its name.
        """
        for (part, name), own in self._tensors.items():
            own.copy_(tensor(part, name))


def _weights(module) -> dict[str, Tensor]:
    """The tensors of a module of sentence-transformers by the names that they are saved under."""
    network = network_of(module)
    return (module if network is None else network).state_dict(keep_vars=True)

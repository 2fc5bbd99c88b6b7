"""Weights that do nothing: a network may have parts that the embedding does not depend on, such as BERT's pooler.

Several processes wait for the gradient of every trained weight, so one that never gets a gradient must not be trained.
Which these are is measured, not listed: the gradient of an embedding does not reach them.
"""

import logging

import torch

from tdro.models.bases import hidden
from tdro.models.load import network_of

log = logging.getLogger(__name__)


def freeze_unused(model) -> None:
    """Train no weight of the network of ``model`` that what it makes of a text does not depend on."""
    network = network_of(model)
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad} if network is not None else {}
    reached: set[str] = set()

    def note(name: str):
        def hook(parameter: torch.Tensor) -> None:
            reached.add(name)
            parameter.grad = None  # at once, so that the gradients of all are never in memory together

        return hook

    hooks = [p.register_post_accumulate_grad_hook(note(name)) for name, p in trained.items()]
    if trained:
        with torch.enable_grad():
            hidden(network).sum().backward()
    for hook in hooks:
        hook.remove()
    for name in trained.keys() - reached:
        trained[name].requires_grad_(False)
    if unused := sorted(trained.keys() - reached):
        log.info("not trained, as embeddings do not depend on them: %s", ", ".join(unused))

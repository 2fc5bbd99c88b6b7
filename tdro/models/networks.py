"""The network inside of a retriever: where it is, its first layers alone, and low-rank adapters beside its weights.

An adapter is a small trained update beside a frozen linear layer, by the library peft.
"""

import torch
from torch import Tensor

from tdro.config.models import Lora, Model
from tdro.errors import UserError


def network_of(model):
    """The transformers model inside of one of sentence-transformers; None for a static embedding."""
    from transformers import PreTrainedModel

    return next((module for module in model.modules() if isinstance(module, PreTrainedModel)), None)


def pooling_of(model):
    """The module of a retriever that makes one vector of those of the tokens; None for a static embedding."""
    from sentence_transformers.sentence_transformer.modules import Pooling

    return next((module for module in model if isinstance(module, Pooling)), None)


def hidden(network) -> Tensor:
    """What a network makes of a token, without flash attention, which has no kernels for a CPU."""
    before = network.config._attn_implementation
    network.set_attn_implementation("eager")
    found = network(input_ids=torch.zeros(1, 1, dtype=torch.long, device=network.device)).last_hidden_state
    network.set_attn_implementation(before)
    return found


def keep_layers(network, model: Model) -> None:
    """Drop all but the first ``model.layers`` transformer layers; null keeps all.

    Raises:
        UserError: for a network whose layers cannot be found.
    """
    if not model.layers:
        return
    number = network.config.num_hidden_layers
    found = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == number
    ]
    if not found:
        raise UserError(
            f"model {model.name!r}: `layers` needs a network that keeps its layers in one list; "
            f"{type(network).__name__} does not. Remove the key."
        )
    name, layers = found[0]
    network.set_submodule(name, layers[: model.layers])
    cut(network.config, model.layers)


def cut(config, layers: int) -> None:
    """Let a configuration speak of so many layers at most."""
    config.num_hidden_layers = min(layers, config.num_hidden_layers)
    if getattr(config, "layer_types", None):  # Qwen names the kind of every layer
        config.layer_types = config.layer_types[: config.num_hidden_layers]


def add_adapters(network, lora: Lora) -> None:
    """Put an adapter beside every linear layer of ``network`` and freeze everything else; it starts as no update.

    Args:
        network: A transformers model; changed in place, its class stays.
        lora: Rank, scale and dropout.
    """
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.tuners_utils import cast_adapter_dtype

    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules="all-linear")
    inject_adapter_in_model(config, network)
    cast_adapter_dtype(network, "default")


def merge_adapters(network) -> None:
    """Add every adapter to the weights beside it, in float32, and leave a network without adapters."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    network.float()
    for name, module in list(network.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            network.set_submodule(name, module.get_base_layer())
    network.requires_grad_(True)

"""Low-rank adapters: a small trained update beside each frozen linear layer, by the library peft."""

from tdro.config.models import Lora


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

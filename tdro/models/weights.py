"""Which weights decide what a model computes: none may be random, and no others need be trained.

transformers fills weights that a checkpoint lacks, or has in another shape, with random numbers and goes on with a
table in the log. Some weights decide nothing: BERT's pooler beside embeddings of the last layer, the head of a language
model, layers that are cut off. Which these are is measured, not listed: a weight decides the output when its gradient
reaches it.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tdro.artifacts.shapes import reason
from tdro.errors import UserError
from tdro.models.networks import hidden
from tdro.models.outofmemory import is_out_of_memory
from tdro.models.processes import agreed, processes

log = logging.getLogger(__name__)

_LONGEST = 400  # characters of another library's message


class Gap(NamedTuple):
    """A weight that was filled with random numbers."""

    name: str
    reason: str
    weight: Tensor


@contextmanager
def loading(what: str, advice: str) -> Iterator[list[Gap]]:
    """Turns whatever a library raises for files that it cannot read into a sentence; gives the gaps of what it loads.

    Args:
        what: The model, for the sentence.
        advice: How to mend it.

    Raises:
        UserError: in place of any other exception.
    """
    try:
        with _gaps_of_loads() as found:
            yield found
    except UserError:
        raise
    except Exception as error:  # a broken file makes tokenizers, safetensors and pickle raise errors of every kind
        if is_out_of_memory(error):
            raise
        why = reason(error)[:_LONGEST]
        if "trust_remote_code" in why:
            raise UserError(f"{what} needs code of its own, which tDRO does not run; choose another model.") from error
        raise UserError(f"{what} cannot be loaded ({why}); {advice}.") from error


@contextmanager
def _gaps_of_loads() -> Iterator[list[Gap]]:
    """Fills the list with the gaps of every transformers model that is loaded inside.

    Weights of another shape count as gaps, too, instead of stopping the load with a table.
    """
    from transformers import PreTrainedModel

    found: list[Gap] = []
    original = PreTrainedModel.__dict__["from_pretrained"]

    def recording(cls, *arguments, output_loading_info: bool = False, **others) -> Any:
        others["ignore_mismatched_sizes"] = True
        model, info = original.__func__(cls, *arguments, output_loading_info=True, **others)
        found.extend(_gaps(model, info))
        _reserve(model)
        return (model, info) if output_loading_info else model

    PreTrainedModel.from_pretrained = classmethod(recording)
    try:
        yield found
    finally:
        PreTrainedModel.from_pretrained = original


def _reserve(model) -> None:
    """Give weights that another process has read (``processes.loaded_once``) a place: memory that nobody touches.

    As transformers leaves them, on no device, a model cannot be moved nor wrapped.
    """
    unread = [name for name, weight in model.named_parameters() if weight.is_meta]
    for name in unread:
        weight = model.get_parameter(name)
        parent, _, own = name.rpartition(".")
        place = torch.nn.Parameter(torch.empty_like(weight, device="cpu"), requires_grad=weight.requires_grad)
        setattr(model.get_submodule(parent), own, place)
    if unread:
        model.tie_weights()


def check_whole(what: str, found: list[Gap], output: Callable[[], Tensor]) -> None:
    """Check that no gap decides the output.

    Args:
        what: The model, for the sentence.
        found: The gaps of its networks.
        output: Computes embeddings or scores of some text; called only when there are gaps.

    Raises:
        UserError: naming the first weight that the output depends on.
    """
    asked = [gap for gap in found if gap.weight.is_floating_point()]
    if not asked:
        return
    reached = _reached([gap.weight for gap in asked], output)
    if deciding := [gap for gap, decides in zip(asked, reached, strict=True) if decides]:
        first = deciding[0]
        raise UserError(
            f"{what} cannot be used: {len(deciding)} of its weights would be random numbers, such as {first.name} "
            f"({first.reason}); its files are of another model or not complete: get them anew, or name another model."
        )


def freeze_unused(network) -> None:
    """Train no weight of a network that what it makes of a text does not depend on.

    Several processes wait for the gradient of every trained weight, so one that never gets a gradient must not be.
    """
    trained = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    # The main process looks, and the others take its word: they may hold no weights to compute with.
    unused = agreed(_unused(network, trained) if processes().is_main_process else None)
    for name in unused:
        trained[name].requires_grad_(False)
    if unused:
        log.info("not trained, as embeddings do not depend on them: %s", ", ".join(unused))


def _unused(network, trained: dict[str, Tensor]) -> list[str]:
    reached = _reached(list(trained.values()), lambda: hidden(network))
    return sorted(name for name, decides in zip(trained, reached, strict=True) if not decides)


def _reached(weights: list[Tensor], output: Callable[[], Tensor]) -> list[bool]:
    """Whether the gradient of an output reaches each weight; which of them are trained stays as it was."""
    found = [False] * len(weights)

    def note(place: int) -> Callable[[Tensor], None]:
        def hook(weight: Tensor) -> None:
            found[place] = True
            weight.grad = None  # at once, so that the gradients of all are never in memory together

        return hook

    frozen = [weight for weight in weights if not weight.requires_grad]
    for weight in frozen:
        weight.requires_grad_(True)
    hooks = [weight.register_post_accumulate_grad_hook(note(place)) for place, weight in enumerate(weights)]
    with torch.enable_grad():
        output().sum().backward(inputs=weights)
    for hook in hooks:
        hook.remove()
    for weight in frozen:
        weight.requires_grad_(False)
    return found


def _gaps(model, info: dict[str, Any]) -> list[Gap]:
    weights = dict(model.named_parameters(remove_duplicate=False))
    lacking = [
        Gap(name, "not in the checkpoint", weights[name]) for name in sorted(info["missing_keys"]) if name in weights
    ]
    return lacking + [
        Gap(name, f"{list(stored)} in the checkpoint, {list(wanted)} by config.json", weights[name])
        for name, stored, wanted in sorted(info["mismatched_keys"], key=lambda key: key[0])
        if name in weights
    ]

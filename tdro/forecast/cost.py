"""What a piece of work costs, as arithmetic: floating-point operations, memory, disk.

A multiplication and an addition are two operations. Of a layer only what multiplies matrices counts, as usual (Kaplan
et al. 2020): two operations a parameter and token, and two products of attention. Lengths and tokens are means.
"""

from typing import NamedTuple

from tdro.forecast.models import Network

#: Bytes of a float32 number, of a bfloat16 or float16 one, of a row's number.
FLOAT, HALF, ROW = 4, 2, 4
#: Tokens computed a token read: what is padding (docs/performance.md).
PADDING = 1.05
#: What a process has before it computes, in bytes: Python and the libraries of a training, or those without torch.
LIBRARIES, LIGHT = 1_000_000_000, 170_000_000
#: On a CPU a training's activations take so many times their bytes: the demo's trainings took 1.8 to 2.8 times.
ON_CPU = 2


def forward(network: Network, tokens: float, length: float) -> float:
    """Operations of reading so many tokens, in texts of a mean length: those of the layers and those of attention."""
    # A table of vectors adds one row a token.
    return (_layers(network, tokens) + _attention(network, tokens, length) or network.width * tokens) * PADDING


def _layers(network: Network, tokens: float) -> float:
    return 2 * network.body * tokens


def _attention(network: Network, tokens: float, length: float) -> float:
    return 4 * network.layers * network.attention * tokens * length


def training(
    network: Network, tokens: float, length: float, *, checkpointing: bool, cached: bool, adapters: int
) -> float:
    """Operations of learning from so many tokens: a forward pass, and a backward one of twice that.

    Args:
        network: The network.
        tokens: Of all steps.
        length: Of a text.
        checkpointing: Activations are computed a second time.
        cached: Gradients are cached, which reads all texts a second time.
        adapters: Parameters of the adapters, where they alone learn; the layers have no gradients then. 0: all learn.
    """
    reading = (1 + checkpointing + cached) * forward(network, tokens, length)
    if not adapters:
        return reading + 2 * forward(network, tokens, length)
    backward = _layers(network, tokens) + 2 * _attention(network, tokens, length)
    return reading + (backward + (4 + 2 * (1 + checkpointing + cached)) * adapters * tokens) * PADDING


def search(queries: float, passages: float, width: int) -> float:
    """Operations of comparing each query with each passage."""
    return 2 * queries * passages * width


def adapters(network: Network, rank: int) -> int:
    """Parameters of low-rank adapters of all matrices of the layers."""
    # Queries and output of attention, keys and values (as wide at most), and two or three matrices of width x inner.
    feed_forward = (3 if network.decoder else 2) * (network.width + network.inner)
    return network.layers * rank * (4 * (network.width + network.attention) + feed_forward)


class Memory(NamedTuple):
    """Bytes of one process in training.

    ``activations`` are what a forward pass keeps for the backward one, ``gathered`` what FSDP brings together of a
    layer, ``copies`` the weights in the numbers that autocast computes in.
    """

    weights: float
    gradients: float
    optimizer: float
    activations: float
    gathered: float
    copies: float

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self)


#: How a launch configuration lays a model out on its processes.
WHOLE, SHARDED_STATE, SHARDED = "whole", "sharded state", "sharded"


def training_memory(
    network: Network,
    tokens: float,
    length: float,
    *,
    layout: str,
    processes: int,
    trained: int,
    frozen_bytes: int = FLOAT,
    half: bool,
    checkpointing: bool,
    fused_attention: bool,
) -> Memory:
    """Bytes of one process in training, by arithmetic.

    Weights that learn, their gradients and the two moments of AdamW take 16 bytes a parameter. Of the activations of a
    layer 34 numbers of a byte, that is 17 of bfloat16, a token and number of its vector are kept (Korthikanti et al.
    2022, formula 1 at one byte a mask), twice as many in float32, and five of each attention weight where attention is
    not fused. With checkpointing only the input of each layer is, and one layer as a whole.

    Args:
        network: The network.
        tokens: That are in memory at a time, padding included.
        length: Of a text.
        layout: ``WHOLE``: each process holds all. ``SHARDED_STATE``: gradients and moments are split over the
            processes, weights too, but they stay gathered until the backward pass. ``SHARDED``: all is split.
        processes: That share the model.
        trained: Parameters that learn.
        frozen_bytes: Bytes of a weight that does not.
        half: Whether autocast computes in bfloat16.
        checkpointing: Activations are computed a second time.
        fused_attention: Attention weights are never stored.
    """
    shares = processes if layout != WHOLE else 1
    weights = FLOAT * trained + frozen_bytes * max(0, network.parameters - trained)
    number = HALF if half else FLOAT
    layer = network.body / network.layers if network.layers else 0
    unit = max(layer, network.table)  # embeddings are gathered as one layer is
    # Two units of weights, as the next one is fetched ahead, and the gradients of one.
    gathered = {WHOLE: 0.0, SHARDED_STATE: number * (network.parameters + unit), SHARDED: 3 * number * unit}[layout]
    copies = HALF * network.body if half and layout == WHOLE else 0.0  # autocast keeps what it has cast
    kept = 17 * number * network.width * tokens
    if not fused_attention:
        kept += 2.5 * number * network.heads * length * tokens
    inputs = number * network.width * tokens
    activations = network.layers * inputs + kept if checkpointing else network.layers * kept
    gradients = FLOAT * trained / shares
    return Memory(weights / shares, gradients, 2 * gradients, activations, gathered, copies)


def inference_memory(network: Network, tokens: float, *, half: bool) -> float:
    """Bytes of a process that only reads texts, so many tokens at a time: weights, a copy, the numbers of a layer."""
    copy = HALF * network.body if half else 0
    widest = 4 * max(network.width, network.inner) * (HALF if half else FLOAT)
    return FLOAT * network.parameters + copy + widest * tokens

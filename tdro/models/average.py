"""A tensor that is the average of the tensors of several models.

linear([half, other], [0.5, 0.5])
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from tdro.config.soups import Method

# Directions that are nearer to each other than this (radians) are averaged along the line.
_NEAR = 1e-4


def linear(tensors: Iterable[Tensor], weights: Sequence[float]) -> Tensor:
    """sum_m w_m theta_m, in float32 at least; of the first tensor's type.

    Taken as the first tensor plus the weighted differences to it, so that the mean of equal tensors is that tensor, to
    the bit. No more than two of the tensors are held at a time.

    Args:
        tensors: Of one shape and type.
        weights: Their weights, which sum to 1.
    """
    rest = iter(tensors)
    first = next(rest)
    wide = torch.promote_types(first.dtype, torch.float32)
    origin = first.to(wide)
    total = origin.clone()
    for weight, tensor in zip(weights[1:], rest, strict=True):
        total.add_(tensor.to(wide) - origin, alpha=weight)
    return total.to(first.dtype)


def multislerp(tensors: Iterable[Tensor], weights: Sequence[float]) -> Tensor:
    """The mean on the sphere of the tensors' directions, with the mean of their lengths; all of them are held.

    With u_m = theta_m / |theta_m| and M the normalised sum of w_m u_m: theta = (sum_m w_m |theta_m|) exp_M(v), where
    v = sum_m w_m log_M(u_m). Of two tensors that is spherical interpolation (Shoemake 1985). Where all angles to M are
    below 1e-4, or there is no M or no direction, it is :func:`linear`.

    Args:
        tensors: Of one shape and type.
        weights: Their weights, which sum to 1.
    """
    held = list(tensors)
    flat = [tensor.flatten().double() for tensor in held]
    lengths = [torch.linalg.vector_norm(vector) for vector in flat]
    if min(lengths) > 0:
        units = [vector / length for vector, length in zip(flat, lengths, strict=True)]
        if (direction := _mean_direction(units, weights)) is not None:
            length = sum(weight * length for weight, length in zip(weights, lengths, strict=True))
            return (length * direction).reshape(held[0].shape).to(held[0].dtype)
    return linear(held, weights)


def _mean_direction(units: Sequence[Tensor], weights: Sequence[float]) -> Tensor | None:
    """exp_M(v); None where the line serves as well, or the directions cancel out."""
    centre = sum(weight * unit for weight, unit in zip(weights, units, strict=True))
    if (size := torch.linalg.vector_norm(centre)) < _NEAR:
        return None
    centre = centre / size
    step, largest = torch.zeros_like(centre), 0.0
    for weight, unit in zip(weights, units, strict=True):
        cosine = unit @ centre
        across = unit - cosine * centre
        sine = torch.linalg.vector_norm(across)
        angle = torch.atan2(sine, cosine).item()
        largest = max(largest, angle)
        if sine > 0:
            step += weight * angle / sine * across
    if largest < _NEAR:
        return None
    angle = torch.linalg.vector_norm(step)
    return torch.cos(angle) * centre + torch.sinc(angle / torch.pi) * step


#: The ways to average.
METHODS: Mapping[Method, Callable[[Iterable[Tensor], Sequence[float]], Tensor]] = {
    "linear": linear,
    "multislerp": multislerp,
}

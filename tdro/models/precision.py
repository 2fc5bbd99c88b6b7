"""bfloat16 where the hardware computes in it; float32 elsewhere."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# x86: AVX-512 BF16 or AMX; ARM: the BF16 extension. Without them torch emulates bfloat16, slower than float32.
_CPU_FEATURES = ("avx512_bf16", "amx_bf16", "bf16")


def autocast(precision: str, device: "str | torch.device") -> AbstractContextManager:
    """Context in which a model's forward pass computes in ``precision``.

    Only the forward pass belongs in it: similarities and losses taken inside would lose digits too.

    Args:
        precision: ``bf16`` or ``fp32`` (:class:`tdro.config.models.Encoding`).
        device: Where the model lies. ``bf16`` does nothing where :func:`supports_bf16` is false.
    """
    import torch

    kind = torch.device(device).type
    if precision == "bf16" and supports_bf16(kind):
        return torch.autocast(kind, dtype=torch.bfloat16)
    return nullcontext()


def supports_bf16(device_type: str) -> bool:
    """Whether devices of this type (``cpu``, ``cuda``, ...) multiply bfloat16 matrices natively."""
    import torch

    if device_type == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(feature, False) for feature in _CPU_FEATURES)
    return False

import pytest
import torch

from tdro.models import precision


def multiplied(name, device="cpu"):
    a = torch.ones(2, 2)
    with precision.autocast(name, device):
        return (a @ a).dtype


@pytest.mark.parametrize("feature", ["avx512_bf16", "amx_bf16", "bf16"])
def test_a_cpu_with_bfloat16_instructions_computes_in_bfloat16(monkeypatch, feature):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, feature: True})
    assert precision.supports_bf16("cpu")
    assert multiplied("bf16") == torch.bfloat16
    assert multiplied("bf16", torch.device("cpu")) == torch.bfloat16


def test_a_cpu_that_would_emulate_bfloat16_computes_in_float32(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, "avx512_bf16": False})
    assert not precision.supports_bf16("cpu")
    assert multiplied("bf16") == torch.float32


def test_fp32_stays_float32_where_bfloat16_is_possible(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert multiplied("fp32") == torch.float32


def test_unknown_devices_compute_in_float32():
    assert not precision.supports_bf16("meta")

"""Averages of tensors against scipy's interpolation on a sphere, numpy's mean, and cases that come out to the bit."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import geometric_slerp

from tdro.models.average import METHODS, linear, multislerp

TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def drawn(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("method", METHODS.values())
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("copies", [2, 3, 7])
def test_copies_give_the_tensor_back_to_the_bit(method, dtype, copies):
    tensor = drawn(copies, 5, 3).to(dtype)
    found = method([tensor] * copies, [1 / copies] * copies)
    assert found.dtype == dtype
    assert torch.equal(found, tensor)


@given(seed=st.integers(0, 1000), exponent=st.integers(-8, 4))
def test_as_much_above_as_below_gives_the_middle_to_the_bit(seed, exponent):
    """All sums are multiples of one power of 2, and no larger than 2^24 of them: float32 holds each of them."""
    rng = np.random.default_rng(seed)
    base, apart = (torch.from_numpy(rng.integers(-(2**22), 2**22, 20) * 2.0**exponent).float() for _ in range(2))
    assert torch.equal(linear([base + apart, base - apart], [0.5, 0.5]), base)
    assert torch.equal(linear([base + apart, base + apart, base - apart, base - apart], [0.25] * 4), base)


@given(seed=st.integers(0, 1000), number=st.integers(2, 6))
def test_the_line_is_the_weighted_mean_whatever_the_order(seed, number):
    rng = np.random.default_rng(seed)
    tensors, weights = rng.normal(size=(number, 4, 3)).astype(np.float32), rng.dirichlet(np.ones(number))
    expected = np.average(tensors.astype(np.float64), axis=0, weights=weights)
    for order in (np.arange(number), rng.permutation(number)):
        found = linear(map(torch.from_numpy, tensors[order]), weights[order].tolist())
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_averaged_in_float32_and_rounded_once(dtype):
    tensors = [drawn(seed, 1000).to(dtype) for seed in range(5)]
    expected = torch.stack([tensor.double() for tensor in tensors]).mean(dim=0).to(dtype)
    found = linear(tensors, [0.2] * 5)
    assert (found == expected).double().mean() > 0.99  # a sum in float32 may lie on the other side of a tie
    step = torch.finfo(dtype).eps * expected.double().abs()
    assert ((found.double() - expected.double()).abs() <= step + 1e-6).all()


@pytest.mark.parametrize("angle", [1e-3, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_two_directions_are_interpolated_on_the_sphere(angle, share):
    first, other = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 2)))[0].T
    second = np.cos(angle) * first + np.sin(angle) * other
    found = multislerp([torch.from_numpy(first), torch.from_numpy(second)], [1 - share, share])
    np.testing.assert_allclose(found, geometric_slerp(first, second, share), atol=1e-12)
    # Lengths are averaged along the line.
    found = multislerp([torch.from_numpy(3 * first), torch.from_numpy(second)], [1 - share, share])
    expected = geometric_slerp(first, second, share) * (3 * (1 - share) + share)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_three_directions_that_stand_evenly_around_an_axis_meet_on_it():
    turns = 2 * np.pi * np.arange(3) / 3
    around = [torch.tensor([[np.sin(0.7) * np.cos(t), np.sin(0.7) * np.sin(t), np.cos(0.7)]]) for t in turns]
    np.testing.assert_allclose(multislerp(around, [1 / 3] * 3), [[0, 0, 1]], atol=1e-12)


@pytest.mark.parametrize("second", [[0.0, 0.0], [-2.0, 0.0], [2.0, 1e-5]], ids=["no length", "opposite", "near"])
def test_where_the_sphere_says_nothing_the_line_does(second):
    tensors = [torch.tensor([2.0, 0.0]), torch.tensor(second)]
    assert torch.equal(multislerp(tensors, [0.5, 0.5]), linear(tensors, [0.5, 0.5]))

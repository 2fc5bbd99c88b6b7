"""Leverage shares: against the formula written out, and on tasks whose order is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import TASK_MEANS
from tdro.errors import UserError
from tdro.mixtures.derive import derive, uniform
from tdro.mixtures.leverage import leverage_shares
from tdro.mixtures.weights import write_weights

FINITE = st.floats(-1, 1, width=16)


def by_eigenvalues(means):
    """The same by the eigenvalues of K: the scores are sums of squares, each shrunk by e / (e + ridge)."""
    values, vectors = np.linalg.eigh(_kernel(means))
    ridge = values.sum() / len(values)
    scores = (vectors**2 * (values / (values + ridge))).sum(axis=1)
    scaled = np.exp(5 * scores / scores.sum())
    return scaled / scaled.sum()


def _kernel(means):
    """Centred by the matrix I - 11'/k on both sides, as kernels are."""
    centre = np.eye(len(means)) - 1 / len(means)
    return centre @ means @ means.T @ centre


def test_three_tasks_by_hand():
    """Means at 0, 0 and 3: centred -1, -1, 2, so K has one eigenvalue, 6, of the vector (-1, -1, 2) / sqrt(6), and the
    ridge is 2. The scores are 1/6, 1/6 and 4/6 of 6/8."""
    scores = np.array([1, 1, 4]) / 6
    expected = np.exp(5 * scores) / np.exp(5 * scores).sum()
    np.testing.assert_allclose(leverage_shares(np.array([[0.0], [0.0], [3.0]])), expected, rtol=1e-12)


@given(arrays.arrays(float, st.tuples(st.integers(3, 8), st.integers(1, 6)), elements=FINITE), st.floats(0.01, 100))
def test_shares_equal_those_of_the_eigenvalues_whatever_the_scale_and_the_origin(means, scale):
    shares = leverage_shares(means)
    assert shares.sum() == pytest.approx(1) and (shares > 0).all()
    if np.trace(_kernel(means)) > 1e-6:
        np.testing.assert_allclose(shares, by_eigenvalues(means), rtol=1e-6)
        np.testing.assert_allclose(leverage_shares(scale * means), shares, rtol=1e-6)
        np.testing.assert_allclose(leverage_shares(means + 1), shares, rtol=1e-6)


def test_a_task_apart_from_the_others_gets_most_and_equal_ones_get_the_same():
    near = np.array([[1.0, 0, 0], [0.99, 0.05, 0], [0.99, -0.05, 0], [0, 0, 1.0]])
    shares = leverage_shares(near)
    assert shares.argmax() == 3
    np.testing.assert_allclose(leverage_shares(np.ones((4, 3))), 1 / 4)
    np.testing.assert_allclose(leverage_shares(np.array([[0.3, 0.2], [0.1, 0.9]])), 1 / 2)


def test_a_task_without_embeddings_keeps_its_share_of_uniform(tmp_path):
    means = [[0.0], [0.0], [3.0]]
    write_table(tmp_path / "means.parquet", {"task": ["c", "a", "b"], "mean": means}, TASK_MEANS)
    write_weights(tmp_path / "uniform.json", uniform({"a": 1, "b": 2, "c": 3, "provided": 4}))
    found = derive([tmp_path / "means.parquet", tmp_path / "uniform.json"], "chameleon")
    assert list(found.weights) == ["a", "b", "c", "provided"] and found.sizes["provided"] == 4
    shares = 3 / 4 * leverage_shares(np.array(means))
    assert list(found.weights.values()) == pytest.approx([shares[1], shares[2], shares[0], 1 / 4])
    with pytest.raises(UserError, match=r"chameleon takes task_means\.parquet, and a weights JSON"):
        derive([tmp_path / "uniform.json"], "chameleon")

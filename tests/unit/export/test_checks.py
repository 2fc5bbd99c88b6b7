"""What passes as the same model."""

import json

import numpy as np
import pytest

from tdro.errors import UserError
from tdro.export.checks import compare, cosine, refuse_lost, table, write_checks


def unit(rng, *shape):
    rows = rng.normal(size=shape)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def expected():
    return unit(np.random.default_rng(0), 64, 8)


def test_the_cosine_is_that_of_each_pair(expected):
    other = unit(np.random.default_rng(1), 64, 8)
    by_hand = [float(a @ b) for a, b in zip(expected, other, strict=True)]
    np.testing.assert_allclose(cosine(expected, 3 * other), by_hand)
    assert cosine(np.zeros((1, 2)), np.ones((1, 2))) == 0
    assert cosine(np.full((1, 2), np.nan), np.ones((1, 2))) == 0
    assert cosine(np.zeros((1, 2)), np.zeros((1, 2))) == 1


def test_one_lost_text_is_a_lost_export(expected):
    found = expected.copy()
    found[3] = expected[4]
    lost = compare("onnx", "onnx/model.onnx", expected, found)
    assert lost.mean > 0.95 and not lost.passed
    with pytest.raises(UserError, match=r"onnx/model.onnx gives a cosine of .* where 0.999 is asked for"):
        refuse_lost([compare("a", "a", expected, expected), lost])


def test_lost_normalisation_is_a_lost_export(expected):
    with pytest.raises(UserError, match="vectors 5 times as long as the trained model's"):
        refuse_lost([compare("gguf", "m.gguf", expected, 5 * expected)])


def test_what_is_quantised_is_only_stated(expected):
    check = compare("gguf-q8_0", "m.gguf", expected, expected[::-1], required=None)
    refuse_lost([check])
    assert "stated only" in table([check])


def test_other_dimensions_are_another_model(expected):
    with pytest.raises(UserError, match="gives embeddings of 4 numbers, the trained model 8"):
        compare("onnx", "m.onnx", expected, expected[:, :4])


def test_all_is_stored(expected, tmp_path):
    check = compare("onnx", "onnx/model.onnx", expected, expected)
    write_checks(tmp_path / "export.json", [check], {"faq": {"int8": 0.5}}, {"tdro": "1"})
    stored = json.loads((tmp_path / "export.json").read_text())
    assert stored["formats"]["onnx"]["passed"] is True
    assert stored["formats"]["onnx"]["lowest"] == pytest.approx(1)
    assert stored["formats"]["onnx"]["texts"] == 64
    assert stored["embeddings"] == {"faq": {"int8": 0.5}} and stored["versions"] == {"tdro": "1"}

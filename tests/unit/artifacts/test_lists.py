"""Lists against Python's."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tdro.artifacts import lists
from tdro.artifacts.lists import Lists

pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=40)


@pytest.fixture(params=[1, 4, 1 << 20])
def block(request, monkeypatch):
    monkeypatch.setattr(lists, "_BLOCK", request.param)


def python(found):
    return [found[row].tolist() for row in range(len(found))]


def grouped(some):
    return [list(dict.fromkeys(value for owner, value in some if owner == row)) for row in range(7)]


def of_pairs(some):
    owners, values = np.array(some, dtype=np.int32).reshape(-1, 2).T
    return Lists.from_pairs(owners, values, 7)


@pytest.mark.usefixtures("block")
@settings(suppress_health_check=["function_scoped_fixture"])
@given(pairs, pairs, st.lists(st.booleans(), min_size=6, max_size=6), st.lists(st.integers(0, 6), max_size=9))
def test_lists_are_those_of_python(some, others, marked, rows):
    found, expected = of_pairs(some), grouped(some)
    assert python(found) == expected == python(Lists.from_arrow(pa.array(expected, pa.list_(pa.int32()))))
    assert found.lengths.tolist() == list(map(len, expected))
    assert found.count(np.array(marked)).tolist() == [sum(marked[value] for value in values) for values in expected]
    assert python(found.take(np.array(rows, dtype=np.int64))) == [expected[row] for row in rows]
    assert found.arrow().to_pylist() == expected
    without = [[v for v in values if v not in other] for values, other in zip(expected, grouped(others), strict=True)]
    assert python(found.where(found.missing(of_pairs(others)))) == without

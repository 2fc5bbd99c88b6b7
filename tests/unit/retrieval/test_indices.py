"""faiss indices: which of equal scores an exact search keeps."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from tdro.config.mining import Search
from tdro.retrieval.indices import BlockIndex


@given(st.integers(0, 2**32 - 1), st.integers(1, 80), st.integers(1, 25), st.integers(1, 30))
def test_an_exact_search_keeps_the_first_of_equal_scores(seed, passages, depth, queries):
    rng = np.random.default_rng(seed)
    block = rng.integers(0, 3, (passages, 2)).astype(np.float32)
    asked = rng.integers(0, 3, (queries, 2)).astype(np.float32)
    index = BlockIndex(Search(), 2)
    index.hold(block)
    scores, rows = index.search(asked, depth)
    expected = asked @ block.T
    best = np.argsort(-expected, axis=1, kind="stable")[:, :depth]
    assert rows.tolist() == best.tolist()
    assert scores.tolist() == np.take_along_axis(expected, best, axis=1).tolist()

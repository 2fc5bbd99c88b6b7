import re

import pytest
from finished import Finished, content


def test_weights_and_passes(tree, built):
    line = re.search(r"medical 3,000 0\.250 · 0\.53 (\S+) · (\S+) 0 ", built.text)
    assert float(line[1]) == pytest.approx(tree.last["medical"], abs=0.0005)
    assert float(line[2]) == pytest.approx(tree.last["medical"] * 6400 / 3000, rel=0.05)


def test_unknown_training_rows_hide_passes(tmp_path):
    assert "passes" not in Finished(tmp_path, content(training_rows=None)).report().text

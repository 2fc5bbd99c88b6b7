"""A results folder of each test's own."""

import pytest

from tdro.artifacts.layout import Layout


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "results")

"""One folder of results with every artifact, for all tests that only read it."""

import pytest
from everyartifact import write_all


@pytest.fixture(scope="session")
def layout(tmp_path_factory):
    return write_all(tmp_path_factory.mktemp("every"))

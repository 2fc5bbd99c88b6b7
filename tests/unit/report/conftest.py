"""One finished project and its report, for all tests that only read them."""

import pytest
from finished import Finished


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    return Finished(tmp_path_factory.mktemp("report"), shift={"curr": 0.1, "top50": -0.1})


@pytest.fixture(scope="session")
def built(tree):
    return tree.report()

"""Every test here is of the tier `cluster`."""

from pathlib import Path

import pytest
from slurmproject import RUN, Project, make_project


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def whole(tiny_base, tmp_path_factory) -> Project:
    """A project in which the whole workflow has run on SLURM, undisturbed."""
    project = make_project(tmp_path_factory.mktemp("whole"), tiny_base)
    project.run()
    return project


@pytest.fixture
def learning(whole, tmp_path) -> Project:
    """The same project, where the weights are still to be learnt."""
    project = whole.copy(tmp_path / "project")
    for file in ("weights/curr.json", "tdro/trajectory.parquet"):
        (project.folder / RUN / file).unlink()
    return project

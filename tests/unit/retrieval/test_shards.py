"""Who makes which shard: processes claim them, one by one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ours import turn

from tdro.errors import UserError
from tdro.retrieval import shards
from tdro.retrieval.shards import Embeddings, Workspace

IDENTITY = {"texts": "a"}
ROWS = np.ones((1, 2), dtype=np.float32)


def of_one_run(monkeypatch, folder, number, run="run"):
    """What so many processes hold of one folder: they have agreed on the run."""
    monkeypatch.setattr(shards, "agreed", lambda value: run)
    workspaces = [Workspace(folder, IDENTITY) for _ in range(number)]
    for workspace in workspaces:
        workspace.open()
    return workspaces


@given(turns=st.lists(st.integers(0, 2), max_size=40), shards=st.integers(0, 8), there=st.sets(st.integers(0, 7)))
def test_every_missing_shard_is_made_once_whoever_is_fast(tmp_path_factory, turns, shards, there):
    with pytest.MonkeyPatch.context() as patch:
        workspaces = of_one_run(patch, tmp_path_factory.mktemp("claims") / "work", 3)
    for number in there:
        workspaces[0].write(number, ROWS, {})
    made, places = [], [iter(range(shards)) for _ in workspaces]
    # A process per turn looks at its next number; in the end all look at those that are left to them.
    for process in [*turns, *(p for p in range(3) for _ in range(shards))]:
        number = next(places[process], None)
        if number is not None and workspaces[process].claim(number):
            workspaces[process].write(number, ROWS, {})
            made.append(number)
    assert sorted(made) == [number for number in range(shards) if number not in there]


def test_processes_that_claim_at_the_same_time_get_different_shards(tmp_path, monkeypatch):
    workspaces = of_one_run(monkeypatch, tmp_path / "work", 8)
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda workspace: [n for n in range(200) if workspace.claim(n)], workspaces)
    assert sorted(number for own in found for number in own) == list(range(200))


def test_a_process_that_is_late_leaves_the_shards_to_the_others(tmp_path, monkeypatch):
    fast, slow = of_one_run(monkeypatch, tmp_path / "work", 2)
    assert slow.claim(0)
    assert [number for number in range(8) if fast.claim(number)] == list(range(1, 8))


def test_claims_of_a_killed_run_block_nothing(tmp_path):
    killed = Workspace(tmp_path / "work", IDENTITY)
    killed.open()
    assert killed.claim(0)
    killed.write(0, ROWS, {})
    assert killed.claim(1)
    again = Workspace(tmp_path / "work", IDENTITY)
    again.open()
    assert again.missing(3) == [1, 2]
    assert [number for number in range(3) if again.claim(number)] == [1, 2]


def two_shards(folder):
    """A workspace with two shards of three rows, of which the second has one."""
    work = Workspace(folder, IDENTITY)
    work.open()
    for number, rows in enumerate((np.eye(3, 4), np.ones((1, 4)))):
        work.write(number, rows, {"tokens": 5})
    return work


@pytest.mark.parametrize("byte", [3, 60, -1])
def test_a_damaged_shard_of_a_killed_run_is_made_again(tmp_path, byte, caplog):
    two_shards(tmp_path / "work")
    turn(tmp_path / "work/00001.npy", byte)
    again = Workspace(tmp_path / "work", IDENTITY)
    again.open()
    assert again.missing(2) == [1] and "00001.npy is damaged; it is made again" in caplog.text
    again.write(1, np.ones((1, 4)), {"tokens": 5})
    assert again.publish(tmp_path / "out", 2, 4, 3)["tokens"] == 10


def test_a_shard_that_is_damaged_while_the_run_goes_on_is_refused(tmp_path):
    work = two_shards(tmp_path / "work")
    turn(tmp_path / "work/00000.npy")
    with pytest.raises(UserError, match=r"00000\.npy is damaged"):
        work.read(0)
    assert work.read(1).tolist() == [[1, 1, 1, 1]]


@pytest.mark.parametrize("read", [lambda e: e.slice(0, 4), lambda e: e.take(np.array([0])), lambda e: e.slice(2, 3)])
def test_embeddings_are_verified_as_they_are_read(tmp_path, read):
    folder = tmp_path / "results/data/faq/embeddings/corpus"
    two_shards(tmp_path / "work").publish(folder, 2, 4, 3)
    assert read(Embeddings(folder)).shape[1] == 4
    turn(folder / "00000.npy")
    said = rf"00000\.npy is damaged: .* Delete the folder {folder.parent} and .* \(rule `encode`\)"
    with pytest.raises(UserError, match=said):
        read(Embeddings(folder))
    assert Embeddings(folder).slice(3, 4).tolist() == [[1, 1, 1, 1]]
    turn(folder / "manifest.json", 40)
    with pytest.raises(UserError, match=rf"manifest\.json .* Delete the folder {folder.parent}"):
        Embeddings(folder)

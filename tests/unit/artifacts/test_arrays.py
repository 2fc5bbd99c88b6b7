"""Arrays of numbers are mapped, and whatever else a .npy file may hold is refused."""

import numpy as np
import pytest

from tdro.artifacts.arrays import open_array, write_array
from tdro.errors import UserError


class Touches:
    """What unpickling would run."""

    def __reduce__(self):
        return open, ("touched", "w")


def test_an_array_is_mapped(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(2, 3))
    array = open_array(tmp_path / "a.npy")
    assert isinstance(array, np.memmap)
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("array", [np.arange(6, dtype=np.float16).reshape(2, 3).T, np.zeros((0, 4)), np.array(7)])
def test_a_written_array_is_as_numpy_writes_it(tmp_path, array):
    write_array(tmp_path / "a.npy", array)
    np.save(tmp_path / "b.npy", np.ascontiguousarray(array))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_records_of_numbers_are_mapped(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3, [("row", np.int32), ("scores", np.float32, (2,))]))
    assert open_array(tmp_path / "a.npy")["scores"].shape == (3, 2)


def test_objects_are_refused_and_nothing_of_them_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "a.npy", np.array([Touches()], object), allow_pickle=True)
    with pytest.raises(UserError, match=r"a\.npy is no whole array of numbers"):
        open_array(tmp_path / "a.npy")
    assert not (tmp_path / "touched").exists()


def test_a_shape_that_no_machine_holds_is_named(tmp_path):
    shape = f"({9 * 10**18}, {9 * 10**18})"
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(UserError, match=r"a\.npy is no whole array of numbers"):
        open_array(tmp_path / "a.npy")


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00\x04\x00({['", b"PK\x03\x04"])
def test_what_is_no_array_is_named(content, tmp_path):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.npy is no whole array of numbers .*make it again\.$"):
        open_array(tmp_path / "a.npy")


def test_texts_and_several_arrays_are_no_numbers(tmp_path):
    np.save(tmp_path / "text.npy", np.array(["a"]))
    np.savez(tmp_path / "several.npz", a=np.zeros(1))
    for name in ("text.npy", "several.npz"):
        with pytest.raises(UserError, match="array of numbers"):
            open_array(tmp_path / name)

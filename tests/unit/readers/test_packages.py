"""Archives of pip packages, without pip's network: the cache and local archives stand in for it."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from reading import written, zipped

from tdro.errors import UserError
from tdro.readers.packages import fetch

FILES = {"pkg/data/b.txt": b"second", "pkg/data/deep/c.txt": b"third", "pkg/a.txt": b"first"}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TDRO_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "packages"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def pip(monkeypatch):
    """Answer for pip: ``pip.serve`` is the archive it 'downloads'; calls are counted."""

    class Pip:
        serve, stderr, calls = None, "", 0

        def run(self, command, **_):
            self.calls += 1
            folder = Path(command[command.index("-d") + 1])
            if self.serve:
                folder.mkdir()
                (folder / self.serve.name).write_bytes(self.serve.read_bytes())
            return subprocess.CompletedProcess(command, 0 if self.serve else 1, "", self.stderr)

    pip = Pip()
    monkeypatch.setattr("tdro.readers.packages.subprocess.run", pip.run)
    return pip


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_fetch_takes_the_cached_archive_by_normalised_name(cache, pip):
    path = written(cache / "my_pkg_a-1.0-py3-none-any.whl", zipped(FILES))
    assert fetch("My-pkg.a==1.0", sha256(path)) == path
    assert pip.calls == 0


def test_fetch_does_not_take_a_neighbour(cache, pip):
    for name in ("pkg-1.0.1-py3-none-any.whl", "pkg-extra-1.0.tar.gz"):
        written(cache / name, zipped(FILES))
    with pytest.raises(UserError):
        fetch("pkg==1.0")


def test_fetch_replaces_a_cached_archive_of_another_hash(cache, pip, tmp_path):
    (cache / "pkg-1.0-py3-none-any.whl").write_bytes(b"half an archi")
    pip.serve = written(tmp_path / "pkg-1.0-py3-none-any.whl", zipped(FILES))
    path = fetch("pkg==1.0", sha256(pip.serve))
    assert path.read_bytes() == pip.serve.read_bytes()
    assert [p.name for p in cache.iterdir()] == ["pkg-1.0-py3-none-any.whl"]


def test_fetch_names_both_hashes_when_they_differ(cache, pip, tmp_path):
    pip.serve = written(tmp_path / "pkg-1.0-py3-none-any.whl", zipped(FILES))
    with pytest.raises(UserError) as error:
        fetch("pkg==1.0", "0" * 64)
    for part in ("pkg==1.0", "0" * 64, sha256(pip.serve), str(cache)):
        assert part in str(error.value)
    assert list(cache.iterdir()) == []


def test_fetch_reports_the_hash_that_pip_refused(cache, pip):
    pip.stderr = f"ERROR: hashes differ\n   Expected sha256 {'0' * 64}\n   Got        {'a' * 64}\n"
    with pytest.raises(UserError, match=f"has sha256 {'a' * 64}, expected {'0' * 64}"):
        fetch("pkg==1.0", "0" * 64)


def test_fetch_without_network_says_where_to_put_the_archive(cache, pip):
    pip.stderr = "WARNING: retrying\nERROR: No matching distribution found for pkg==1.0\n"
    with pytest.raises(UserError) as error:
        fetch("pkg==1.0", "0" * 64)
    for part in ("pkg==1.0", "0" * 64, "No matching distribution", str(cache)):
        assert part in str(error.value)

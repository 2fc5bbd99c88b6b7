"""Zip and tar archives; those that were made to harm are in tests/unit/test_hostile.py."""

import tarfile

import pytest
from reading import tarred, written, zipped

from tdro.artifacts.sums import CHECKSUMS, damage
from tdro.errors import UserError
from tdro.readers.archives import Archive

FILES = {"pkg/data/b.txt": b"second", "pkg/data/deep/c.txt": b"third", "pkg/a.txt": b"first"}
PACKED = {"pkg-1.0-py3-none-any.whl": zipped, "pkg-1.0.tar.gz": tarred}


@pytest.fixture(params=PACKED)
def archive(request, tmp_path):
    return Archive(written(tmp_path / request.param, PACKED[request.param](FILES)))


def test_archive_lists_and_reads_its_files(archive):
    assert archive.names() == sorted(FILES)
    assert {name: archive.read(name) for name in archive.names()} == FILES


def test_archive_names_package_and_member_when_missing(archive):
    with pytest.raises(UserError, match=rf"{archive.path.name} has no member 'pkg/none'"):
        archive.read("pkg/none")


def test_extract_folder_and_file(archive, tmp_path):
    archive.extract("pkg/data", tmp_path / "out")
    found = {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert damage(tmp_path / "out") is None and found.pop(CHECKSUMS)
    assert found == {"b.txt": b"second", "deep/c.txt": b"third"}
    archive.extract("pkg/a.txt", tmp_path / "single")
    assert {p.name for p in (tmp_path / "single").iterdir()} == {"a.txt", CHECKSUMS}


def test_extract_leaves_an_existing_folder_alone(archive, tmp_path):
    (tmp_path / "out").mkdir()
    archive.extract("pkg/data", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("member", ["pkg/../../evil.txt", "pkg//etc/passwd", "pkg/C:\\evil.txt"])
def test_extract_refuses_paths_that_leave_the_folder(name, member, tmp_path):
    archive = Archive(written(tmp_path / name, PACKED[name]({"pkg/good.txt": b"", member: b"evil"})))
    with pytest.raises(UserError, match="unsafe path"):
        archive.extract("pkg", tmp_path / "below" / "out")
    assert not (tmp_path / "below" / "out").exists()
    assert not list(tmp_path.rglob("evil.txt"))


def test_links_of_a_tar_are_not_members(tmp_path):
    packed = tarred({}, [("pkg/link", tarfile.SYMTYPE, "/etc/passwd")])
    assert Archive(written(tmp_path / "links.tar.gz", packed)).names() == []


def test_broken_archive_is_named(tmp_path):
    (tmp_path / "x.whl").write_bytes(b"no zip")
    with pytest.raises(UserError, match=r"x\.whl is not a readable archive"):
        Archive(tmp_path / "x.whl")

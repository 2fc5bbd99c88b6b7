import os
import tarfile

from tdro.artifacts.packed import of_nobody, packing


def packed_of(folder, archive):
    with packing(archive, 6) as packed:
        packed.add(folder, arcname="model", filter=of_nobody)
    return archive.read_bytes()


def test_equal_content_gives_equal_bytes_whoever_packs_it_and_when(tmp_path):
    content = {"config.json": "{}", "1_Pooling/config.json": "[]"}
    packed = []
    for time, (name, mode) in enumerate({"mine": 0o600, "theirs": 0o664}.items()):
        for path, text in content.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(mode)
            os.utime(file, (1e9 + time, 1e9 + time))
        packed.append(packed_of(tmp_path / name, tmp_path / f"{name}.tar.gz"))
    assert packed[0] == packed[1]
    with tarfile.open(tmp_path / "mine.tar.gz") as archive:
        assert {member.name for member in archive if member.isfile()} == {f"model/{path}" for path in content}
        assert {(member.mtime, member.uname, member.mode) for member in archive if member.isfile()} == {(0, "", 0o644)}

import zlib

import pytest

from tdro.artifacts.sums import CHECKSUMS, check_cached, crc, damage, write_sums
from tdro.errors import UserError

FILES = {"config.json": b"{}", "2_Dense/model.safetensors": b"weights" * 1000, "empty": b"", "README.md": b"# A card"}


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        (tmp_path / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / name).write_bytes(content)
    write_sums(tmp_path / "model")
    return tmp_path / "model"


def test_a_whole_folder_passes(folder):
    assert damage(folder) is None
    assert crc(folder / "2_Dense/model.safetensors") == f"{zlib.crc32(b'weights' * 1000):08x}"
    before = (folder / CHECKSUMS).read_bytes()
    write_sums(folder)
    assert (folder / CHECKSUMS).read_bytes() == before


HARM = {
    "a bit": (
        lambda f: (f / "2_Dense/model.safetensors").write_bytes(b"veights" * 1000),
        "model.safetensors is damaged",
    ),
    "cut off": (lambda f: (f / "2_Dense/model.safetensors").write_bytes(b"weights"), "model.safetensors is damaged"),
    "grown": (lambda f: (f / "empty").write_bytes(b"a"), "empty is damaged"),
    "gone": (lambda f: (f / "config.json").unlink(), "config.json is not there"),
    "the list itself": (
        lambda f: (f / CHECKSUMS).write_text((f / CHECKSUMS).read_text().replace("7000", "7001")),
        "damaged",
    ),
    "no list": (lambda f: (f / CHECKSUMS).unlink(), "checksums.json cannot be read"),
    "a list of something else": (lambda f: (f / CHECKSUMS).write_text("{}"), "checksums.json has no checksum"),
}


@pytest.mark.parametrize(("harm", "said"), HARM.values(), ids=HARM)
def test_a_folder_that_is_not_what_was_written_is_told(folder, harm, said):
    harm(folder)
    assert said in damage(folder)


def test_cards_may_be_edited_and_files_added(folder):
    (folder / "README.md").write_text("# Another")
    (folder / ".snakemake_timestamp").touch()
    assert damage(folder) is None


def test_a_damaged_folder_of_the_cache_is_named(folder):
    check_cached(folder)
    (folder / "empty").write_text("no more")
    with pytest.raises(UserError, match=rf"empty is damaged.*delete the folder {folder}, which is then made again"):
        check_cached(folder)
    (folder / CHECKSUMS).unlink()
    check_cached(folder)  # as an older version left it

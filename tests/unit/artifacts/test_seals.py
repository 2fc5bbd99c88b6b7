import json
import re

import pytest

from tdro import __version__
from tdro.artifacts.files import read_given_json, read_json, read_note, write_json
from tdro.artifacts.seals import FORMAT
from tdro.errors import UserError

CONTENT = {"kept": ["a", "ü"], "scores": {"a": 0.1, "b": -1e-300}, "none": None, "number": 7, "yes": True}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "results/m/seed1/experts/prune.json"
    write_json(path, CONTENT)
    return path


def test_an_object_comes_back_and_says_who_wrote_it(file):
    assert read_json(file) == CONTENT and list(read_json(file)) == list(CONTENT)
    written = json.loads(file.read_text())["written"]
    assert written.pop("crc32") and written == {"format": FORMAT, "tdro": __version__}
    before = file.read_bytes()
    write_json(file, CONTENT)
    assert file.read_bytes() == before


def test_every_bit_counts(file, tmp_path):
    """A file of which one bit has turned is refused, or says the same: of a blank, for example."""
    whole, other = file.read_bytes(), tmp_path / "other.json"
    refused = 0
    for bit in range(8 * len(whole)):
        turned = bytearray(whole)
        turned[bit // 8] ^= 1 << bit % 8
        other.write_bytes(turned)
        try:
            assert read_json(other) == CONTENT
        except UserError as error:
            assert str(other) in str(error) and "Delete the file" in str(error)
            refused += 1
    assert refused > 7 * len(whole)


@pytest.mark.parametrize("kept", [0, 1, 40, -2])
def test_a_file_that_was_cut_off_is_refused(file, kept):
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"prune\.json .*Delete the file .*\(rule `prune`\)\.$"):
        read_json(file)


STRANGE = {
    "no seal": ({"a": 1}, "has no checksum: another program or an older tDRO wrote it"),
    "a list": ([1], "has no checksum"),
    "a text": ("a", "has no checksum"),
    "a seal that is none": ({"a": 1, "written": 3}, "is damaged"),
    "half of one": ({"a": 1, "written": {"format": FORMAT, "tdro": "0.1.0"}}, "is damaged"),
    "another content": ({"a": 1, "written": {"format": FORMAT, "tdro": "0.1.0", "crc32": "00000000"}}, "is damaged"),
    "an older one": ({"written": {"format": 1, "tdro": "0.0.9", "crc32": "0"}}, "by an older tDRO (0.0.9)"),
    "a newer one": ({"written": {"format": 99, "tdro": "9.0", "crc32": "0"}}, "by tDRO 9.0, which is newer"),
}


@pytest.mark.parametrize(("content", "said"), STRANGE.values(), ids=STRANGE)
def test_a_stranger_is_refused_with_the_rule_to_run_again(file, content, said):
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"{re.escape(said)}.*rule `prune`"):
        read_json(file)
    assert read_note(file) == {}


def test_what_a_person_writes_needs_no_seal_and_what_has_one_is_verified(file):
    assert read_given_json(file) == CONTENT
    file.write_text(file.read_text().replace("0.1,", "0.2,"))
    with pytest.raises(UserError, match=r"is damaged.*If you have edited it, take its key `written` away"):
        read_given_json(file)
    content = json.loads(file.read_text())
    del content["written"]
    file.write_text(json.dumps(content))
    assert read_given_json(file)["scores"]["a"] == 0.2


def test_a_note_that_is_not_there_is_empty(tmp_path):
    assert read_note(tmp_path / "identity.json") == {}

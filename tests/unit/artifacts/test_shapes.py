"""Content of another shape than expected is a sentence that names the file; errors of ours pass."""

import pytest

from tdro.artifacts.foreign import read_foreign
from tdro.artifacts.shapes import expecting
from tdro.errors import UserError


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: {}["tasks"], "it lacks 'tasks'"),
        (lambda: [].append(1, 2), "TypeError: "),
        (lambda: 1 / 0, "ZeroDivisionError: "),
        (lambda: float("x" * 999), "could not convert"),
    ],
)
def test_an_error_of_python_is_a_sentence(wrong, said):
    with pytest.raises(UserError) as caught, expecting("a.json", "law", "make it anew"):
        wrong()
    assert str(caught.value).startswith(f"a.json is no whole law ({said}")
    assert str(caught.value).endswith("); make it anew.")
    assert len(str(caught.value)) < 250


def test_a_sentence_and_a_bug_of_another_kind_pass():
    for error in (UserError("ours"), AssertionError("a bug")):
        with pytest.raises(type(error)) as caught, expecting("a.json", "law"):
            raise error
        assert caught.value is error


def test_json_of_others_is_an_object_or_a_list_and_empty_where_there_is_none(tmp_path):
    assert read_foreign(tmp_path / "none.json") == {} and read_foreign(tmp_path / "none.json", list) == []
    for content, said in (("{", "no JSON"), ("[1]", "expected a JSON object"), ("[" * 5000, "no JSON")):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(UserError, match=f"a.json cannot be read: .*{said}"):
            read_foreign(tmp_path / "a.json")
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert read_foreign(tmp_path / "a.json") == {"a": 1}

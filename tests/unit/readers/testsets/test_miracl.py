import pytest
from benchmarkfiles import miracl, read
from reading import written

from tdro.errors import UserError


@pytest.mark.parametrize("flat", [False, True])
def test_miracl(tmp_path, flat):
    folder = tmp_path / "sw" if flat else tmp_path
    documents, queries = read("miracl", miracl(folder, flat=flat), "sw")
    assert [d.passage_id for d in documents] == ["100#0", "101#0", "100#1", "9#2", "last"]
    assert documents[3] == ("tisa", "Tisa", "9#2")
    assert [(q.query_id, q.text, q.grades) for q in queries] == [
        ("0#0", "Je, sw?", {"100#0": 1}),
        ("12#1", "Nani?", {"9#2": 1}),
    ]


def test_an_empty_part_of_miracl_is_told_and_passed_over(tmp_path, caplog):
    miracl(tmp_path)
    for name in ("docs-1.jsonl.gz", "docs-3.jsonl"):
        written(tmp_path / f"miracl-corpus-v1.0-sw/{name}", "")
    assert len(read("miracl", tmp_path, "sw")[0]) == 5
    assert "2 of 5 files hold no rows" in caplog.text
    for file in tmp_path.rglob("docs-*"):
        written(file, "")
    with pytest.raises(UserError, match="holds no rows"):
        read("miracl", tmp_path, "sw")


def test_miracl_languages_side_by_side(tmp_path):
    for language in ("sw", "yo"):
        miracl(tmp_path, language)
    documents, queries = read("miracl", tmp_path, "yo")
    assert documents[0].text == "yo 100" and len(documents) == 5 and queries[0].text == "Je, yo?"
    with pytest.raises(UserError, match=r"several files for one part.*parts"):
        read("miracl", tmp_path)
    with pytest.raises(UserError, match="no file of 'te'"):
        read("miracl", tmp_path, "te")

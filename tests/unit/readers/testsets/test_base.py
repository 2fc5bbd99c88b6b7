import pytest
from benchmarkfiles import beir

from tdro.config.registry import Source
from tdro.errors import UserError
from tdro.readers.testsets.base import open_testset


@pytest.mark.parametrize(
    ("source", "part", "complaint"),
    [
        ({"reader": "beir"}, None, "needs the key `path`"),
        ({"reader": "beir", "path": "data/{part}"}, None, "lists no `parts`"),
        ({"reader": "beir", "path": "data"}, "a", "need a {part} in the path"),
    ],
)
def test_wrong_sources_are_named(source, part, complaint):
    with pytest.raises(UserError, match=complaint.replace("{", r"\{")):
        open_testset(Source(**source), part)


def test_markup_of_a_benchmark_is_taken_away(tmp_path):
    folder = beir(tmp_path)
    corpus = folder / "corpus.jsonl"
    corpus.write_text(corpus.read_text().replace("Lower  cholesterol.", "<p>Lower</p> cholesterol."))
    testset = open_testset(Source(reader="beir", path=str(folder), clean="html"))
    assert next(iter(testset.documents())).text == "Lower\ncholesterol."
    assert [query.text for query in testset.queries()] == ["Do statins help?"] * 2
    assert testset.query_files() and testset.corpus_files()

from benchmarkfiles import beir, miracl, prepared

from tdro.artifacts.files import read_counts
from tdro.config.data import Data


def test_preparation_in_blocks_is_the_same(tmp_path, monkeypatch):
    from tdro.data import prepare_corpus

    whole = prepared(tmp_path, "miracl", miracl(tmp_path / "miracl"))
    monkeypatch.setattr(prepare_corpus, "_BLOCK", 2)
    assert prepared(tmp_path, "miracl", tmp_path / "miracl") == whole
    assert whole[1]["positives"] == [[0], [3]]


def test_limits_of_queries_and_of_words(tmp_path):
    folder = beir(tmp_path / "beir")
    corpus, queries = prepared(tmp_path, "beir", folder, data=Data(max_words=1), limit=1)
    assert corpus["text"][0] == "Lower" and len(queries["query_id"]) == 1
    assert read_counts(tmp_path / "out/corpus.parquet") == {"passages": 3, "passage cut": 3}
    assert prepared(tmp_path, "beir", folder, data=Data(max_words=1), limit=1)[1] == queries

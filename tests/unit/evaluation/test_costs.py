"""What evaluations and searches record of their time and tokens."""

import json

import pytest
from testsets import ENCODING, planted, random_dataset, searched

from tdro.artifacts.files import write_json
from tdro.data import corpora
from tdro.evaluation import costs, search_corpus
from tdro.evaluation.energy import Joules
from tdro.evaluation.evaluate import evaluate


@pytest.fixture(autouse=True)
def counters(monkeypatch):
    """Processors that use 10 J from one look to the next."""

    class Energy:
        def __init__(self, gpus=()):
            self.looks = 0

        def read(self):
            self.looks += 1
            return Joules(None, 10.0 * self.looks)

    monkeypatch.setattr(costs, "Energy", Energy)


def test_an_evaluation_says_what_it_took_beside_its_scores(tmp_path):
    model, dataset = planted(tmp_path)  # a text is a token
    tests = {"one": {"one": dataset}, "two@sample": {"two": dataset, "three": dataset}}
    evaluate(model, tests, ENCODING, tmp_path / "out", costs=tmp_path / "costs")
    one, two = (json.loads((tmp_path / f"costs/{name}.json").read_text()) for name in tests)
    assert (one["tests"], one["queries"], one["passages"], one["tokens"]) == (["one"], 20, 30, 50)
    assert (two["tests"], two["queries"], two["passages"], two["tokens"]) == (["two", "three"], 40, 60, 100)
    assert 0 < one["seconds"] < 60
    assert (one["device"], one["gpus"], one["gpu_joules"], one["cpu_joules"]) == ("CPU", 0, None, 10.0)
    evaluate(model, tests, ENCODING, tmp_path / "again")
    for name in tests:
        assert (tmp_path / f"again/{name}.json").read_bytes() == (tmp_path / f"out/{name}.json").read_bytes()


def test_bm25_reads_no_token_and_what_was_found_ahead_is_not_read_again(tmp_path):
    model, dataset = planted(tmp_path)
    evaluate("bm25", {"d": {"d": dataset}}, ENCODING, tmp_path / "out", costs=tmp_path / "bm25")
    found = searched(tmp_path, model, {"d": dataset})
    evaluate(model, {"d": found}, ENCODING, tmp_path / "out", costs=tmp_path / "scored")
    bm25, scored = (json.loads((tmp_path / f"{name}/d.json").read_text()) for name in ("bm25", "scored"))
    assert (bm25["queries"], bm25["passages"], bm25["tokens"], bm25["device"]) == (20, 30, None, "CPU")
    assert (scored["queries"], scored["passages"], scored["tokens"]) == (0, 0, None)


@pytest.mark.parametrize("killed", [False, True])
def test_parts_of_a_search_add_up_to_the_whole_also_behind_a_kill(tmp_path, monkeypatch, killed):
    monkeypatch.setattr(corpora, "BLOCK", 5)
    model, dataset, *_ = random_dataset(tmp_path)  # 150 passages, 40 queries, a token each
    folder = tmp_path / "costs"
    write_json(folder / "1of3.json", {})  # of another number of parts
    if killed:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(search_corpus, "write_rankings", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            searched(tmp_path, model, {"d": dataset}, parts=2)
    searched(tmp_path, model, {"d": dataset}, parts=2, costs=folder)
    records = [json.loads((folder / f"{n}of2.json").read_text()) for n in (1, 2)]
    assert sorted(file.name for file in folder.iterdir()) == ["1of2.json", "2of2.json"]
    assert sum(record["passages"] for record in records) == 150
    assert [record["queries"] for record in records] == [40, 40]
    assert sum(record["tokens"] for record in records) == 150 + 2 * 40
    assert all(record["seconds"] > 0 and record["tests"] == ["d"] for record in records)
    # The first part was begun by the killed run, whose energy nobody knows.
    assert [record["cpu_joules"] for record in records] == [None if killed else 10.0, 10.0]

import pytest
from benchmarkfiles import read

from tdro.errors import UserError


def test_a_task_of_mteb(monkeypatch):
    """What mteb loads, without the hub: its task's own data in its own form."""
    import mteb
    from datasets import Dataset

    task = mteb.get_task("SciFact")
    data = {
        "corpus": Dataset.from_list([{"id": "d1", "title": "T", "text": "a"}, {"id": "d2", "title": "", "text": "b"}]),
        "queries": Dataset.from_list([{"id": "q1", "text": "x"}, {"id": "q2", "text": "y"}]),
        "relevant_docs": {"q1": {"d2": 2, "d1": 0}},
        "top_ranked": None,
    }
    task.dataset, task.data_loaded = {"default": {"test": data}}, True
    monkeypatch.setattr(mteb, "get_task", lambda name, hf_subsets=None: {"SciFact": task}[name])
    documents, queries = read("mteb", "SciFact")
    assert documents == [("a", "T", "d1"), ("b", "", "d2")]
    assert [(q.query_id, q.text, q.grades) for q in queries] == [("q1", "x", {"d2": 2})]
    with pytest.raises(UserError, match="no task 'Nope'"):
        read("mteb", "Nope")


def test_a_task_of_mteb_with_numbers_is_read_and_with_lists_named(monkeypatch):
    import mteb

    task = mteb.get_task("SciFact")
    data = {
        "corpus": [{"id": 1, "title": None, "text": 5}],
        "queries": [{"id": 2, "text": "x"}],
        "relevant_docs": {2: {1: 1.0}, "gone": {1: 1}},
    }
    task.dataset, task.data_loaded = {"default": {"test": data}}, True
    monkeypatch.setattr(mteb, "get_task", lambda name, hf_subsets=None: task)
    documents, queries = read("mteb", "SciFact")
    assert documents == [("5", "", "1")] and [(q.query_id, q.grades) for q in queries] == [("2", {"1": 1})]
    data["corpus"].append({"id": 3, "title": [], "text": "x"})
    with pytest.raises(UserError, match="SciFact, row 1 of corpus has a list under `title`"):
        read("mteb", "SciFact")

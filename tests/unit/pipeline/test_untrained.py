"""Rows that anchor the table."""

from toyjobs import jobs, registry_of

from tdro.config.commands import Miner
from tdro.pipeline.jobs import Jobs


def test_untrained_retrievers_by_name():
    found = jobs(evaluation={"untrained": ["bm25", "miner", "base"]}).untrained
    assert list(found) == ["bm25", "miner", "base-tiny"]
    assert found["bm25"] == "bm25" and isinstance(found["miner"], Miner) and found["base-tiny"].base == "base"


def test_rows_that_anchor_the_table_by_default():
    made = jobs()
    assert list(made.untrained) == ["bm25", "miner", "base-tiny"]
    encode = {"model": "base"}
    assert list(jobs(mining={"encode": encode}).untrained) == ["bm25", "base-tiny"], "the base is the miner"
    other = jobs(mining={"encode": encode | {"prompts": {"query": "q: "}}})
    assert list(other.untrained) == ["bm25", "miner", "base-tiny"], "read in another way"


def test_a_miner_that_nobody_chose_is_no_row_and_is_not_fetched():
    registry = registry_of(jobs())
    provided = {name: task.model_copy(update={"negatives": "provided"}) for name, task in registry.tasks.items()}
    registry = registry.model_copy(update={"tasks": provided})
    assert list(Jobs(jobs().config, registry).untrained) == ["bm25", "base-tiny"]
    assert not any("bge" in job.key for job in Jobs(jobs().config, registry).fetches.values() if job)
    named = jobs(evaluation={"untrained": ["miner"]}).config
    assert list(Jobs(named, registry).untrained) == ["miner"]

import re

import pytest
from trainings import TASKS

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import PLAN
from tdro.config.registry import Prompted
from tdro.training.batches import columns, dataset


def test_texts_carry_the_instruction_on_the_query_and_on_both_sides_of_a_symmetric_task(project):
    texts = project.texts()
    for row in project.rows("mixed", 2):
        query, *passages = [texts[t] for t in texts.of_row(row)]
        prompt = f"Instruct: {TASKS[row['task']].instruction[0]}\nQuery: "
        assert query.startswith(prompt)
        for passage in passages:
            assert passage.startswith(f"{prompt}t " if row["task"] == "twin" else "t ")


def test_each_row_takes_one_of_several_instructions_by_seed(project):
    wordings = ["Find it.", "Look it up.", "Which passage says it?"]
    tasks = {name: Prompted(instruction=wordings, symmetric=task.symmetric) for name, task in TASKS.items()}
    plan = project.rows("mixed", 20)

    def read(seed, tasks=tasks):
        texts = project.texts(tasks, seed)
        return [[texts[text] for text in texts.of_row(row)] for row in plan]

    first, plain = read(3), read(3, TASKS)
    assert first == read(3)
    assert first != read(4)
    seen = set()
    for row, texts, without in zip(plan, first, plain, strict=True):
        prompted = texts if TASKS[row["task"]].symmetric else texts[:1]
        assert texts[len(prompted) :] == without[len(prompted) :]
        found = [re.fullmatch(r"Instruct: (.+)\nQuery: (.*)", text, re.DOTALL).groups() for text in prompted]
        assert all(text.endswith(content) for text, (_, content) in zip(without, found, strict=False))
        assert len({wording for wording, _ in found}) == 1, "one row, one wording"
        seen.add((row["task"], found[0][0]))
    assert seen == {(task, wording) for task in TASKS for wording in wordings}


def test_the_dataset_gives_the_plans_rows_in_order(project):
    plan, texts = read_table(project.plan("mixed", 3), PLAN), project.texts()
    items = dataset(plan, texts)
    assert items[5]["label"] == 5
    for item, row in zip(items, plan.to_pylist(), strict=True):
        assert [item[c] for c in columns(2)] == [texts[t] for t in texts.of_row(row)]


def test_no_row_is_pickled_for_a_name_of_the_dataset(project, monkeypatch):
    plan, texts = read_table(project.plan("mixed", 3), PLAN), project.texts()
    monkeypatch.setattr("datasets.arrow_dataset.generate_fingerprint", lambda dataset: pytest.fail("named by its rows"))
    assert dataset(plan, texts)[0]["label"] == 0

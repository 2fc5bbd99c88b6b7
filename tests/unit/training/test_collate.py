"""What the data loader hands over."""

import math

import pytest
import torch
from trainings import ENCODING

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import PLAN
from tdro.config.models import Model
from tdro.models.bases import load_retriever
from tdro.training import collate
from tdro.training.batches import columns, dataset
from tdro.training.collate import Batch, Collator, rows_of_all


def retriever(base, **lengths):
    return load_retriever(Model(name="tiny", base=str(base)), ENCODING.model_copy(update=lengths))


@pytest.mark.parametrize("limit", [None, 90])
def test_a_batch_holds_each_text_once_at_the_places_of_its_rows(project, limit):
    model = retriever(project.base)
    plan, texts = read_table(project.plan("mixed", 3), PLAN), project.texts()
    found = Collator(model, limit, "cpu")([dataset(plan, texts)[row] for row in range(4, 12)])
    batch = Batch(**{name: found[name] for name in Batch._fields})
    assert found["rows"] == list(range(4, 12))
    assert batch.cached == (limit is not None)
    read = [
        tuple(tokens[mask.bool()].tolist())
        for part in batch.passes
        for tokens, mask in zip(part["input_ids"], part["attention_mask"], strict=True)
    ]
    assert len(read) == len(set(read))
    assert batch.tokens == sum(map(len, read))
    assert batch.computed == sum(math.prod(part["input_ids"].shape) for part in batch.passes)
    for row, places in zip(plan.to_pylist()[4:12], batch.places.T.tolist(), strict=True):
        expected = [tuple(model.tokenizer(texts[text])["input_ids"][:64]) for text in texts.of_row(row)]
        assert [read[place] for place in places] == expected
    assert len(batch.places) == len(columns(2))
    assert int(batch.spare["attention_mask"].sum()) == min(map(len, read))


def test_texts_that_are_cut_are_told_a_column(tiny_base):
    model = retriever(tiny_base, query_length=16, passage_length=24)
    long, short = "x" * 30, "x"
    rows = [
        {"query": long, "positive": short, "negative_1": long, "negative_10": short, "label": 7},
        {"query": short, "positive": long, "negative_1": long, "negative_10": short, "label": 3},
    ]
    found = Collator(model, None, "cpu")(rows)
    assert found["rows"] == [7, 3]
    assert found["cuts"] == [[0], [1], [0, 1], []]


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_the_rows_of_all_processes_follow_from_those_of_one(monkeypatch, rank):
    class Three:
        num_processes, process_index = 3, rank

    monkeypatch.setattr(collate, "processes", lambda: Three)
    step = torch.arange(24, 36).tolist()
    assert list(rows_of_all(step[4 * rank : 4 * rank + 4])) == step

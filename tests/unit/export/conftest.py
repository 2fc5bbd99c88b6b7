"""Retrievers as a training leaves them, for all tests that hand one on."""

import json

import pytest
from tinymodels import bert

from tdro.config.models import Encoding, Model
from tdro.config.prompts import named
from tdro.config.registry import Prompted
from tdro.models.bases import base_prompts, load_retriever

ENCODING = Encoding(query_length=64, passage_length=64, precision="fp32")
TASKS = {"find": Prompted(instruction="Find it."), "twin": Prompted(instruction="Find the same.", symmetric=True)}
CARD = "---\nlibrary_name: sentence-transformers\n---\n\n# Retriever tiny\n\n## How it was trained\n\nWell.\n"


def save(folder, **model):
    model = Model(name="tiny", **model)
    retriever = load_retriever(model, ENCODING)
    prompts = base_prompts(model, retriever)
    retriever.prompts, retriever.default_prompt_name = named(prompts, TASKS)
    retriever.save_pretrained(str(folder), create_model_card=False)
    tasks = {name: task.model_dump() for name, task in TASKS.items()}
    settings = {"model": {"prompts": prompts.model_dump()}, "tasks": tasks}
    (folder / "training_settings.json").write_text(json.dumps(settings))
    (folder / "README.md").write_text(CARD)
    return folder


@pytest.fixture(scope="session")
def decoder(tiny_base, tmp_path_factory):
    """Last-token pooling, EOS, instructions before queries."""
    return save(tmp_path_factory.mktemp("handed") / "decoder", base=str(tiny_base))


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    """A BERT with mean pooling and words before texts."""
    folder = tmp_path_factory.mktemp("handed")
    prompts = {"query": "red ", "passage": "blue "}
    return save(folder / "encoder", base=bert(folder, "BertModel"), prompts=prompts)

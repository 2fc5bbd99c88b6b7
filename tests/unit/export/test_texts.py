"""The texts that exports are compared by."""

import numpy as np

from tdro.export.texts import embed, texts_for
from tdro.models.load import load_trained
from tdro.models.room import length_of, tokens_of


def test_there_are_64_and_each_fits_with_its_prompt(decoder, encoder):
    for folder in (decoder, encoder):
        model = load_trained(folder)
        texts, count = texts_for(model), tokens_of(model)
        assert len(texts) == 64 and all(text.text for text in texts)
        assert all(count(text.prompt + text.text) <= length_of(model, text.kind) for text in texts)


def test_queries_take_all_prompts_and_passages_their_own(encoder):
    model = load_trained(encoder)
    found = {(text.kind, text.prompt_name, text.prompt) for text in texts_for(model)}
    assert {("query", "query", "red "), ("query", "find", "red "), ("document", "document", "blue ")} <= found
    assert {text.prompt_name for text in texts_for(model) if text.kind == "document"} == {"document"}


def test_the_model_puts_its_prompts_before_them(encoder):
    model = load_trained(encoder)
    texts = texts_for(model)
    whole = model.encode([text.prompt + text.text for text in texts], prompt="")
    np.testing.assert_allclose(embed(model, texts), whole, atol=1e-5)

"""What a server lost is found from its embeddings alone: each loss is made here by a server that has it."""

import re

import numpy as np
import pytest
from embeddingserver import serving
from tinymodels import save_words

from tdro.cli.main import main
from tdro.errors import UserError
from tdro.export.losses import Answer, compare_served, report
from tdro.export.server import Server, check
from tdro.export.texts import embed, texts_for
from tdro.models.load import load_trained


def served(folder, embedding, **server):
    """The comparison with a server that embeds so: ``embedding(model, texts)``."""
    model = load_trained(folder)
    with serving(lambda texts: embedding(model, texts), **server) as (url, requests):
        return check(folder, Server(url)), requests


def plainly(model, texts, eos=True):
    """Embeddings of whole texts, nothing put before them."""
    features = [model.preprocess([text]) for text in texts]
    if not eos:
        features = [
            {name: value[:, :-1] if hasattr(value, "shape") else value for name, value in f.items()} for f in features
        ]
    return np.stack([model(f)["sentence_embedding"][0].detach().numpy() for f in features])


def pooled(mode):
    def embedding(model, texts):
        model[1].pooling_mode = mode
        return plainly(model, texts)

    return embedding


def without_prompts(model, texts):
    found = sorted((prompt for prompt in model.prompts.values() if prompt), key=len, reverse=True)
    return plainly(model, [re.sub("|".join(map(re.escape, found)), "", text, count=1) for text in texts])


@pytest.mark.parametrize("kind", ["decoder", "encoder"])
def test_a_server_that_gives_the_models_vectors_passes(kind, request):
    found, requests = served(request.getfixturevalue(kind), plainly)
    assert found.cause is None
    assert found.cosines.min() > 0.99999
    assert "gives the model's embeddings" in report(found)
    assert sum(len(asked["input"]) for asked in requests) == 64
    assert {asked["model"] for asked in requests} == {"served"}
    assert {asked["path"] for asked in requests} == {"/v1/embeddings"}


def test_a_static_embedding_is_compared_as_well(tmp_path):
    folder = save_words(tmp_path / "words", {"red": [1.0, 0.5], "tea": [0.2, 1.0], "OK": [0.7, 0.7]}, query="red ")
    assert served(folder, plainly)[0].cause is None
    assert served(folder, without_prompts)[0].cause.startswith("the prompts")


def test_prompts_are_sent_with_the_texts(decoder):
    _, requests = served(decoder, plainly)
    sent = [text for asked in requests for text in asked["input"]]
    assert sent[1].startswith("Instruct: Find it.\nQuery: ")
    assert sent[2].startswith("Instruct: Find the same.\nQuery: ")
    assert not sent[40].startswith("Instruct")


@pytest.mark.parametrize(
    ("kind", "embedding", "cause"),
    [
        ("decoder", pooled("mean"), "pooling: it takes mean pooling, the model last-token"),
        ("decoder", pooled("cls"), "pooling: it takes first-token pooling, the model last-token"),
        ("encoder", pooled("cls"), "pooling: it takes first-token pooling, the model mean"),
        ("encoder", pooled("lasttoken"), "pooling: it takes last-token pooling, the model mean"),
        ("decoder", without_prompts, "the prompts: it embeds texts without what was sent before them"),
        ("encoder", without_prompts, "the prompts: it embeds texts without what was sent before them"),
        ("decoder", lambda model, texts: plainly(model, texts, eos=False), "EOS: it embeds texts without the token"),
        (
            "encoder",
            lambda model, texts: plainly(model, [f"red {text}" for text in texts]),
            "nothing, but it puts the prompt 'red ' before every text",
        ),
        ("decoder", lambda model, texts: 7 * plainly(model, texts), "normalisation: its vectors are 7 long"),
        ("decoder", lambda model, texts: np.random.default_rng(0).normal(size=(len(texts), 32)), "unknown"),
        (
            "encoder",
            lambda model, texts: plainly(model, texts) + np.random.default_rng(0).normal(0, 0.02, (len(texts), 32)),
            "precision: every text is close",
        ),
    ],
)
def test_what_was_lost_is_named(kind, embedding, cause, request):
    found, _ = served(request.getfixturevalue(kind), embedding)
    assert found.cause.startswith(cause)
    with pytest.raises(UserError, match=re.escape(cause)):
        report(found)


def test_another_model_is_told_by_its_dimension(decoder):
    with pytest.raises(UserError, match="gives embeddings of 5 numbers, the model 32"):
        served(decoder, lambda model, texts: np.ones((len(texts), 5)))


def test_the_model_is_left_as_it_was(decoder):
    model = load_trained(decoder)
    texts = texts_for(model)
    before = embed(model, texts)
    compare_served(model, texts, Answer("url", np.ones_like(before)))
    np.testing.assert_array_equal(embed(model, texts), before)


def test_the_command_prints_and_fails_with_a_sentence(decoder, capsys):
    model = load_trained(decoder)
    with serving(lambda texts: plainly(model, texts)) as (url, _):
        main(["export", "--model", str(decoder), "--check", f"{url}/v1"])
    assert "queries, prompt find" in capsys.readouterr().out
    with (
        serving(lambda texts: pooled("mean")(model, texts)) as (url, _),
        pytest.raises(SystemExit, match="mean pooling"),
    ):
        main(["export", "--model", str(decoder), "--check", url])

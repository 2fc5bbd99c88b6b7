"""Every kind of base becomes a retriever that trains, is saved, and reads alike in plain sentence-transformers."""

import json

import numpy as np
import pytest
import torch
from basemodels import (
    ENCODING,
    NETWORKS,
    TEXTS,
    check_saved,
    load,
    save_bare,
    save_embedder,
    save_static,
    train,
)
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

from tdro.config.mining import Encode
from tdro.config.models import Encoding, Lora, Model
from tdro.config.prompts import INSTRUCT, named
from tdro.config.registry import Prompted
from tdro.errors import UserError
from tdro.models.bases import base_prompts, load_retriever
from tdro.models.kinds import is_decoder
from tdro.models.load import load_trained, trained_prompts


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_bare_network_is_pooled_by_its_kind_trained_and_saved(kind, tmp_path):
    base, pooling = save_bare(kind, tmp_path / "base"), NETWORKS[kind][1]
    retriever = load(base)
    assert retriever[1].pooling_mode == pooling
    assert is_decoder(json.loads((base / "config.json").read_text())) == (pooling == "lasttoken")
    before = retriever.encode(TEXTS)
    trained = train(retriever)
    assert np.abs(trained.encode(TEXTS) - before).max() > 1e-3
    theirs = check_saved(trained, tmp_path / "model")
    for task, length in (("query", 24), ("document", 32)):
        ended = theirs.preprocess(["alpha " * 50], task=task)["input_ids"]
        assert ended.shape == (1, length)
        assert (ended[0, -1] == theirs.tokenizer.eos_token_id) == (pooling == "lasttoken")


@pytest.mark.parametrize("pooling", ["cls", "mean", "lasttoken", "max", "weightedmean"])
def test_a_key_says_how_a_bare_network_is_pooled(pooling, tmp_path):
    retriever = load(save_bare("bert", tmp_path / "base"), pooling=pooling)
    assert retriever[1].pooling_mode == pooling
    check_saved(retriever, tmp_path / "model")


def test_an_embedding_model_keeps_its_modules_pooling_lengths_and_vectors(tmp_path, caplog):
    torch.manual_seed(1)
    base = save_embedder("bert", tmp_path / "base", Dense(32, 16), Normalize())
    retriever = load(base)
    assert [type(module) for module in retriever] == [Transformer, Pooling, Dense, Normalize]
    assert retriever[1].pooling_mode == "cls"
    np.testing.assert_allclose(
        retriever.encode(TEXTS), SentenceTransformer(str(base), device="cpu").encode(TEXTS), atol=1e-6
    )
    assert "reads 20 tokens at most, not the 24 of encoding.query_length" in caplog.text
    assert "reads 20 tokens at most, not the 32 of encoding.passage_length" in caplog.text
    theirs = check_saved(train(retriever), tmp_path / "model")
    assert theirs.preprocess(["alpha " * 50], task="document")["input_ids"].shape == (1, 20)
    assert theirs.get_embedding_dimension() == 16


def test_an_embedding_model_gets_unit_length_and_another_pooling_where_asked(tmp_path):
    base = save_embedder("bert", tmp_path / "base", length=64)
    retriever = load(base, pooling="mean")
    assert [type(module) for module in retriever] == [Transformer, Pooling, Normalize]
    assert retriever[1].pooling_mode == "mean"
    assert (retriever[0].query_length, retriever[0].document_length, retriever.max_seq_length) == (24, 32, 32)
    check_saved(retriever, tmp_path / "model")


def test_a_decoder_that_is_an_embedding_model_keeps_its_tokenizer(tmp_path):
    retriever = load(save_embedder("qwen3", tmp_path / "base", pooling="lasttoken"))
    assert retriever.preprocess(["alpha"])["input_ids"][0, -1] != retriever.tokenizer.eos_token_id


def test_a_static_embedding_is_trained_and_saved(tmp_path):
    retriever = load(save_static(tmp_path / "base"))
    before = retriever.encode(TEXTS)
    check_saved(train(retriever), tmp_path / "model")
    assert np.abs(retriever.encode(TEXTS) - before).max() > 1e-3


def test_a_static_embedding_has_neither_layers_nor_attention_nor_pooling(tmp_path):
    base = save_static(tmp_path / "base")
    for changes in ({"layers": 1}, {"attention": "sdpa"}, {"lora": Lora()}):
        with pytest.raises(UserError, match=f"static embedding, to which `{next(iter(changes))}` means nothing"):
            load(base, **changes)
    with pytest.raises(UserError, match=r"`pooling: mean`"):
        load(base, pooling="mean")


TASKS = {
    "faq": Prompted(instruction=["Find the answer.", "Which answer?"]),
    "twin": Prompted(instruction="Find the same.", symmetric=True),
}


def saved_with_prompts(folder, output, **changes):
    model = Model(name="m", base=str(folder), **changes)
    retriever = load_retriever(model, ENCODING)
    prompts = base_prompts(model, retriever)
    retriever.prompts, retriever.default_prompt_name = named(prompts, TASKS)
    retriever.save_pretrained(str(output), create_model_card=False)
    return prompts, SentenceTransformer(str(output), device="cpu")


#: Qwen3's embedding models have no space behind the colon.
QWEN = "Instruct: {instruction}\nQuery:"
OWN = {"query": "search: ", "document": "text: "}


@pytest.mark.parametrize(
    ("base", "changes", "faq", "twin", "passage"),
    [
        ("bert", {}, "", "", ""),
        ("qwen3", {}, INSTRUCT, INSTRUCT, ""),
        ("qwen3", {"prompts": "none"}, "", "", ""),
        ("qwen3_both_ways", {"prompts": "instruct"}, INSTRUCT, INSTRUCT, ""),
        ("qwen3", {"prompts": {"query": QWEN}}, QWEN, QWEN, ""),
        ("bert", {"prompts": {"query": "q: ", "passage": "p: "}}, "q: ", "q: ", "p: "),
        ("bert", {"prompts": {"query": "q: ", "tasks": {"twin": {"query": "t: "}}}}, "q: ", "t: ", ""),
        ("own", {}, "search: ", "search: ", "text: "),
        ("own", {"prompts": "none"}, "", "", ""),
        ("own", {"prompts": {"tasks": {"faq": {"query": "f: "}}}}, "f: ", "search: ", "text: "),
    ],
)
def test_the_prompts_used_are_saved_so_that_plain_code_reads_alike(tmp_path, base, changes, faq, twin, passage):
    folder = tmp_path / "base"
    save_embedder("bert", folder, prompts=OWN) if base == "own" else save_bare(base, folder)
    prompts, theirs = saved_with_prompts(folder, tmp_path / "model", **changes)
    first = {name: task.instruction[0] for name, task in TASKS.items()}
    expected = {"faq": faq.replace("{instruction}", first["faq"]), "twin": twin.replace("{instruction}", first["twin"])}
    assert {name: prompts.of_query(name, first[name]) for name in TASKS} == expected
    assert prompts.of_passage("faq", first["faq"], symmetric=False) == passage
    assert prompts.of_passage("twin", first["twin"], symmetric=True) == expected["twin"]
    for name in TASKS:
        by_name = theirs.encode_query(TEXTS, prompt_name=name)
        np.testing.assert_allclose(by_name, theirs.encode(TEXTS, prompt=expected[name], task="query"), atol=1e-6)
    np.testing.assert_allclose(
        theirs.encode_document(TEXTS), theirs.encode(TEXTS, prompt=passage, task="document"), atol=1e-6
    )
    np.testing.assert_allclose(
        theirs.encode_document(TEXTS, prompt_name="twin"),
        theirs.encode(TEXTS, prompt=expected["twin"], task="document"),
        atol=1e-6,
    )
    common = expected["faq"] if expected["faq"] == expected["twin"] else ""
    np.testing.assert_allclose(theirs.encode_query(TEXTS), theirs.encode(TEXTS, prompt=common, task="query"), atol=1e-6)
    again = load_trained(tmp_path / "model")
    assert trained_prompts(tmp_path / "model", again).passage == passage
    assert again.prompts == {}


def test_passages_with_a_prompt_of_their_own_have_a_name_of_their_own(tmp_path):
    tasks = {"faq": {"query": "q: ", "passage": "q: "}, "twin": {"passage": "t: "}}
    _, theirs = saved_with_prompts(save_bare("bert", tmp_path / "base"), tmp_path / "model", prompts={"tasks": tasks})
    assert theirs.prompts["faq-passage"] == "q: "
    assert theirs.prompts["twin-passage"] == "t: "
    assert theirs.prompts["document"] == ""


@pytest.mark.parametrize("prompts", [{"passage": "{instruction}: "}, {"tasks": {"faq": {"passage": "{instruction}"}}}])
def test_passages_carry_no_instruction_of_who_searches_them(prompts):
    with pytest.raises(ValueError, match="`passage` cannot hold"):
        Model(name="m", base="b", prompts=prompts)


def test_a_miner_reads_no_instruction():
    with pytest.raises(ValueError, match="the miner reads all tasks alike"):
        Encode(prompts={"query": "Instruct: {instruction}"})


def test_a_prompt_that_serves_every_text_is_the_models_default(tmp_path):
    prompts = {"prompts": {"query": "text: ", "passage": "text: "}}
    _, theirs = saved_with_prompts(save_bare("bert", tmp_path / "base"), tmp_path / "model", **prompts)
    assert theirs.default_prompt_name == "query"
    np.testing.assert_allclose(theirs.encode(TEXTS), theirs.encode_query(TEXTS), atol=1e-6)


def test_prompts_in_the_place_of_a_models_own_are_a_warning(tmp_path, caplog):
    folder = save_embedder("bert", tmp_path / "base", prompts=OWN)
    model = Model(name="m", base=str(folder), prompts={"query": "q: "})
    base_prompts(model, load_retriever(model, ENCODING))
    assert "was saved with the query prompt 'search: '" in caplog.text
    assert "passage prompt" not in caplog.text


def test_a_mean_that_leaves_out_prompts_takes_them_in(tmp_path, caplog):
    folder = save_embedder("bert", tmp_path / "base", prompts=OWN, pooling="mean")
    file = folder / "1_Pooling" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"include_prompt": False}))
    model = Model(name="m", base=str(folder))
    retriever = load_retriever(model, ENCODING)
    base_prompts(model, retriever)
    assert retriever[1].include_prompt
    assert "leaves its prompts out of its mean" in caplog.text


def test_a_base_with_learnt_positions_reads_no_more(tmp_path):
    with pytest.raises(UserError, match=r"reads 64 tokens .* but encoding.passage_length asks for 100"):
        load(save_bare("bert", tmp_path / "base"), Encoding(query_length=8, passage_length=100))


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_an_attention_implementation_is_the_one_asked_for(tiny_base, attention):
    assert load(tiny_base, attention=attention)[0].auto_model.config._attn_implementation == attention


def test_an_attention_implementation_that_is_not_installed_is_one_sentence(tiny_base):
    with pytest.raises(UserError, match=r"model 'm'.*(?i:flash)"):
        load(tiny_base, attention="flash_attention_2")


def test_the_embedding_is_the_last_tokens_whatever_the_padding(tiny_base):
    model = load(tiny_base)
    alone, padded = model.encode(["alpha beta"]), model.encode(["alpha beta", "gamma delta epsilon zeta eta theta"])
    assert np.allclose(alone[0], padded[0], atol=1e-5)
    network = model[0].auto_model
    tokens = model.tokenizer("alpha beta", return_tensors="pt")
    with torch.no_grad():
        last = network(**tokens).last_hidden_state[0, -1]
    assert np.allclose(alone[0], torch.nn.functional.normalize(last, dim=0).numpy(), atol=1e-5)


def test_weights_are_float32_whatever_the_checkpoint_holds(tiny_base, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    AutoModel.from_pretrained(tiny_base, dtype=torch.bfloat16).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(tmp_path)
    assert {p.dtype for p in load(tmp_path).parameters()} == {torch.float32}


def test_texts_are_no_chat_messages(tiny_base, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    AutoModel.from_pretrained(tiny_base).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.chat_template = "{% for m in messages %}user: {{ m['content'] }}{% endfor %}"
    tokenizer.save_pretrained(tmp_path)
    plain, chatty = load(tiny_base), load(tmp_path)
    assert chatty.preprocess(["alpha"])["input_ids"].tolist() == plain.preprocess(["alpha"])["input_ids"].tolist()

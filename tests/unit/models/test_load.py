import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tinymodels import byte_tokenizer

from tdro.config.models import Encoding, Model
from tdro.errors import UserError
from tdro.models.bases import load_retriever
from tdro.models.eos import append_eos
from tdro.models.load import load_trained, resolve

ENCODING = Encoding(query_length=8, passage_length=16, precision="fp32")


def retriever(folder, **changes):
    return load_retriever(Model(name="tiny", base=str(folder), **changes), ENCODING)


def llama3_tokenizer():
    """Starts every text with BOS through its post-processor, as Llama 3's does, and adds no EOS."""
    from tokenizers.processors import ByteLevel, Sequence, TemplateProcessing

    tokenizer = byte_tokenizer(bos_token="<|begin|>")
    begin = TemplateProcessing(
        single="<|begin|> $A",
        pair="<|begin|> $A <|begin|>:1 $B:1",
        special_tokens=[("<|begin|>", tokenizer.bos_token_id)],
    )
    tokenizer.backend_tokenizer.post_processor = Sequence([ByteLevel(trim_offsets=False), begin])
    return tokenizer


@pytest.mark.parametrize("make", [byte_tokenizer, llama3_tokenizer])
def test_eos_ends_every_text_also_a_cut_one_and_survives_saving(make, tmp_path):
    tokenizer = make()
    assert tokenizer("alpha beta")["input_ids"][-1] != tokenizer.eos_token_id
    before = tokenizer("alpha beta")["input_ids"]
    append_eos(tokenizer)
    tokenizer.save_pretrained(tmp_path)
    for t in (tokenizer, type(tokenizer).from_pretrained(tmp_path)):
        assert t("alpha beta")["input_ids"] == [*before, t.eos_token_id]
        cut = t("alpha beta gamma delta", truncation=True, max_length=4)["input_ids"]
        assert len(cut) == 4
        assert cut[-1] == t.eos_token_id
        assert t.padding_side == "right"


def test_a_tokenizer_that_cannot_be_extended_is_refused():
    from tokenizers.processors import BertProcessing

    tokenizer = byte_tokenizer(sep_token="<|sep|>")
    sep = ("<|sep|>", tokenizer.sep_token_id)
    tokenizer.backend_tokenizer.post_processor = BertProcessing(sep, sep)
    with pytest.raises(UserError, match="BertProcessing"):
        append_eos(tokenizer)


def test_eos_is_not_added_twice():
    tokenizer = byte_tokenizer()
    append_eos(tokenizer)
    append_eos(tokenizer)
    assert tokenizer("alpha")["input_ids"].count(tokenizer.eos_token_id) == 1


def test_a_saved_retriever_is_a_plain_sentence_transformer(tiny_base, tmp_path):
    ours = retriever(tiny_base)
    ours.save_pretrained(str(tmp_path / "model"))
    theirs = SentenceTransformer(str(tmp_path / "model"))
    texts = ["alpha", "beta gamma delta epsilon", "zeta eta theta iota kappa lambda mu"]
    assert np.allclose(ours.encode(texts), theirs.encode(texts), atol=1e-6)
    assert np.allclose(np.linalg.norm(theirs.encode(texts), axis=1), 1, atol=1e-6)
    tokens = theirs.preprocess(["alpha " * 50], task="query")["input_ids"]
    assert tokens.shape == (1, 8)
    assert tokens[0, -1] == theirs.tokenizer.eos_token_id
    assert theirs.preprocess(["alpha " * 50], task="document")["input_ids"].shape == (1, 16)


def test_the_embedding_is_the_last_tokens_whatever_the_padding(tiny_base):
    model = retriever(tiny_base)
    alone, padded = model.encode(["alpha beta"]), model.encode(["alpha beta", "gamma delta epsilon zeta eta theta"])
    assert np.allclose(alone[0], padded[0], atol=1e-5)
    network = model[0].auto_model
    tokens = model.tokenizer("alpha beta", return_tensors="pt")
    with torch.no_grad():
        last = network(**tokens).last_hidden_state[0, -1]
    assert np.allclose(alone[0], torch.nn.functional.normalize(last, dim=0).numpy(), atol=1e-5)


def test_layers_are_cut_and_stay_cut_when_loaded_again(tiny_base, tmp_path):
    model = retriever(tiny_base, layers=1)
    assert len(model[0].auto_model.layers) == 1
    model.save_pretrained(str(tmp_path / "model"))
    again = load_trained(tmp_path / "model")
    assert len(again[0].auto_model.layers) == 1
    assert np.allclose(model.encode(["alpha"]), again.encode(["alpha"]), atol=1e-6)
    full = retriever(tiny_base)
    assert not np.allclose(full.encode(["alpha"]), model.encode(["alpha"]), atol=1e-3)


def test_layers_of_qwen_are_cut_with_their_kinds(tmp_path):
    from transformers import Qwen2Config, Qwen2Model

    tokenizer = byte_tokenizer()
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
    Qwen2Model(Qwen2Config(vocab_size=len(tokenizer), num_hidden_layers=4, **sizes)).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    model = retriever(tmp_path / "base", layers=2)
    model.save_pretrained(str(tmp_path / "model"))
    assert len(load_trained(tmp_path / "model")[0].auto_model.layers) == 2


def test_weights_are_float32_whatever_the_checkpoint_holds(tiny_base, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    AutoModel.from_pretrained(tiny_base, dtype=torch.bfloat16).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(tmp_path)
    assert {p.dtype for p in retriever(tmp_path).parameters()} == {torch.float32}


def test_texts_are_no_chat_messages(tiny_base, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    AutoModel.from_pretrained(tiny_base).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.chat_template = "{% for m in messages %}user: {{ m['content'] }}{% endfor %}"
    tokenizer.save_pretrained(tmp_path)
    plain, chatty = retriever(tiny_base), retriever(tmp_path)
    assert chatty.preprocess(["alpha"])["input_ids"].tolist() == plain.preprocess(["alpha"])["input_ids"].tolist()


def test_missing_models_are_named(tmp_path):
    with pytest.raises(UserError, match="holds no model"):
        resolve(str(tmp_path))
    with pytest.raises(UserError, match="names no file"):
        resolve("package:name==1.0")
    with pytest.raises(UserError, match="no SentenceTransformer folder"):
        load_trained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(UserError, match="has no weights"):
        retriever(tmp_path)
    assert resolve("BAAI/bge-base-en-v1.5") == "BAAI/bge-base-en-v1.5"

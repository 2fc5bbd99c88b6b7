import pytest
from tinymodels import bert, byte_tokenizer

from tdro.config.mining import Rescore
from tdro.config.models import Encoding, Model
from tdro.errors import UserError
from tdro.mining.rescore import _CrossEncoder
from tdro.models.bases import load_retriever
from tdro.models.load import load_embedder, load_trained


def test_a_folder_without_a_retriever_is_named(tmp_path):
    with pytest.raises(UserError, match="no SentenceTransformer folder"):
        load_trained(tmp_path)


@pytest.mark.parametrize(
    ("key", "kind", "labels", "load"),
    [
        ("mining.encode", "BertModel", {}, lambda folder: load_embedder(folder, None, 200)),
        (
            *("mining.rescore", "BertForSequenceClassification", {"num_labels": 1}),
            lambda folder: _CrossEncoder(Rescore(model=folder, max_length=200)).model,
        ),
    ],
)
def test_miner_and_rescorer_read_what_they_can_and_say_so(key, kind, labels, load, tmp_path, caplog):
    """Their BERT has 64 positions; a text of more would end in an IndexError."""
    assert load(bert(tmp_path, kind, **labels)).max_seq_length == 64
    assert f"reads 64 tokens at most, not the 200 of {key}.max_length" in caplog.text


@pytest.mark.parametrize(
    ("kind", "load"),
    [
        ("BertModel", lambda folder: load_embedder(folder, None, 60)),
        ("BertModel", lambda folder: load_retriever(Model(name="m", base=folder), Encoding())),
        ("BertForSequenceClassification", lambda folder: _CrossEncoder(Rescore(model=folder, max_length=60))),
    ],
)
def test_a_model_that_cannot_fill_up_short_texts_is_refused(kind, load, tmp_path):
    """sentence-transformers would end in an error of transformers at the first batch of two lengths."""
    folder, tokenizer = bert(tmp_path, kind, num_labels=1), byte_tokenizer()
    tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)
    with pytest.raises(UserError, match=r"no padding token.*`pad_token` in tokenizer_config\.json"):
        load(folder)


def test_a_model_without_a_padding_token_fills_up_with_eos(tiny_base):
    retriever = load_retriever(Model(name="m", base=str(tiny_base), pooling="mean"), Encoding())
    one, two = retriever.encode(["alpha", "alpha beta gamma delta"]), retriever.encode(["alpha"])
    assert abs(one[0] - two[0]).max() < 1e-5

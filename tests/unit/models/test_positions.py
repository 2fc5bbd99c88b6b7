"""How many tokens models of several families read: by their files, by the loaded network, and by trying."""

import pytest
import torch
from transformers import AutoConfig, AutoModel

from tdro.errors import UserError
from tdro.models.positions import check_lengths, check_limits, of_network

SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "pad_token_id": 1}


def network(kind):
    config = AutoConfig.for_model(kind, **SMALL, intermediate_size=16, max_position_embeddings=40)
    return AutoModel.from_config(config).eval()


def reads(model, tokens):
    """Whether the network takes a text of so many tokens."""
    try:
        with torch.no_grad():
            model(input_ids=torch.full((1, tokens), 7), attention_mask=torch.ones(1, tokens, dtype=torch.long))
    except (IndexError, RuntimeError):
        return False
    return True


LEARNT = ["bert", "distilbert", "electra", "roberta", "xlm-roberta", "camembert", "mpnet", "gpt2", "opt"]


@pytest.mark.parametrize("kind", LEARNT)
def test_the_limit_is_where_the_network_stops(kind, tmp_path):
    model = network(kind)
    limit, _ = of_network(model)
    assert reads(model, limit)
    assert not reads(model, limit + 1)
    model.save_pretrained(tmp_path)
    check_lengths(str(tmp_path), {"encoding.passage_length": limit})
    with pytest.raises(UserError, match=rf"reads {limit} tokens .* encoding.passage_length asks for {limit + 1}"):
        check_lengths(str(tmp_path), {"encoding.query_length": 8, "encoding.passage_length": limit + 1})


@pytest.mark.parametrize("kind", ["llama", "modernbert"])
def test_rotary_positions_are_warned_of(kind, tmp_path, caplog):
    model = network(kind)
    assert reads(model, 41)
    model.save_pretrained(tmp_path)
    check_lengths(str(tmp_path), {"encoding.passage_length": 40})
    check_lengths(str(tmp_path), {"encoding.passage_length": 41})
    check_limits("m", {"encoding.passage_length": 41}, *of_network(model))
    assert [record.getMessage() for record in caplog.records if record.name == "tdro.models.positions"] == [
        f"{name} was trained on texts of at most 40 tokens, but encoding.passage_length asks for 41: it reads longer "
        "texts, but worse"
        for name in (tmp_path, "m")
    ]


def test_what_is_no_folder_passes():
    check_lengths("BAAI/bge-base-en-v1.5", {"mining.encode.max_length": 10_000})
    check_lengths("package:name==1.0/model", {"mining.encode.max_length": 10_000})

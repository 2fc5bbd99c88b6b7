import pytest
from tinymodels import byte_tokenizer

from tdro.errors import UserError
from tdro.models.eos import append_eos


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

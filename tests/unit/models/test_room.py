"""Instructions that leave no room for a text, and texts that are cut."""

import logging

import numpy as np
import pytest

from tdro.config.mining import Encode
from tdro.config.models import Encoding, Model
from tdro.config.prompts import INSTRUCT, TaskPrompts
from tdro.config.registry import Prompted
from tdro.errors import UserError
from tdro.mining.encode import open_miner
from tdro.models.bases import load_retriever
from tdro.models.cuts import CutCounter, cut_places
from tdro.models.room import check_model, length_of, look_at_prompts

INSTRUCTED = TaskPrompts(query=INSTRUCT)
WORDING = "Given a question of a customer, retrieve the paragraph of the manual that answers it."


def retriever(tiny_base, query_length, passage_length=48):
    encoding = Encoding(query_length=query_length, passage_length=passage_length, precision="fp32")
    return load_retriever(Model(name="tiny", base=str(tiny_base)), encoding)


def tokens(tiny_base, text):
    """By the base's tokenizer as it is, and one more for EOS."""
    from transformers import AutoTokenizer

    return len(AutoTokenizer.from_pretrained(tiny_base)(text)["input_ids"]) + 1


def test_an_instruction_as_long_as_a_query_is_refused_since_all_queries_would_be_one(tiny_base):
    prompt = f"Instruct: {WORDING}\nQuery: "
    needed = tokens(tiny_base, prompt.rstrip())
    tasks = {"help": Prompted(instruction=WORDING)}
    full = retriever(tiny_base, needed)
    first, second = full.encode_query(["alpha", "king of Norway"], prompt=prompt)
    np.testing.assert_allclose(first, second, atol=1e-6)  # what nobody would notice
    expected = rf"help: the instruction .*{WORDING[:20]}.* takes {needed} tokens, encoding.query_length is {needed}"
    with pytest.raises(UserError, match=expected):
        check_model(full, tasks, INSTRUCTED)
    check_model(retriever(tiny_base, needed + 8), tasks, INSTRUCTED)


@pytest.mark.parametrize("symmetric", [False, True])
def test_an_instruction_on_passages_needs_room_there_too(tiny_base, symmetric):
    tasks = {"twin": Prompted(instruction=["Find it.", WORDING], symmetric=symmetric)}
    model = retriever(tiny_base, query_length=200, passage_length=32)
    if symmetric:
        with pytest.raises(UserError, match=r"twin: .*encoding.passage_length is 32"):
            check_model(model, tasks, INSTRUCTED)
    else:
        check_model(model, tasks, INSTRUCTED)


def test_little_room_is_a_warning(tiny_base, caplog):
    needed = tokens(tiny_base, f"Instruct: {WORDING}\nQuery:")
    check_model(retriever(tiny_base, needed + 7), {"help": Prompted(instruction=WORDING)}, INSTRUCTED)
    assert f"takes {needed} of the {needed + 7} tokens of encoding.query_length" in caplog.text


def test_a_look_before_any_job_finds_the_same_without_torch(tiny_base):
    tasks = {"help": Prompted(instruction=WORDING)}
    with pytest.raises(UserError, match=r"help: the instruction .* encoding.query_length is 32"):
        look_at_prompts(Model(name="tiny", base=str(tiny_base)), Encoding(query_length=32), tasks)
    look_at_prompts(Model(name="tiny", base=str(tiny_base)), Encoding(query_length=256), tasks)
    look_at_prompts(Model(name="tiny", base=str(tiny_base), prompts="none"), Encoding(query_length=32), tasks)
    look_at_prompts(Model(name="bge", base="BAAI/bge-base-en-v1.5"), Encoding(query_length=8), tasks)


def test_prompts_of_the_miner_need_room_too(tiny_base, tmp_path):
    retriever(tiny_base, 64).save_pretrained(str(tmp_path))
    with pytest.raises(UserError, match=r"mining.encode.prompts.passage .* mining.encode.max_length is 16"):
        prompts = {"passage": "passage of a manual, to be embedded: "}
        open_miner(Encode(model=str(tmp_path), max_length=16, prompts=prompts))


LENGTHS = [3, 15, 16, 17, 40, 16]


def texts_of(model, lengths, spare=0):
    """Texts of so many tokens each, EOS included; a letter of a foreign script is a token or several."""
    found = ["x" * (length - 1 - spare) for length in lengths]
    assert [len(model.tokenizer(text)["input_ids"]) + spare for text in found] == lengths
    return found


def test_only_texts_that_lose_something_count_as_cut(tiny_base):
    model = retriever(tiny_base, query_length=16)
    texts = texts_of(model, LENGTHS)
    assert cut_places(model, texts, model.preprocess(texts, task="query"), "query") == [3, 4]
    assert cut_places(model, texts, model.preprocess(texts, task="document"), "document") == []
    assert length_of(model, "query") == 16
    spared = texts_of(model, LENGTHS[1:], spare=2)
    assert cut_places(model, spared, model.preprocess(spared, prompt="yy", task="query"), "query", "yy") == [2, 3]


def test_encoding_counts_and_says_it(tiny_base, caplog):
    model = retriever(tiny_base, query_length=16)
    cuts = CutCounter(model)
    model.encode_query(texts_of(model, LENGTHS), batch_size=2)
    model.encode_document(["alpha"])
    assert (cuts.cut["query"], cuts.read["query"]) == (2, 6)
    assert (cuts.cut["document"], cuts.read["document"]) == (0, 1)
    with caplog.at_level(logging.INFO):
        cuts.tell("web")
    assert "web: 2 of 7 texts were longer than the model reads, and cut" in caplog.text
    assert not cuts.read.total()

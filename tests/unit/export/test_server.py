"""How a server is asked, and what is said of one that does not answer as expected."""

import numpy as np
import pytest
from embeddingserver import serving

from tdro.errors import UserError
from tdro.export.server import Server

ONES = [1.0, 0.0]


def test_texts_go_in_small_requests_and_come_back_in_order():
    with serving(lambda texts: [[float(text), 1.0] for text in texts]) as (url, requests):
        found = Server(url).embed([str(number) for number in range(40)])
    np.testing.assert_array_equal(found[:, 0], np.arange(40))
    assert [len(asked["input"]) for asked in requests] == [16, 16, 8]
    assert {asked["encoding_format"] for asked in requests} == {"float"}


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_an_address_may_end_in_v1(path):
    with serving(lambda texts: [ONES] * len(texts)) as (url, requests):
        Server(url + path).embed(["a"])
    assert requests[0]["path"] == "/v1/embeddings"


def test_a_name_and_a_key_are_sent(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "abc")
    with serving(lambda texts: [ONES] * len(texts), models=()) as (url, requests):
        Server(url, "mine").embed(["a"])
        Server(url).embed(["a"])
    assert [asked["model"] for asked in requests] == ["mine", "default"]
    assert requests[0]["authorization"] == "Bearer abc"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda texts: [ONES], "answers no embeddings of 2 texts in OpenAI's form"),
        (lambda texts: [ONES, [1.0]], "gives embeddings of several dimensions"),
    ],
)
def test_a_wrong_answer_is_a_sentence(rows, message):
    with serving(rows) as (url, _), pytest.raises(UserError, match=message):
        Server(url).embed(["a", "b"])


def test_a_server_that_is_not_there_is_a_sentence():
    with pytest.raises(UserError, match=r"http://127.0.0.1:9/v1/embeddings cannot be asked \(.*refused"):
        Server("http://127.0.0.1:9", "any").embed(["a"])
    with pytest.raises(UserError, match="cannot be asked"):
        Server("nonsense", "any").embed(["a"])

from pathlib import Path

import pytest
from testsets import save_dataset

from tdro.data.corpora import own_passages

SELVES = {
    "the text under a title": ("a b", "t", "a b", None, True),
    "title and text": ("t a b", "t", "a b", None, True),
    "another form and other white space": ("e\u0301  a\n", "", "é a", None, True),
    "cut": ("a b c d", "t", "a b", 2, True),
    "title and cut text": ("t a b c", "t", "a b", 2, True),
    "a title only": ("t", "t", "", None, True),
    "contained": ("a", "", "a b", None, False),
    "the title of another text": ("t", "t", "a b", None, False),
    "a beginning": ("a b", "", "a", None, False),
    "a shorter beginning than what is cut": ("a b c d", "", "a", 2, False),
    "other words": ("a", "", "b", None, False),
}


@pytest.mark.parametrize(("query", "title", "text", "max_words", "is_it"), SELVES.values(), ids=SELVES)
def test_only_a_passage_that_is_the_query_leaves_its_ranking(tmp_path, query, title, text, max_words, is_it):
    dataset = save_dataset(tmp_path, ["other", text], [query], [[0]], ["x", "y"], ["y"], ["", title])
    assert own_passages(Path(dataset.corpus), ["y"], [query], max_words) == ({0: 1} if is_it else {})

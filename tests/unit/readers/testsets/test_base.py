import pytest

from tdro.config.registry import Source
from tdro.errors import UserError
from tdro.readers.testsets.base import open_testset


@pytest.mark.parametrize(
    ("source", "part", "complaint"),
    [
        ({"reader": "beir"}, None, "needs the key `path`"),
        ({"reader": "beir", "path": "data/{part}"}, None, "lists no `parts`"),
        ({"reader": "beir", "path": "data"}, "a", "need a {part} in the path"),
    ],
)
def test_wrong_sources_are_named(source, part, complaint):
    with pytest.raises(UserError, match=complaint.replace("{", r"\{")):
        open_testset(Source(**source), part)

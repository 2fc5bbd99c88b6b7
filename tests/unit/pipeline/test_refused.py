import pytest
from snakemake import exceptions
from snakemake.exceptions import WorkflowError

from tdro.errors import UserError
from tdro.pipeline.refused import Refused, refusing, tell_plainly


@pytest.mark.parametrize(
    ("words", "told"), [("key `x` is missing", "Error: key `x` is missing"), ("one\ntwo", "Error:\none\ntwo")]
)
def test_a_users_mistake_is_told_without_kind_and_place(monkeypatch, words, told):
    monkeypatch.setattr(exceptions, "format_exception_to_string", exceptions.format_exception_to_string)
    tell_plainly()
    with pytest.raises(Refused) as caught, refusing():
        raise UserError(words)
    assert exceptions.format_exception_to_string(caught.value, {}) == told
    assert "WorkflowError" in exceptions.format_exception_to_string(WorkflowError("other"), {})

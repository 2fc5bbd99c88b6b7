import errno

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


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "{here} cannot be written: no space is left on its disk"),
        (OSError(errno.EROFS, "Read-only file system", "a"), "a cannot be written: its disk can only be read"),
        (OSError(errno.EACCES, "Permission denied", "a"), "a cannot be read or written: Permission denied."),
    ],
)
def test_what_a_disk_refuses_snakemake_is_a_sentence(monkeypatch, tmp_path, error, told):
    monkeypatch.setattr(exceptions, "format_exception_to_string", exceptions.format_exception_to_string)
    monkeypatch.chdir(tmp_path)
    tell_plainly()
    said = exceptions.format_exception_to_string(error, {})
    assert said.startswith(f"Error: {told.format(here=tmp_path)}")

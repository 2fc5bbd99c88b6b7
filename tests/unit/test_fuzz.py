"""Readers of files answer whatever a file holds with rows or a sentence (docs/reliability.md); `make fuzz` has more."""

import pytest
from fuzz.fuzzing import fuzz
from fuzz.targets import TARGETS

#: Inputs of each reader; so many that all together take some seconds.
INPUTS, SEED = 50, 7


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_every_reader_answers_by_a_sentence(target, tmp_path):
    numbers = range(max(5, round(INPUTS * target.share)))
    failures = [outcome for outcome in fuzz(target, tmp_path / "files", SEED, numbers) if outcome.failure]
    assert not failures, f"input {failures[0].number}: {failures[0].failure}\n{failures[0].trace}"

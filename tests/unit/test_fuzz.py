"""Readers of files answer whatever a file holds with rows or a sentence (docs/reliability.md); `make fuzz` has more."""

import json

import pytest
from fuzz.fuzzing import fuzz, one, right_file
from fuzz.targets import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st

from tdro.artifacts.seals import WRITTEN, sealed

#: Inputs of each reader; so many that all together take some seconds.
INPUTS, SEED = 50, 7


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_every_reader_answers_by_a_sentence(target, tmp_path):
    numbers = range(max(5, round(INPUTS * target.share)))
    failures = [outcome for outcome in fuzz(target, tmp_path / "files", SEED, numbers) if outcome.failure]
    assert not failures, f"input {failures[0].number}: {failures[0].failure}\n{failures[0].trace}"


#: Any value of JSON; keys are such as our files have, or any.
OURS = ("tasks", "size", "domain_weights", "request", "files", "kept", "merged", "asked", "floors", "shards", "rows")
KEYS = st.sampled_from(OURS) | st.text()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(KEYS, values, max_size=4),
    max_leaves=12,
)
OF_JSON = [target for target in TARGETS.values() if target.file.endswith(".json") and target.share == 1]


@pytest.mark.parametrize("target", OF_JSON, ids=[target.name for target in OF_JSON])
def test_any_value_of_json_is_answered_by_a_sentence(target, tmp_path):
    """What :mod:`fuzz` never makes of a right file; hypothesis makes a failing value small."""
    folder = tmp_path / "files"
    is_sealed = WRITTEN in json.loads(right_file(target, folder))

    @settings(max_examples=30)
    @given(VALUES)
    def check(value):
        value = sealed(value) if is_sealed and isinstance(value, dict) else value
        outcome = one(target, folder, json.dumps(value).encode())
        assert not outcome.failure, outcome.trace

    check()

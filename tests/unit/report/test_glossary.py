"""What the mixtures of a report are."""

from tdro.config import mixturenames
from tdro.report.glossary import _MEANINGS, meanings


def test_every_kind_of_mixture_has_a_meaning():
    assert set(_MEANINGS) == set(mixturenames._PATTERNS)


def test_only_what_was_run_is_explained_and_variants_once():
    found = meanings(["top70", "uniform", "top30@ratio-0.5"])
    assert [said.split(":")[0] for said in found] == ["`uniform`", "`topP`", "`@VARIANT`"]

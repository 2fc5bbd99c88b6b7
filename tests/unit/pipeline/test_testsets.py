"""Test sets: their parts, corpora and files."""

import pytest
from toyjobs import ENTRY, jobs, registry_of

from tdro.artifacts.layout import Layout
from tdro.errors import UserError
from tdro.pipeline.jobs import Jobs

LAYOUT = Layout("results")


def test_every_part_is_evaluated_by_a_job_of_its_own_and_the_held_out_rows_by_one():
    assert jobs().tests.evaluated == [
        *("in_domain", "web", "nq", "cqa-a", "cqa-b", "miracl-sw", "miracl-yo", "mkqa-ar", "mkqa-th"),
        *("mkqa-nq-ar", "mkqa-nq-th"),
    ]
    content = jobs().report()
    assert content.benchmarks["cqa"] == ["cqa-a", "cqa-b"]
    assert content.suites == {"BEIR": ["nq", "cqa"], "MKQA": ["mkqa-nq"]}
    assert list(jobs().evaluate(["in_domain"], LAYOUT, {}).benchmarks["in_domain"]) == ["one", "two"]


def test_parts_have_corpora_of_their_own_or_one_of_all_or_another_benchmarks():
    corpora = {name: test.corpus for name, test in jobs().tests.chosen.items()}
    assert corpora["miracl-sw"] == "miracl-sw"
    assert corpora["mkqa-ar"] == corpora["mkqa-th"] == "mkqa"
    assert corpora["mkqa-nq-ar"] == "nq"
    (dataset,) = jobs().evaluate(["mkqa-nq-ar"], LAYOUT, {}).benchmarks["mkqa-nq-ar"].values()
    assert dataset.corpus == "results/benchmarks/nq/corpus.parquet"
    assert dataset.queries == "results/benchmarks/mkqa-nq-ar/queries.parquet"
    assert dataset.max_words is None
    (cut,) = jobs(data={"max_words": 9}).evaluate(["web"], LAYOUT, {}).benchmarks["web"].values()
    assert cut.max_words == 9
    assert jobs().prepare_corpus("miracl-sw").part == "sw"
    assert jobs().prepare_corpus("mkqa").part is None
    assert jobs().prepare_queries("mkqa-th").part == "th"


def test_a_corpus_may_be_that_of_a_benchmark_that_is_not_evaluated():
    alone = jobs(benchmarks={"mkqa-web": ENTRY | {"source": {"reader": "mkqa", "path": "m"}, "corpus": "web"}})
    only = Jobs(alone.config.model_copy(update={"benchmarks": ["mkqa-web"]}), registry_of(alone))
    assert only.tests.evaluated == ["mkqa-web"]
    assert only.prepare("web").benchmark.source.reader == "jsonl"


def test_an_unknown_corpus_is_named():
    wrong = jobs(benchmarks={"other": ENTRY | {"source": {"reader": "mkqa", "path": "m"}, "corpus": "gone"}})
    with pytest.raises(UserError, match="no benchmark has the corpus 'gone'"):
        wrong.tests.corpus("gone")


def test_corpora_of_several_test_sets_are_searched_ahead_whatever_their_size():
    assert jobs().tests.searched == {"mkqa": 1, "nq": 1}
    assert jobs().tests.is_searched("nq") and jobs().tests.is_searched("mkqa-ar")
    assert not jobs().tests.is_searched("cqa-a") and not jobs().tests.is_searched("in_domain")


def test_corpora_of_many_passages_are_searched_by_a_job_for_about_so_many():
    rows = {"reader": "miracl", "path": "m"}
    known = {
        "large": ENTRY | {"source": {"reader": "beir", "path": "l"}, "expected_rows": {"passages": 100}},
        "languages": ENTRY
        | {"source": rows, "parts": ["en", "ar", "sw"]}
        | {"expected_rows": {"passages": 170, "part_passages": {"en": 121}}},
    }
    all_of_them = jobs(known, evaluation={"scatter": 40})
    tests = Jobs(all_of_them.config.model_copy(update={"benchmarks": [*known]}), registry_of(all_of_them)).tests
    assert tests.searched == {"large": 3, "languages-en": 4}
    assert tests.expected_passages("languages-ar") == 25


def test_of_large_corpora_and_of_those_that_nobody_knows_a_sample_is_searched_under_another_name():
    small = ENTRY | {"source": {"reader": "beir", "path": "s"}, "expected_rows": {"passages": 60}}
    large = ENTRY | {"source": {"reader": "beir", "path": "l"}, "expected_rows": {"passages": 61}}
    sampled = jobs({"small": small, "large": large}, evaluation={"scatter": 40, "sample": {"hard": 10, "random": 50}})
    named = {"benchmarks": ["in_domain", "small", "large", "nq", "mkqa-nq"]}
    previews = Jobs(sampled.config.model_copy(update=named), registry_of(sampled))
    shared = ["nq@sample", "mkqa-nq-ar@sample", "mkqa-nq-th@sample"]
    assert previews.tests.evaluated == ["in_domain", "small", "large@sample", *shared]
    assert previews.tests.searched == {"small": 2, "nq@sample": 1}  # a sample is one part
    assert previews.tests.searching("nq@sample") == ["mkqa-nq-ar", "mkqa-nq-th", "nq"]
    (dataset,) = previews.evaluate(["mkqa-nq-ar@sample"], LAYOUT, {}).benchmarks["mkqa-nq-ar@sample"].values()
    assert dataset.corpus == "results/benchmarks/nq@sample/corpus.parquet"
    assert dataset.queries == "results/benchmarks/mkqa-nq-ar/queries.parquet"
    assert previews.report().sampled == ["nq", "mkqa-nq-ar", "mkqa-nq-th", "large"]
    chosen_on = Jobs(sampled.config.model_copy(update=named | {"dev": ["cqa"]}), registry_of(sampled))
    assert chosen_on.tests.sampled == previews.tests.sampled  # choices are made on whole corpora

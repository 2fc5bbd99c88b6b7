"""`tdro check` on made data: each oddity is told with its figures, and what is well is not."""

import json
import re

import pytest
from reading import written
from toyjobs import ROOT, read_in

from tdro.artifacts.layout import Layout
from tdro.checking.check import check
from tdro.checking.facts import Facts
from tdro.checking.looks import look_at
from tdro.checking.table import text
from tdro.cli.main import main
from tdro.config.registry import Benchmark, Task
from tdro.config.sections import parse

ENTRY = {"language": "en", "instruction": "Find it."}
CONFIG = """registry: registry.yaml
benchmarks: [in_domain, web]
models: [{name: tiny, base: ./base, prompts: none}]
proxy: tiny
mixtures: [uniform, proportional, without-faq, curr]
mining: {encode: {model: ./base, max_length: 128}}
encoding: {query_length: 128, passage_length: 128}
training: {steps: 10, batch_size: 8}
tdro: {steps: 5, batch_size: 8, accumulation: 2}
"""
REGISTRY = """tasks:
  faq: {category: web, language: en, instruction: Find it., source: {reader: jsonl, path: faq.jsonl}}
  posts:
    category: web
    language: en
    instruction: Find it.
    held_out: 10
    source: {reader: table, path: posts.csv, columns: {query: "{title} {body}", positive: answer}, where: {kind: a}}
benchmarks:
  web: {language: en, instruction: Find it., source: {reader: beir, path: web}}
"""


def pairs(number, start=0):
    return [
        {
            "query": f"what is the colour of the thing {n}",
            "positive": f"the thing {n} in the house is {n * 7919 % 1009}",
        }
        for n in range(start, start + number)
    ]


@pytest.fixture
def made(tmp_path, monkeypatch, tiny_base):
    """Makes the folder of a configuration; returns what was found in it."""
    (tmp_path / "base").symlink_to(tiny_base)
    written(tmp_path / "faq.jsonl", pairs(60))
    rows = [
        f"{n},title {n} of the post,{'the body ' * (n % 3)},an answer to {n * 31 % 977} and it is,a" for n in range(90)
    ]
    written(tmp_path / "posts.csv", "id,title,body,answer,kind\n" + "\n".join([*rows, "x,y,z,w,b"]) + "\n")
    written(tmp_path / "web/corpus.jsonl", [{"_id": "1", "text": "green is a colour of the grass"}])
    written(tmp_path / "web/queries.jsonl", [{"_id": "q", "text": "which colour is that of the grass in spring"}])
    written(tmp_path / "web/qrels/test.tsv", "q\t1\t1\n")

    def run(config=CONFIG, registry=REGISTRY, most=1000):
        written(tmp_path / "config.yaml", config)
        written(tmp_path / "registry.yaml", registry)
        jobs = read_in(tmp_path, monkeypatch, config, registry)
        return check(jobs, ROOT, Layout("results"), most)

    run.folder = tmp_path
    return run


def told(checked, name):
    return [finding.text for finding in checked.findings if finding.dataset == name]


def test_what_is_well_is_shown_and_nothing_is_said_of_it(made):
    checked = made()
    assert told(checked, "faq") == told(checked, "posts") == told(checked, "web") == []
    assert not checked.fatal
    page = text(checked)
    rows = {
        line.split("|")[1].strip(): [c.strip() for c in line.split("|")[2:-1]]
        for line in page.splitlines()
        if "|" in line
    }
    assert rows["posts"][:4] != []
    faq, posts = (next(one for one in checked.facts if one.look.name == name) for name in ("faq", "posts"))
    assert (faq.look.rows, len(faq.queries), len(faq.passages), faq.look.ended) == (60, 60, 60, True)
    assert posts.look.rows == 90
    assert checked.sizes == {"faq": (60, False), "posts": (80, False)}
    assert checked.shares["proportional"] == {"faq": pytest.approx(60 / 140), "posts": pytest.approx(80 / 140)}
    assert checked.shares["without-faq"] == {"faq": 0, "posts": 1}
    assert checked.shares["curr"] is None
    assert "columns title (query), body (query, 33% empty), answer (positive), kind (where); not read: id" in page
    assert "Told by the run itself: curr." in page
    assert "100% (1.0x)" in page  # 10 steps of 8 rows, 80 queries
    assert re.search(r"Forecast: a whole run has \d+ jobs", page)


def test_more_rows_than_are_looked_at_are_counted_and_more_than_that_are_said_to_be(made):
    faq = next(one for one in made(most=10).facts if one.look.name == "faq")
    assert (len(faq.look.pairs), faq.look.rows, faq.look.ended) == (10, 60, True)
    faq = next(one for one in made(most=2).facts if one.look.name == "faq")
    assert (len(faq.look.pairs), faq.look.ended) == (2, False)


def of_rows(folder, rows, **entry):
    written(folder / "t.jsonl", rows)
    source = {"reader": "jsonl", "path": str(folder / "t.jsonl")}
    return Facts(look_at("t", parse(Task, ENTRY | {"category": "web", "source": source} | entry, "t"), 1000), 2)


def test_figures_of_rows(tmp_path):
    rows = [
        *pairs(4),
        {"query": "What is a prime?", "positives": ["what is a prime", "a number"]},
        {
            "query": "how tall is the tower in the city of paris",
            "positive": "how tall is the tower of the city of paris",
        },
        {"query": "", "positive": "x"},
        {"query": "x", "positive": " "},
        {"query": "x ", "positive": "a number"},
    ]
    facts = of_rows(tmp_path, rows)
    assert (facts.empty_queries, facts.empty_positives) == (1, 1)
    assert facts.echoes == (1, 1, "What is a prime?")
    assert len(facts.queries) == 7
    assert facts.distinct_positives == 8
    assert facts.query_words == pytest.approx((4 * 8 + 4 + 10 + 1) / 7)


@pytest.mark.parametrize("groups", [[5, 3, 2], [1] * 10, [10]])
def test_rows_of_a_batch_with_the_same_answer_are_as_many_as_all_batches_have_on_average(tmp_path, groups):
    from itertools import combinations
    from statistics import mean

    rows = [{"query": f"q {i} {j}", "positive": f"answer {i}"} for i, n in enumerate(groups) for j in range(n)]
    owners = [i for i, n in enumerate(groups) for _ in range(n)]
    alike = [mean(batch.count(one) - 1 for one in batch) for batch in combinations(owners, 4)]
    assert of_rows(tmp_path, rows).others_alike(4) == pytest.approx(mean(alike))


def test_each_oddity_of_a_task_is_told(made):
    long = "the answer is a long story of what to do and how to do it " * 8
    rows = [
        *({"query": f"<p>how do I do the thing {n}</p>", "positive": long} for n in range(50)),
        *({"query": f"wie kann ich die Sache {n} nicht mehr machen", "positive": f"ja {n} {long}"} for n in range(40)),
        *({"query": f"is it the same {n}", "positive": f"Is it the same {n}?"} for n in range(10)),
        *({"query": "", "positive": f"nothing {n}"} for n in range(10)),
    ]
    written(made.folder / "faq.jsonl", rows)
    written(made.folder / "web/queries.jsonl", [{"_id": "q", "text": "wie kann ich die Sache 7 nicht mehr machen?"}])
    written(made.folder / "web/corpus.jsonl", [{"_id": "1", "text": f"Ja 9 {long.strip()}!"}])
    found = "\n".join(told(made(), "faq"))
    for said in (
        r"of the first \d+ texts look like HTML, such as '<p>how do I do the thing 0</p>'; `clean: html`",
        r"`language: en`, and \d+% of the texts look like 'de'",
        r"9\.1% of rows have an empty query and are dropped",
        r"9\.1% of rows have a positive that says the same as its query, and 0% one that nearly does",
        r"\d distinct answers in 110 rows: in a batch of 8 rows 1\.\d others have the same answer",
        r"\d+% of passages are longer than the miner reads: 128 tokens \(`mining.encode.max_length`\)",
        r"1 of \d+ queries nearly equal one of the benchmark web, .*; they are removed from training",
        r"1 of \d+ answers are passages of the benchmark web, such as 'ja 9 the answer",
    ):
        assert re.search(said, found), (said, found)


def test_answers_that_nearly_equal_each_other_are_told(made):
    words = "the quick brown fox jumps over the lazy dog and runs into the deep forest where it lives with its young"
    rows = [{"query": f"question number {n} of all", "positive": f"{words}{'!' * n}"} for n in range(4)]
    written(made.folder / "faq.jsonl", [*pairs(8), *rows])
    (line,) = [line for line in told(made(), "faq") if "nearly equal another" in line]
    assert line.startswith("25% of answers nearly equal another one, such as 'the quick brown fox")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.replace("held_out: 10", "held_out: 90"), "`held_out` and `dev` keep 90 queries out of training"),
        (
            lambda r: r.replace("held_out: 10", "held_out: 10\n    negatives: provided"),
            "`negatives: provided`, and no row has any",
        ),
        (lambda r: r.replace("{title} {body}", "{titel}"), r"has no column 'titel' \(did you mean 'title'\?\)"),
        (lambda r: r.replace("kind: a", "kind: c"), r"`where` takes none of 91 rows: it asks for 'c' in `kind`"),
        (lambda r: r.replace("posts.csv", "post.csv"), r"nothing lies at post\.csv \(did you mean 'posts\.csv'\?\)"),
    ],
)
def test_what_stops_a_run_is_told_once_and_ends_the_command_with_1(made, capsys, change, said):
    checked = made(registry=change(REGISTRY))
    fatal = [finding for finding in checked.findings if finding.fatal]
    assert len(fatal) == 1
    assert re.search(said, fatal[0].text)
    with pytest.raises(SystemExit) as ended:
        main(["check", "config.yaml", "--rows", "500"])
    assert ended.value.code == 1
    assert "1 of these stop a run." in capsys.readouterr().out


def test_malformed_rows_stop_a_run_where_they_are_not_allowed(made):
    with (made.folder / "faq.jsonl").open("a") as file:
        file.write("{no json}\n")
    checked = made()
    assert checked.fatal
    assert re.search(
        r"malformed: faq.jsonl, line 61 is not JSON .*; `data.max_bad_rows` allows 0", told(checked, "faq")[0]
    )
    assert not made(config=CONFIG + "data: {max_bad_rows: 1}\n").fatal


def test_warnings_end_the_command_with_0(made, capsys):
    made()
    main(["check", "config.yaml"])
    assert "faq" in capsys.readouterr().out


def test_a_wrong_configuration_ends_as_any_command_does(made):
    made()
    written(made.folder / "config.yaml", CONFIG.replace("steps: 10", "stepz: 10"))
    with pytest.raises(SystemExit, match=r"unknown key `training.stepz` \(did you mean 'steps'\?\)"):
        main(["check", "config.yaml"])


def test_a_small_task_is_told_its_batch(made):
    written(made.folder / "faq.jsonl", pairs(6))
    assert "6 queries to train on, fewer than the 8 rows of a batch" in told(made(), "faq")[0]


def test_the_limit_of_a_model_counts_where_it_is_lower(made, tiny_base):
    base = made.folder / "base"
    base.unlink()
    base.mkdir()
    for file in tiny_base.iterdir():
        (base / file.name).symlink_to(file)
    written(base / "sentence_bert_config.json", json.dumps({"max_seq_length": 4}))
    found = told(made(), "faq")
    assert any(
        "of passages are longer than tiny reads: 4 tokens (the model's own limit, below" in line for line in found
    )


def test_a_benchmark_in_parts_is_looked_at_part_by_part(tmp_path):
    for part in ("a", "b"):
        folder = tmp_path / part
        written(folder / "corpus.jsonl", [{"_id": str(n), "text": f"text {part} {n}"} for n in range(5)])
        written(folder / "queries.jsonl", [{"_id": f"q{n}", "text": f"query {part} {n}"} for n in range(5)])
        written(folder / "qrels/test.tsv", "".join(f"q{n}\t{n}\t1\n" for n in range(5)))
    entry = ENTRY | {"parts": ["a", "b"], "source": {"reader": "beir", "path": str(tmp_path / "{part}")}}
    look = look_at("web", parse(Benchmark, entry, "web"), 4)
    assert look.queries == ["query a 0", "query a 1", "query b 0", "query b 1"]
    assert (len(look.passages), look.ended) == (4, False)
    assert look_at("web", parse(Benchmark, entry, "web"), 20).ended


def test_the_passages_of_a_task_with_a_corpus_are_those_that_its_rows_name(tmp_path):
    written(tmp_path / "corpus.jsonl", [{"_id": str(n), "title": "T", "text": f"text {n}"} for n in range(5)])
    written(tmp_path / "queries.jsonl", [{"_id": "q", "text": "query"}])
    written(tmp_path / "qrels/train.tsv", "q\t3\t1\n")
    source = {"reader": "beir", "path": str(tmp_path)}
    look = look_at("t", parse(Task, ENTRY | {"category": "c", "source": source}, "t"), 10)
    assert look.pairs == [("query", ["T text 3"])]


def test_what_cannot_be_had_now_is_no_error(tmp_path, monkeypatch):
    from tdro.errors import UserError
    from tdro.readers import fetch

    def no_network(job):
        raise UserError("dataset org/data (revision main) cannot be fetched (no network)")

    monkeypatch.setattr(fetch, "fetch", no_network)
    source = {"reader": "jsonl", "hub": "org/data"}
    look = look_at("t", parse(Task, ENTRY | {"category": "c", "source": source}, "t"), 10)
    assert look.absent and not look.wrong
    source = {"reader": "mteb", "path": "NFCorpus"}
    assert (
        look_at("b", parse(Benchmark, ENTRY | {"source": source}, "b"), 10).absent
        == "mteb loads it when the run starts"
    )

"""What was evaluated on a sample of a corpus is marked wherever it is shown, and nothing else is."""

import re

import pytest
from finished import BENCHMARKS, Finished, content

from tdro.artifacts.files import read_json, write_json
from tdro.errors import UserError

SAMPLED = {"sampled": ["scifact"], "suites": {"BEIR": ["nfcorpus", "scifact"], "own": ["nfcorpus"]}}


@pytest.fixture(scope="module")
def previewed(tmp_path_factory):
    tree = Finished(tmp_path_factory.mktemp("previewed"), content(**SAMPLED, untrained=["bm25"]), shift={"curr": 0.1})
    tree.untrained("bm25", 0.4)
    return tree


def test_every_place_that_shows_a_preview_says_so_and_no_other(previewed):
    built = previewed.report()
    of = {(row["benchmark"], row["dataset"]): row["preview"] for row in built.rows}
    expected = {("scifact", "(mean)"), ("scifact", "scifact"), ("BEIR", "(mean)"), ("out_of_domain", "(mean)")}
    assert {place for place, marked in of.items() if marked == "yes"} == expected
    assert {marked for place, marked in of.items() if place not in expected} == {""}
    headings = re.findall(r"<thead><tr><th>mixture</th>\s*(.*?)</tr>", built.html, re.DOTALL)
    shown = [re.findall(r"<th>([^<]*)", heading) for heading in headings]
    assert shown and all(
        names == ["in domain", "nfcorpus", "scifact (preview)", "BEIR (preview)", "out of domain (preview)"]
        for names in shown
    )
    for said in (built.text, " ".join(built.summary.split())):
        assert "Previews: scifact was evaluated on a sample of the passages" in said
    lines = [line.split("|")[1].strip() for line in built.summary.splitlines() if line.startswith("|")]
    assert lines.count("scifact (preview)") == 2 and lines.count("nfcorpus") == 2  # untrained, then trained
    assert lines.count("out of domain (preview)") == 3 and "scifact" not in lines
    for sentence in ("Out of domain (preview), against bm25", "Out of domain (preview) (mean of 2 benchmarks)"):
        assert sentence in built.text
    assert "nfcorpus (+0.1" in built.text and re.search(r"(?<!\()scifact \(preview\) \(\+0\.1", built.text)
    assert "nfcorpus (preview)" not in built.text and "in domain (preview)" not in built.text.lower()
    assert max(map(len, built.summary.splitlines()[:-1])) <= 120


def test_scores_of_a_preview_lie_apart_from_full_ones(previewed):
    folder = previewed.root / "results/tiny/seed1/uniform/eval"
    assert (folder / "scifact@sample.json").is_file() and not (folder / "scifact.json").exists()
    previewed_only = Finished(previewed.root / "other", content())
    previewed_only.settings = content(**SAMPLED)
    with pytest.raises(UserError, match=r"scifact@sample\.(json|queries\.parquet)"):
        previewed_only.report()


def test_a_sample_of_all_passages_is_no_preview(tmp_path):
    tree = Finished(tmp_path, content(**SAMPLED))
    for file in tree.root.rglob("*@sample.json"):
        stated = read_json(file)
        stated["datasets"]["scifact"]["sampled_from"] = 30
        write_json(file, stated)
    built = tree.report()
    assert "preview" not in built.text.lower() + built.summary.lower()
    assert {row["preview"] for row in built.rows} == {""}


def test_a_score_that_does_not_say_of_what_it_is_a_sample_is_refused(tmp_path):
    tree = Finished(tmp_path, content(sampled=["scifact"], benchmarks=BENCHMARKS))
    for file in tree.root.rglob("*@sample.json"):
        stated = read_json(file)
        del stated["datasets"]["scifact"]["sampled_from"]
        write_json(file, stated)
    with pytest.raises(UserError, match=r"scifact@sample\.json does not say what its corpus is a sample of"):
        tree.report()

import pytest
from finished import Finished

from tdro.artifacts.files import read_table, write_table
from tdro.artifacts.schemas import LEAKS
from tdro.errors import UserError
from tdro.report.stages.leaks import leaks


def test_no_leak_is_said_to_be_none(built):
    assert "None of 300 evaluation queries and 400 relevant passages stands in the training data." in built.text
    assert "Examples" not in built.text.split("Evaluation texts left in training")[1].split("Time and memory")[0]


def test_leaks_by_benchmark(tmp_path):
    tree = Finished(tmp_path)
    tree.leaks({"news": 3, "code": 6, "scifact": 60}, files={"own.tsv": 1})
    text = tree.report().text
    assert "in_domain 180 9 (5%) 9 (5%) 240 0 4 (1.7%) nfcorpus 60 0 0 80 0 0 scifact 60 60 (100%) 60 (100%)" in text
    assert "own.tsv 60 1 (1.7%) 1 (1.7%) 80 0 0 Examples" in text
    assert f"scifact query in a training positive text 0 of scifact {'x' * 217}... qa 80%" in text
    assert text.count("in a training positive text") == 3 + 3 + 1
    tree.leaks()
    write_table(tree.layout.leaks, read_table(tree.layout.leaks, LEAKS).slice(0, 1), LEAKS)
    with pytest.raises(UserError, match="says nothing of 'code'"):
        leaks(tree.settings.benchmarks, tree.layout)

"""Several files, folders, options and damaged files; paths that are misspelt."""

from pathlib import Path

import pytest
from everyartifact import BENCHMARK, MIXTURE, MODEL, SEED, as_json
from ours import write_sealed

from tdro.artifacts.files import write_json
from tdro.errors import UserError
from tdro.report.show.output import plain
from tdro.report.show.show import show
from tdro.report.show.view import Asked


def test_files_of_several_kinds_come_one_after_the_other(layout):
    files = [layout.task("code", "corpus.parquet"), layout.weights(MODEL, SEED, MIXTURE), layout.project]
    files += [layout.weights(MODEL, SEED, "uniform")]
    view = show([Path(file) for file in files], Asked())
    assert [one["kind"] for one in as_json(view)] == ["corpus", "weights", "project"]
    assert as_json(view)[1]["files"] == [files[1], files[3]]
    text = plain(view)
    assert text.index("corpus.parquet: corpus") < text.index("difference: uniform minus curr") < text.index("registry")


def test_a_folder_is_listed_with_what_can_be_shown(layout):
    view = show([Path(layout.task_folder("code"))], Asked())
    listed = {one["file"]: (one["kind"], one["rows"]) for one in as_json(view)["content"]["files"]}
    assert listed["corpus.parquet"] == ("corpus", 6)
    assert listed["embeddings/"] == ("embeddings", None)
    assert listed["heldout/"] == ("folder", None)
    assert "training or dev rows" in plain(view)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds nothing"):
        show([tmp_path], Asked())


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("data/cod/corpus.parquet", "data/code/corpus.parquet"),
        ("data/code/corpus", "data/code/corpus.parquet"),
        (f"{MODEL}/seed{SEED}/wieghts/cur.json", f"{MODEL}/seed{SEED}/weights/curr.json"),
    ],
)
def test_a_misspelt_path_is_guessed_part_by_part(layout, wrong, meant):
    with pytest.raises(UserError, match=f"{wrong} does not exist .did you mean '.*{meant}'"):
        show([Path(layout.results) / wrong], Asked())
    with pytest.raises(UserError, match=r"does not exist\.$"):
        show([Path(layout.results) / "nothing-alike-at-all" / "x"], Asked())


@pytest.mark.parametrize(
    ("file", "asked", "said"),
    [
        ("data/code/train.parquet", Asked(drawn=9), "no use for --drawn"),
        ("project.json", Asked(rows=9), "no use for --rows: --rows counts rows"),
        (f"{MODEL}/seed{SEED}/weights/curr.json", Asked(row=1), "kind 'weights', which has no use for --row"),
        ("data", Asked(rows=1), "is a folder, which has no use for --rows"),
        ("data/code/train.parquet", Asked(rows=0), "--rows is 0"),
        ("data/code/train.parquet", Asked(row=-1), "--row is -1"),
        ("data/code/train.parquet", Asked(rows=1, row=1), "exclude each other"),
        ("data/code/train.parquet", Asked(row=3), "has 3 rows and no row 3; its last row is 2"),
        (f"{MODEL}/seed{SEED}/weights/curr.json", Asked(drawn=0), "--drawn is 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(layout, file, asked, said):
    with pytest.raises(UserError, match=said):
        show([Path(layout.results) / file], asked)


def test_an_option_counts_for_the_files_that_it_is_for(layout):
    files = [Path(layout.project), Path(layout.task("code", "train.parquet"))]
    assert len(as_json(show(files, Asked(rows=1)))[1]["content"]["rows"]) == 1


def test_a_damaged_file_is_named(layout, tmp_path):
    whole = Path(layout.task("code", "train.parquet")).read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cut\.parquet is not a readable Parquet file"):
        show([tmp_path / "cut.parquet"], Asked())
    columns = {"query": ["text"], "positives": [[1]], "negatives": [[1]]}
    write_sealed(tmp_path / "types.parquet", columns)
    with pytest.raises(UserError, match=r"types\.parquet has a column of another type .*'text'"):
        show([tmp_path / "types.parquet"], Asked())
    write_json(tmp_path / "scores.json", {"benchmark": BENCHMARK, "datasets": {"a": 3}})
    with pytest.raises(UserError, match=r"scores\.json is no whole scores"):
        show([tmp_path / "scores.json"], Asked())
    (tmp_path / "no.json").write_text("{")
    with pytest.raises(UserError, match=r"no\.json is not JSON"):
        show([tmp_path / "no.json"], Asked())

"""What Snakemake would answer with a traceback, or with nothing, is a sentence."""

import re
from pathlib import Path

import pytest
import snakemake.cli

from tdro.errors import UserError
from tdro.pipeline.commandline import check_configurations, check_targets, targets_are_named


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with two configurations and a result."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("registry: r.yaml\n")
    (tmp_path / "more.yaml").write_text("seeds: [1]\n")
    (tmp_path / "list.yaml").write_text("- registry\n")
    (tmp_path / "bad.yaml").write_text("a: [\n")
    (tmp_path / "results").mkdir()
    (tmp_path / "results/w.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--configfile", "mien.yaml"], "nothing lies at mien.yaml (did you mean 'mine.yaml'?); name a configuration"),
        (["--configfile", "conf/mine.yaml", "-n"], "nothing lies at conf/mine.yaml; name a configuration"),
        (["--configfile", "list.yaml"], "list.yaml holds no keys; expected a configuration"),
        (["--configfile", "bad.yaml"], "bad.yaml is not YAML"),
        (["--configfile", "mine.yaml", "bad.yaml"], "bad.yaml is not YAML"),
        (
            ["-n", "--configfile", "mine.yaml", "packages", "--cores", "2"],
            "packages is a target; write targets first: snakemake packages -n --configfile mine.yaml --cores 2",
        ),
        (["--configfile", "mine.yaml", "results/w.json"], "results/w.json is a target; write targets first"),
    ],
)
def test_a_configuration_that_is_none_is_refused(line, said):
    with pytest.raises(UserError, match=re.escape(said)):
        check_configurations(["snakemake", *line])


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["--configfile", "mine.yaml", "more.yaml", "--cores", "2"],
        ["packages", "--configfile", "mine.yaml"],
        ["--configfile", "mine.yaml", "--", "packages"],
    ],
)
def test_others_pass(line):
    check_configurations(["snakemake", *line])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["reprot"], "there is no rule 'reprot' (did you mean 'report'?); `snakemake --list-target-rules`"),
        (["-n", "-R", "trian"], "there is no rule 'trian' (did you mean 'train'?)"),
        (["-n", "--until", "everything"], "there is no rule 'everything'; `snakemake"),
        (["results/tiyn/seed1/model"], "no rule makes results/tiyn/seed1/model; see whether its models, tasks and"),
    ],
)
def test_a_target_that_nothing_makes_is_refused(line, said):
    with pytest.raises(UserError, match=re.escape(said)):
        check_targets(["snakemake", *line], ["train", "report"], lambda file: False, ["tiny"])


def test_rules_files_that_are_there_and_files_that_a_rule_makes_are_targets():
    line = ["snakemake", "report", "results/w.json", "results/made", "-R", "train"]
    check_targets(line, ["train", "report"], lambda file: file == "results/made", ["tiny"])


@pytest.mark.parametrize(("line", "named"), [(["-n"], False), (["-n", "report"], True), (["--no-such-option"], False)])
def test_whether_targets_are_named_is_known_before_the_workflow_is_read(line, named):
    assert targets_are_named(["snakemake", *line]) == named


def test_snakemake_itself_ends_with_the_sentence(folder, monkeypatch, capsys):
    """The default profile asks before Snakemake opens a configuration."""
    (folder / "Snakefile").write_text("rule nothing:\n")
    (folder / "profiles/default").mkdir(parents=True)
    profile = Path(__file__).parents[3] / "profiles/default/config.yaml"
    (folder / "profiles/default/config.yaml").write_text(profile.read_text())
    monkeypatch.setattr("sys.argv", ["snakemake", "-n", "--configfile", "mien.yaml"])
    with pytest.raises(SystemExit) as end:
        snakemake.cli.main()
    assert end.value.code.startswith("Error: nothing lies at mien.yaml (did you mean 'mine.yaml'?)")

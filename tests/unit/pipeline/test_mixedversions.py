"""Results that another version of the code or of a library has made are told of."""

from pathlib import Path

from tdro.artifacts import versions
from tdro.artifacts.versions import note
from tdro.cli.main import COMMANDS
from tdro.pipeline import mixedversions


def test_one_line_names_the_rules_whose_outputs_another_version_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results, notes = Path("results"), Path("results/.versions")
    runs = {name: command.run for name, command in COMMANDS.items()}
    rules = {"results/model": "train", "results/rows": "dedup", "results/gone": "dedup", "results/other": None}

    def line(**options):
        return mixedversions.warning(results, notes, runs, rules.get, libraries=options.get("libraries", True))

    assert line() is None
    (results / "data/faq").mkdir(parents=True)
    assert line() is None  # its first job was killed
    (results / "data/faq/corpus.parquet").touch()
    assert "did not note" in line()
    train, dedup = (versions.of_command(COMMANDS[name].run) for name in ("train", "dedup"))
    for output in ("results/model", "results/rows", "results/other"):
        Path(output).touch()
    note(notes, "train", train._replace(libraries=train.libraries | {"torch": "1.0"}), Path("results/model"))
    note(notes, "dedup", dedup, Path("results/rows"))
    note(notes, "dedup", dedup._replace(code="0"), Path("results/gone"))
    note(notes, "dedup", dedup._replace(code="0"), Path("results/other"))
    torch = train.libraries["torch"]
    assert line().startswith(f"Results were made by another version: train (torch 1.0 (now {torch})). ")
    assert line().endswith("--forcerun train")
    assert line(libraries=False) is None
    note(notes, "dedup", dedup._replace(code="0"), Path("results/rows"))
    assert line().endswith("--forcerun dedup train")
    assert "\n" not in line()

import pytest

from tdro.cli import planrun
from tdro.cli.main import main
from tdro.pipeline.screen.install import PLANNED


@pytest.mark.parametrize("status", [0, 1])
def test_it_hands_the_arguments_on_to_a_dry_run_and_ends_as_that_does(monkeypatch, status):
    asked = {}

    def run(line, variables):
        asked.update(line=line, env=variables)
        return status

    monkeypatch.setattr(planrun, "run", run)
    with pytest.raises(SystemExit) as end:
        main(["plan-run", "report", "--cores", "2", "--config", "seeds=[1]", "-R", "train"])
    assert end.value.code == status
    begun = asked["line"].index("--dry-run") + 1
    assert asked["line"][begun:] == ["report", "--cores", "2", "--config", "seeds=[1]", "-R", "train"]
    assert PLANNED in asked["env"]


def test_other_commands_refuse_what_is_not_theirs(capsys):
    with pytest.raises(SystemExit) as end:
        main(["show", "weights.json", "--cores", "2"])
    assert end.value.code == 2
    assert "tdro show: error: there is no option --cores. See" in capsys.readouterr().err

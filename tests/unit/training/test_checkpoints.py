import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from killing import KillAt, SignalAt, stopped
from ours import turn
from trainings import parameters
from waits import waiting

from tdro.config.models import Lora
from tdro.errors import Unfinished, UserError
from tdro.training import checkpoints, trainer
from tdro.training import train as train_stage
from tdro.training.checkpoints import newest_checkpoint
from tdro.training.train import train

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("lora", "change"), [(None, {}), (Lora(rank=2, dropout=0.2), {"mini_batch_tokens": 40})])
def test_a_killed_training_resumes_to_the_same_model(project, monkeypatch, lora, change):
    """Also with dropout, whose masks go on where they were."""
    job = project.train_job(project.model.model_copy(update={"lora": lora}), **change)
    whole = parameters(project.train("whole", job))
    stopped(monkeypatch, KillAt(5), lambda: project.train("resumed", job))
    assert torch.equal(parameters(project.train("resumed", job)), whole)


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.pt", "trainer_state.json", "checksums.json"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(project, monkeypatch, name, caplog):
    job, checkpoints = project.train_job(save_steps=2), project.places("resumed").checkpoints
    stopped(monkeypatch, KillAt(5), lambda: project.train("resumed", job))
    assert newest_checkpoint(checkpoints).name == "checkpoint-4"
    damaged = checkpoints / "checkpoint-4" / name
    turn(damaged, damaged.stat().st_size // 2)
    assert newest_checkpoint(checkpoints).name == "checkpoint-2"
    assert f"{damaged} is" in caplog.text and "goes on from the checkpoint before" in caplog.text
    if name == "weights.safetensors":
        assert torch.equal(parameters(project.train("resumed", job)), parameters(project.train("whole", job)))


@pytest.fixture
def ctrl_c():
    """Ctrl-C is heard, whatever the process was started to ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_after_its_step_and_the_next_run_goes_on_there(project, monkeypatch, number):
    # Steps between checkpoints are more than the training has: the one that is found comes from the signal.
    job, before = project.train_job(save_steps=100), signal.getsignal(number)
    whole = parameters(project.train("whole", job))
    resume = lambda: project.train("resumed", job)  # noqa: E731
    stopped(monkeypatch, SignalAt(4, number), resume, Unfinished, "after step 5 of 8")
    assert signal.getsignal(number) == before
    assert not (project.folder / "resumed").exists()
    assert newest_checkpoint(project.places("resumed").checkpoints).name == "checkpoint-5"
    assert torch.equal(parameters(resume()), whole)


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_ctrl_c_ends_at_once_and_a_second_sigterm_changes_nothing(project, monkeypatch):
    class Twice(SignalAt):
        def on_step_begin(self, *arguments, **others):
            super().on_step_begin(*arguments, **others)
            super().on_step_begin(*arguments, **others)

    job = project.train_job(save_steps=100)
    stopped(monkeypatch, Twice(4, signal.SIGTERM), lambda: project.train("m", job), Unfinished, "after step 5 of 8")
    stopped(monkeypatch, Twice(6, signal.SIGINT), lambda: project.train("m", job), KeyboardInterrupt)
    assert newest_checkpoint(project.places("m").checkpoints).name == "checkpoint-5"


@pytest.mark.parametrize("through", ["tdro.cli.launch", "launch.sh"])
def test_a_launched_job_of_one_process_saves_and_says_that_it_wants_to_go_on(project, tmp_path, through):
    """The signal reaches the launcher alone, which is the training itself; under SLURM also the shell before it."""
    job, places = project.train_job(save_steps=100), project.places("m")
    named = {name: path for name, path in places._asdict().items() if path}
    options = [part for name, path in named.items() for part in (f"--{name}", str(path))]
    command = ["train", *options, "--settings", job.model_dump_json()]
    if through == "tdro.cli.launch":
        start = [sys.executable, "-m", "tdro.cli.launch", "--configuration", "cpu", "--threads", "1", "--", *command]
    else:
        script = [str(ROOT / "workflow/scripts/launch.sh"), str(tmp_path / "log")]
        start = ["bash", *script, "1", "0", "1", "cpu", *command]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment |= waiting(tmp_path / "w", "tdro.training.losses:ContrastiveLoss.forward", 3)
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(start, stdout=out, stderr=out, env=environment, start_new_session=True)
    while not (tmp_path / "w/waits-1").exists():
        assert process.poll() is None, (tmp_path / "out").read_text()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGTERM) if through == "launch.sh" else process.send_signal(signal.SIGTERM)
    assert process.wait() == Unfinished.STATUS, (tmp_path / "out").read_text()
    assert newest_checkpoint(places.checkpoints).name == "checkpoint-3"
    said = (tmp_path / ("log" if through == "launch.sh" else "out")).read_text()
    assert "stopped by a signal after step 3 of 8" in said


@pytest.mark.parametrize("named", ["settings", "inputs", "code", "libraries"])
def test_checkpoints_of_another_run_are_not_resumed(project, monkeypatch, caplog, named):
    caplog.set_level("INFO", "tdro")
    job, places, version = project.train_job(), project.places("model"), checkpoints.of_stage
    other = project.train_job(learning_rate=1e-3) if named == "settings" else job
    if named == "inputs":
        project.plan(seed=2).replace(places.plan)
    with monkeypatch.context() as patch:
        made = version("tdro.training.train")
        changed = {"code": "another", "libraries": made.libraries | {"torch": "1.0.0"}}
        others = {key: value for key, value in changed.items() if key == named}
        patch.setattr(checkpoints, "of_stage", lambda stage: version(stage)._replace(**others))
        stopped(monkeypatch, KillAt(5), lambda: train(places, other))
    assert newest_checkpoint(places.checkpoints)
    project.plan()

    def begin(*arguments, **others):
        assert not any(places.checkpoints.glob("checkpoint-*"))

    monkeypatch.setattr(trainer, "run", begin)
    monkeypatch.setattr(train_stage, "_save", lambda *a: None)
    train(places, job)
    assert f"{places.checkpoints} belongs to a run with other {named}; starting afresh" in caplog.messages


def test_a_folder_of_something_else_is_left_alone(project):
    places = project.places("m")
    places.checkpoints.mkdir()
    (places.checkpoints / "chapter1.txt").write_text("years of work")
    with pytest.raises(UserError, match="m-checkpoints holds something else than checkpoints"):
        train(places, project.train_job())
    assert (places.checkpoints / "chapter1.txt").read_text() == "years of work"


def test_a_kill_before_the_folder_was_claimed_does_not_make_it_something_else(project):
    places = project.places("m")
    places.checkpoints.mkdir()
    (places.checkpoints / ".run.json.elsewhere.7.tmp").write_text("{")
    assert project.train("m", project.train_job(steps=2)).is_dir()
    assert not places.checkpoints.exists()

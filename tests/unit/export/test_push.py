"""`tdro push` against a hub on 127.0.0.1, in processes of its own: huggingface_hub reads its settings when loaded."""

import os
import subprocess
import sys
import tarfile

import pytest
from fakehub import FakeHub

from tdro.artifacts.files import write_json
from tdro.artifacts.foreign import write_foreign

TOKEN = "hf_a_secret_that_nobody_prints"


@pytest.fixture
def hub():
    hub = FakeHub()
    hub.writers[TOKEN] = {"me"}
    yield hub
    hub.stop()


@pytest.fixture
def results(tmp_path):
    """Two evaluated models, one that was not evaluated, weights and a report."""
    folder = tmp_path / "results"
    for mixture in ("uniform", "curr", "expert-faq"):
        run = folder / "tiny" / "seed42" / mixture
        write_foreign(run / "model" / "modules.json", [])
        (run / "model" / "model.safetensors").write_bytes(mixture.encode() * 1000)
        (run / "model" / ".snakemake_timestamp").touch()
        write_json(folder / "tiny" / "seed42" / "weights" / f"{mixture}.json", {"domain_weights": {mixture: 1}})
        if mixture != "expert-faq":
            write_json(run / "eval" / "web.json", {})
    (folder / "report").mkdir()
    (folder / "report" / "index.html").write_text("the report")
    (folder / "report" / "results.csv").write_text("model\n")
    return folder


@pytest.fixture
def package(tmp_path, results):
    with tarfile.open(tmp_path / "mine.tar.gz", "w:gz") as archive:
        archive.add(results / "tiny/seed42/curr/model", arcname="mine")
    return tmp_path / "mine.tar.gz"


def push(hub, folder, *arguments, **environment):
    """Status and output; a token of None is none."""
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    settings |= {"HF_TOKEN": TOKEN} | environment
    done = subprocess.run(
        [sys.executable, "-m", "tdro", "push", *map(str, arguments)],
        env={key: value for key, value in (os.environ | settings).items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert TOKEN not in done.stdout
    assert "Traceback" not in done.stdout
    return done.returncode, done.stdout


def test_results_are_sent_as_models_weights_and_report_with_a_card(hub, results, tmp_path):
    status, output = push(hub, tmp_path, results, "--to", "me/study", "--private")
    assert status == 0, output
    sent = hub.repositories["model", "me/study"]
    models = {
        f"models/tiny.seed42.{m}/{file}" for m in ("uniform", "curr") for file in ("modules.json", "model.safetensors")
    }
    weights = {f"weights/tiny.seed42/{m}.json" for m in ("uniform", "curr", "expert-faq")}
    assert set(sent) == {"README.md", *models, *weights, "report/index.html", "report/results.csv"}
    assert sent["models/tiny.seed42.curr/model.safetensors"] == b"curr" * 1000
    assert sent["report/index.html"] == b"the report"
    card = sent["README.md"].decode()
    assert "| `models/tiny.seed42.curr` | tiny | 42 | curr |" in card
    assert 'snapshot_download("me/study", allow_patterns="models/tiny.seed42.curr/*")' in card
    assert hub.private == {"me/study"}
    assert [name for name, _ in hub.commits] == ["me/study"]
    assert "models/tiny.seed42.curr/model.safetensors" in output and "in 10 files" in output


def test_a_package_lies_at_the_top_and_what_the_repository_has_besides_stays(hub, package, results, tmp_path):
    hub.repositories["model", "me/mine"] = {"notes.md": b"mine", "modules.json": b"old"}
    status, output = push(hub, tmp_path, package, "--to", "me/mine")
    assert status == 0, output
    expected = {"notes.md": b"mine", "modules.json": b"[]\n", "model.safetensors": b"curr" * 1000}
    assert hub.repositories["model", "me/mine"] == expected
    assert hub.private == set()
    status, output = push(hub, tmp_path, results / "tiny/seed42/curr/model", "--to", "me/other")
    assert status == 0, output
    assert set(hub.repositories["model", "me/other"]) == {"modules.json", "model.safetensors"}


def test_a_dry_run_lists_what_would_be_sent_and_needs_no_hub(hub, results, tmp_path):
    hub.stop()
    arguments = ("--to", "me/study", "--mixtures", "curr", "--dry-run")
    status, output = push(hub, tmp_path, results, *arguments, HF_TOKEN=None, HF_HUB_OFFLINE="1")
    assert status == 0, output
    assert "0.004 MB  models/tiny.seed42.curr/model.safetensors" in output
    assert "models/tiny.seed42.uniform" not in output and "weights/tiny.seed42/uniform.json" in output
    assert hub.commits == []


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ((), {"HF_TOKEN": None}, "takes nothing without a token; run `hf auth login`"),
        ((), {"HF_TOKEN": "hf_wrong"}, "does not know your token"),
        (("--to", "others/study"), {}, "your token may not write to others/study"),
        (("--to", "me/public", "--private"), {}, "me/public exists and is public"),
        (("--to", "study"), {}, "'study' is no name of a repository; expected OWNER/NAME"),
        (("--to", "me/--"), {}, "'me/--' is no name of a repository"),
        (("--mixtures", "cur"), {}, "no evaluated model of 'cur' (did you mean 'curr'?); there are curr, uniform"),
        ((), {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set; unset it"),
        ((), {"HF_ENDPOINT": "http://127.0.0.1:9"}, "with a network, push again"),
    ],
)
def test_what_the_hub_or_the_user_lacks_is_one_sentence(hub, results, tmp_path, arguments, environment, message):
    hub.repositories["model", "me/public"] = {}
    given = arguments if "--to" in arguments else ("--to", "me/study", *arguments)
    status, output = push(hub, tmp_path, results, *given, **environment)
    assert status == 1
    errors = [line for line in output.splitlines() if line.startswith("tdro push: error:")]
    assert len(errors) == 1 and message in errors[0]
    assert hub.commits == []


def test_what_is_no_package_is_refused(hub, tmp_path, results):
    (tmp_path / "text.tar.gz").write_text("no archive")
    with tarfile.open(tmp_path / "rows.tar.gz", "w:gz") as archive:
        archive.add(results / "report", arcname="rows")
    (tmp_path / "empty").mkdir()
    for source, message in (
        ("text.tar.gz", "is no package of `tdro export`"),
        ("rows.tar.gz", "does not hold one folder with modules.json"),
        ("empty", "is neither a package of `tdro export` nor a folder of results"),
        ("missing", "is neither a package"),
    ):
        status, output = push(hub, tmp_path, tmp_path / source, "--to", "me/x")
        assert status == 1 and message in output

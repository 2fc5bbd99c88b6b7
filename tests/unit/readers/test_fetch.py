"""`tdro fetch` against a hub on 127.0.0.1, in processes of its own: huggingface_hub reads its settings when loaded."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fakehub import COMMIT, FakeHub
from ours import turn

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import QUERIES
from tdro.config.commands import PrepareJob
from tdro.config.models import Encoding, Model
from tdro.config.registry import Source
from tdro.config.sections import parse
from tdro.errors import UserError
from tdro.models.bases import load_retriever
from tdro.pipeline.start import read
from tdro.readers.fetch import dataset_job, find, model_job

ROOT = Path(__file__).parents[3]
BIG = bytes(range(256)) * 4000
ROWS = b"".join(b'{"query": "query %d", "positive": "passage %d"}\n' % (n, n) for n in range(20))
FILES = {"rows.jsonl": ROWS, "other/big.bin": BIG, "README.md": b"words"}
SOURCE = Source(reader="jsonl", hub="org/data", path="rows.jsonl")


@pytest.fixture
def hub():
    hub = FakeHub()
    hub.repositories["dataset", "org/data"] = FILES
    yield hub
    hub.stop()


def start(hub, folder, *arguments, **environment):
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    return subprocess.Popen(
        [sys.executable, "-m", "tdro", *map(str, arguments)],
        env=os.environ | settings | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(hub, folder, *arguments, **environment):
    process = start(hub, folder, *arguments, **environment)
    output, _ = process.communicate()
    return process.returncode, output


def arguments(folder, job):
    return ("fetch", "it", "--output", folder / "it.json", "--settings", job.model_dump_json())


def fetch(hub, folder, job):
    status, output = run(hub, folder, *arguments(folder, job))
    assert status == 0, output
    return folder / "it.json"


def refused(hub, folder, job):
    status, output = run(hub, folder, *arguments(folder, job))
    assert status == 1, output
    assert "Traceback" not in output
    assert not (folder / "it.json").exists()
    return output.strip().splitlines()[-1]


@pytest.mark.parametrize("revision", [None, COMMIT])
def test_the_manifest_names_commit_and_wanted_files_only(hub, tmp_path, revision):
    job = dataset_job(SOURCE.model_copy(update={"revision": revision}))
    manifest = json.loads(fetch(hub, tmp_path, job).read_text())
    assert manifest["commit"] == COMMIT
    expected = {"path": "rows.jsonl", "size": len(ROWS), "sha256": hashlib.sha256(ROWS).hexdigest()}
    assert manifest["files"] == [expected]
    assert set(hub.served) == {"rows.jsonl"}
    assert Path(manifest["folder"], "rows.jsonl").read_bytes() == ROWS


def test_a_download_cut_within_a_file_goes_on_where_it_was(hub, tmp_path):
    # The client hands on blocks of 10 MB; what is cut before the first one is fetched from the start.
    files = {"other/big.bin": BIG * 24}
    hub.repositories["dataset", "org/data"] = files
    hub.cut["other/big.bin"] = 1
    job = dataset_job(Source(reader="jsonl", hub="org/data", path="other"))
    manifest = fetch(hub, tmp_path, job)
    assert (find(job, manifest) / "other/big.bin").read_bytes() == BIG * 24
    assert [path for path, start in hub.ranges if start > 0] == ["other/big.bin"]


def test_finished_files_are_not_fetched_again(hub, tmp_path):
    job = dataset_job(Source(reader="jsonl", hub="org/data"))
    fetch(hub, tmp_path, job)
    before = dict(hub.served)
    fetch(hub, tmp_path, job)
    assert hub.served == before


@pytest.mark.parametrize(("name", "kind"), [("rows.jsonl", "sha256"), ("README.md", "git hash")])
def test_wrong_content_is_refused_and_not_kept(hub, tmp_path, name, kind):
    job, size = dataset_job(SOURCE.model_copy(update={"path": name})), len(FILES[name])
    hub.wrong.add(name)
    assert f"{name} of org/data arrived with {size} bytes and {kind} " in refused(hub, tmp_path, job)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == bytes(size)]
    hub.wrong.clear()
    assert (find(job, fetch(hub, tmp_path, job)) / name).read_bytes() == FILES[name]


def test_a_file_that_was_damaged_in_the_cache_is_refused(hub, tmp_path):
    place = find(dataset_job(SOURCE), fetch(hub, tmp_path, dataset_job(SOURCE))) / "rows.jsonl"
    place.write_bytes(ROWS[:-9])
    (tmp_path / "it.json").unlink()
    assert "rows.jsonl of org/data arrived with" in refused(hub, tmp_path, dataset_job(SOURCE))
    assert not place.exists()


def test_a_file_that_was_damaged_after_it_was_fetched_is_refused_by_the_next_rule(hub, tmp_path):
    job = dataset_job(SOURCE)
    manifest = fetch(hub, tmp_path, job)
    turn(find(job, manifest) / "rows.jsonl", 5)
    with pytest.raises(
        UserError, match=r"rows\.jsonl, listed in .*it\.json, is damaged: .* run the rule `fetch` again"
    ):
        find(job, manifest)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"hub": "org/none"}, r"dataset org/none .* is not on the hub, or is private: correct `source.hub`"),
        ({"revision": "v9"}, r"dataset org/data \(revision v9\) has no such revision"),
        ({"path": "none.jsonl"}, r"dataset org/data on the hub has no file none.jsonl"),
    ],
)
def test_wrong_names_are_told(hub, tmp_path, changes, sentence):
    assert re.search(sentence, refused(hub, tmp_path, dataset_job(SOURCE.model_copy(update=changes))))


def test_a_gated_repository_asks_for_its_licence(hub, tmp_path):
    hub.gated.add("org/data")
    assert "accept its licence" in refused(hub, tmp_path, dataset_job(SOURCE))


def test_without_a_network_the_repository_is_named(hub, tmp_path):
    hub.stop()
    assert "dataset org/data (revision main) cannot be fetched" in refused(hub, tmp_path, dataset_job(SOURCE))


def test_pickled_weights_and_code_are_never_fetched(hub, tmp_path):
    hub.repositories["model", "org/pickled"] = {"config.json": b"{}", "pytorch_model.bin": b"x"}
    assert "only pickled weights (pytorch_model.bin)" in refused(hub, tmp_path, model_job("org/pickled"))
    files = {"config.json": b"{}", "pytorch_model.bin": b"x", "model.safetensors": b"y", "modeling.py": b"z"}
    hub.repositories["model", "org/both"] = files
    fetch(hub, tmp_path, model_job("org/both"))
    assert set(hub.served) == {"config.json", "model.safetensors"}


def test_two_fetch_one_at_once(hub, tmp_path):
    job = dataset_job(Source(reader="jsonl", hub="org/data"))
    processes = [start(hub, tmp_path, *arguments(tmp_path, job)) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert (find(job, tmp_path / "it.json") / "other/big.bin").read_bytes() == BIG


def test_a_dataset_is_prepared_without_a_network(hub, tmp_path):
    manifest = fetch(hub, tmp_path, dataset_job(SOURCE))
    hub.stop()
    settings = PrepareJob(task={"source": SOURCE}).model_dump_json()
    prepare = ("prepare", "data", "--output", tmp_path / "data", "--fetched", manifest, "--settings", settings)
    status, output = run(hub, tmp_path, *prepare, HF_HUB_OFFLINE="1")
    assert status == 0, output
    assert read_table(tmp_path / "data/queries.parquet", QUERIES).num_rows == 20


def test_a_model_is_loaded_without_a_network(hub, tmp_path, tiny_base):
    files = {str(f.relative_to(tiny_base)): f.read_bytes() for f in tiny_base.rglob("*") if f.is_file()}
    hub.repositories["model", "org/tiny"] = files
    manifest = fetch(hub, tmp_path, model_job("org/tiny"))
    hub.stop()
    model = load_retriever(Model(name="tiny", base="org/tiny"), Encoding(precision="fp32"), manifest)
    assert model.encode(["alpha beta"]).shape == (1, 32)


def test_a_wiped_cache_names_the_rule(hub, tmp_path):
    manifest = fetch(hub, tmp_path, dataset_job(SOURCE))
    (find(dataset_job(SOURCE), manifest) / "rows.jsonl").unlink()
    with pytest.raises(UserError, match="run the rule `fetch` again"):
        find(dataset_job(SOURCE), manifest)
    with pytest.raises(UserError, match="is about org/data with other settings"):
        find(dataset_job(SOURCE.model_copy(update={"revision": "v1"})), manifest)


@pytest.mark.parametrize("path", ["beir", "beir/qrels/dev.tsv"])
def test_beir_brings_corpus_queries_and_qrels(hub, tmp_path, path):
    names = {"beir/corpus.jsonl", "beir/queries.jsonl", "beir/qrels/dev.tsv"}
    hub.repositories["dataset", "org/beir"] = dict.fromkeys([*names, "other/corpus.jsonl"], b"x")
    manifest = json.loads(
        fetch(hub, tmp_path, dataset_job(Source(reader="beir", hub="org/beir", path=path))).read_text()
    )
    assert {file["path"] for file in manifest["files"]} == names


@pytest.mark.parametrize(
    "keys, sentence",
    [
        ({"hub": "org/data", "package": "a==1"}, "`hub` and `package` exclude each other"),
        ({"revision": "main", "path": "x"}, "`revision` is that of a hub dataset"),
        ({"hub": "org/data", "path": "../x"}, "must lie inside the repository"),
        ({"hub": "org/data", "path": "/x"}, "must lie inside the repository"),
    ],
)
def test_a_source_has_one_place(keys, sentence):
    with pytest.raises(UserError, match=sentence):
        parse(Source, {"reader": "jsonl", **keys}, "registry")


def test_only_what_is_not_local_is_fetched_and_each_once():
    demo = read(yaml.safe_load((ROOT / "config/config.yaml").read_text()), ROOT)
    sources = [d.source for d in (*demo.tasks.values(), *demo.benchmarks.values())]
    references = [*(m.base for m in demo.config.models), demo.config.mining.encode.model]
    packages = {s.package for s in sources if s.package}
    packages |= {r.removeprefix("package:").split("/")[0] for r in references if r.startswith("package:")}
    fetched = {job.key: job.name for job in demo.fetches.values() if job}
    assert sorted(fetched.values()) == sorted(packages)
    paper = read(yaml.safe_load((ROOT / "config/paper.yaml").read_text()), ROOT)
    models = {job.name for job in paper.fetches.values() if job and job.kind == "model"}
    assert models == {m.base for m in paper.config.models} | {paper.config.mining.encode.model}


def test_a_task_of_the_hub_is_added_by_its_name(hub, tmp_path):
    hub.repositories["dataset", "org/data"] = {
        "README.md": b"words",
        "pair/test-0.jsonl": ROWS,
        "pair/train-0.jsonl": ROWS,
        "pair/train-1.jsonl": ROWS,
        "other/big.jsonl": BIG,
    }
    code, output = run(hub, tmp_path, "add-task", "org/data", TDRO_CACHE=str(tmp_path / "cache"))
    assert code == 0, output
    source = yaml.safe_load("tasks:\n" + output[output.index("  data:") :])["tasks"]["data"]["source"]
    assert source == {"reader": "jsonl", "hub": "org/data", "revision": COMMIT, "path": "pair/train-*.jsonl"}
    assert hub.served["other/big.jsonl"] == 0


def test_columns_of_a_table_of_the_hub_are_looked_at(hub, tmp_path):
    hub.repositories["dataset", "org/data"] = {"t.csv": b"question,answer,kind\n" + b"what is it,it is that,a\n" * 30}
    code, output = run(hub, tmp_path, "add-task", "org/data", "--append", tmp_path / "r.yaml")
    assert code == 0, output
    source = yaml.safe_load((tmp_path / "r.yaml").read_text())["tasks"]["data"]["source"]
    assert source == {
        **{"reader": "table", "hub": "org/data", "revision": COMMIT, "path": "t.csv"},
        "columns": {"query": "question", "positive": "answer"},
    }
    assert "30 rows; of the first 30: 1 distinct queries" in output

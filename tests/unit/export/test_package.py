"""The model card and the package, of a model that a tiny training has left."""

import json
import tarfile

import pyarrow as pa
import pytest
from huggingface_hub import ModelCard
from sentence_transformers import SentenceTransformer
from tinymodels import save_words

from tdro.artifacts.files import write_json
from tdro.artifacts.schemas import PLAN
from tdro.cli.main import main
from tdro.config.commands import TrainJob
from tdro.config.models import Encoding, Lora, Model
from tdro.config.prompts import named
from tdro.config.registry import Prompted
from tdro.config.training import Distill, Training
from tdro.mixtures.weights import Weights, write_weights
from tdro.models.bases import base_prompts, load_retriever
from tdro.models.load import load_trained
from tdro.training.card import describe_training

ENCODING = Encoding(query_length=16, passage_length=24)


def save(folder, retriever, tasks, **job):
    """Save a retriever with the card of a training on four rows: one of the first task, three of the last."""
    retriever.prompts, retriever.default_prompt_name = named(job["model"].prompts, tasks)
    retriever.save_pretrained(str(folder))
    names = [next(iter(tasks)), *[list(tasks)[-1]] * 3]
    columns = {"step": [0] * 4, "slot": range(4), "task": names, "query": range(4), "positive": range(4)}
    plan = pa.table(columns | {"negatives": [[]] * 4}, schema=PLAN)
    training = Training(steps=1, batch_size=4, distill=Distill(temperature=2))
    job = TrainJob(**job, encoding=ENCODING, training=training, tasks=tasks, seed=7)
    describe_training(folder, job, plan, texts=None, model=retriever)


@pytest.fixture(scope="module")
def model(tiny_base, tmp_path_factory):
    """A saved model with its card, the weights beside it, and scores on two test sets."""
    folder = tmp_path_factory.mktemp("export")
    base = Model(name="tiny", base=str(tiny_base))
    retriever = load_retriever(base, ENCODING)
    prompts = base_prompts(base, retriever)
    tasks = {task: Prompted(instruction=f"Find the {task} | one.") for task in ("red", "blue")}
    elsewhere = base.model_copy(update={"base": "org/base", "lora": Lora(), "prompts": prompts})
    save(folder / "model", retriever, tasks, model=elsewhere, own_negatives=["red"])
    write_weights(folder / "curr.json", Weights({"red": 0.25, "blue": 0.75}, {"red": 10, "blue": 20}))
    for dataset, metrics in (("web", {"ndcg_at_10": 0.5}), ("wiki", {"acc_at_10": 0.25})):
        found = {"benchmark": dataset, "datasets": {dataset: metrics | {"queries": 3, "passages": 9}}}
        write_json(folder / f"{dataset}.json", found)
    return folder


def export(model, *arguments):
    scores = [model / "web.json", model / "wiki.json"]
    paths = ["--model", model / "model", "--weights", model / "curr.json", "--scores", *scores]
    main([str(argument) for argument in ("export", *paths, *arguments)])


def test_the_card_says_what_a_model_was_trained_on_and_how(model):
    card = ModelCard.load(model / "model" / "README.md")
    assert card.data.base_model == "org/base"
    assert "| blue | 3 | 75.0% |  | `Find the blue / one.` |" in card.text
    assert "| `blue` | `'Instruct: Find the blue / one.\\nQuery: '` |" in card.text
    assert 'model.encode_query(["first query", "second query"], prompt_name=\'red\')' in card.text
    for fact in (
        "pooling `lasttoken`",
        "vectors of 32 numbers",
        "1 steps of 4 rows",
        "LoRA of rank 8",
        "read up to 16 tokens, passages up to 24",
        "seed 7",
        "Rows of red had their own hard negatives alone.",
        "distilled (weight 0.5, temperature 2).",
    ):
        assert fact in " ".join(card.text.split())


def test_a_package_is_a_model_with_weights_and_results(model, tmp_path):
    export(model, "--output", tmp_path / "new" / "mine.tar.gz")
    with tarfile.open(tmp_path / "new" / "mine.tar.gz") as archive:
        archive.extractall(tmp_path)
    assert SentenceTransformer(str(tmp_path / "mine")).encode("alpha").shape == (32,)
    assert (tmp_path / "mine" / "weights.json").read_bytes() == (model / "curr.json").read_bytes()
    card = ModelCard.load(tmp_path / "mine" / "README.md")
    assert {(r.dataset_name, r.metric_type, r.metric_value) for r in card.data.eval_results} == {
        ("web", "ndcg_at_10", 0.5),
        ("wiki", "acc_at_10", 0.25),
    }
    assert "| web | 0.500 |  |" in card.text
    assert "| blue | 0.750 |" in card.text
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mine.tar.gz"]


def test_a_package_is_the_same_bytes_again_and_says_nothing_of_who_packed_it(model, tmp_path):
    for name in ("one", "two"):
        export(model, "--output", tmp_path / name / "mine.tar.gz")
    assert (tmp_path / "one/mine.tar.gz").read_bytes() == (tmp_path / "two/mine.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "one/mine.tar.gz") as archive:
        told = {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in archive}
    assert told == {(0, 0, 0, "", "", mode) for mode in (0o644, 0o755)}


def test_a_folder_holds_what_was_compared_and_what_is_known_of_the_data(model, tmp_path, capsys):
    tasks = {"red": {"language": "en", "licence": "MIT", "mteb": []}, "blue": {"language": "de", "mteb": ["NQ"]}}
    export(model, "--output", tmp_path / "v1.5", "--settings", json.dumps({"licence": "mit", "tasks": tasks}))
    assert "| sentence-transformers | modules.json |" in capsys.readouterr().out
    checked = json.loads((tmp_path / "v1.5" / "export.json").read_text())["formats"]["sentence-transformers"]
    assert checked["passed"] and checked["texts"] == 64 and checked["lowest"] == pytest.approx(1, abs=1e-5)
    card = ModelCard.load(tmp_path / "v1.5" / "README.md")
    assert (card.data.license, card.data.language) == ("mit", ["de", "en"])
    assert json.loads((tmp_path / "v1.5" / "mteb_model_meta.json").read_text())["training_datasets"] == ["NQ"]
    assert SentenceTransformer(str(tmp_path / "v1.5")).prompts == SentenceTransformer(str(model / "model")).prompts


def test_what_an_earlier_export_left_is_made_anew_or_goes(model, tmp_path):
    export(model, "--output", tmp_path / "first")
    (tmp_path / "first" / "onnx").mkdir()
    (tmp_path / "first" / "onnx" / "model.onnx").write_text("of other weights")
    again = ["--model", tmp_path / "first", "--weights", model / "curr.json", "--output", tmp_path / "second"]
    main([str(argument) for argument in ("export", *again)])
    assert not (tmp_path / "second" / "onnx").exists()
    assert "model-index" not in (tmp_path / "second" / "README.md").read_text()
    assert list(json.loads((tmp_path / "second" / "export.json").read_text())["formats"]) == ["sentence-transformers"]


def test_a_static_embedding_is_exported_and_checked(tmp_path):
    folder = save_words(tmp_path / "model", {"red": [1.0, 0.0], "tea": [0.0, 1.0]}, query="red ")
    (folder / "README.md").write_text("# Words\n\n## How it was trained\n\nBy hand.\n")
    write_weights(tmp_path / "w.json", Weights({"red": 1.0}, {"red": 10}))
    paths = ["--model", folder, "--weights", tmp_path / "w.json", "--output", tmp_path / "served"]
    main([str(argument) for argument in ("export", *paths)])
    assert json.loads((tmp_path / "served" / "export.json").read_text())["formats"]["sentence-transformers"]["passed"]
    assert SentenceTransformer(str(tmp_path / "served")).encode_query("tea").shape == (2,)


def test_an_export_that_gives_something_else_is_not_kept(model, tmp_path, monkeypatch):
    monkeypatch.setattr("tdro.export.needs.find_spec", lambda module: True)
    monkeypatch.setattr("tdro.export.graphs.write_onnx", lambda model, folder: None)

    def broken(folder):
        retriever = load_trained(folder)
        retriever[1].pooling_mode = "mean"
        return retriever

    monkeypatch.setattr("tdro.export.graphs.open_onnx", broken)
    with pytest.raises(SystemExit, match=r"onnx was not kept: onnx/model.onnx gives a cosine of"):
        export(model, "--output", tmp_path / "served", "--formats", "onnx")
    assert not list(tmp_path.iterdir())


def test_pushing_uploads_the_same_folder(model, monkeypatch):
    """How the hub is spoken to: test_push.py."""
    sent = []
    monkeypatch.setattr("tdro.export.package.send", lambda files, name, **how: sent.append((set(files), name, how)))
    export(model, "--push", "org/mine", "--private")
    ((files, name, how),) = sent
    assert (name, how) == ("org/mine", {"private": True})
    assert {"README.md", "weights.json", "modules.json", "model.safetensors"} <= files


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --output, --push, or both"),
        (("--check", "http://127.0.0.1:9", "--push", "a/b"), "--check compares a server and exports nothing"),
        (("--output", "mine.zip"), r"mine.zip must end in .tar.gz"),
        (("--output", "o", "--formats", "onxx"), r"--formats 'onxx' \(did you mean 'onnx'\?\) is none of"),
        (("--push", "org/mine"), "org/mine cannot be reached, as HF_HUB_OFFLINE is set"),
        (("--push", "not a name"), "'not a name' is no name of a repository"),
        (("--output", "a.tar.gz", "--model", "missing"), "missing is no model that `tdro train` wrote"),
        (("--output", "a.tar.gz", "--scores", "curr.json"), "curr.json has no key `datasets`"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(model, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_TOKEN", "hf_token")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "curr.json").write_text((model / "curr.json").read_text())
    with pytest.raises(SystemExit, match=message):
        export(model, *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["curr.json"]


def test_the_card_of_a_model_without_prompts_says_so_and_names_no_instruction(tmp_path, tiny_base):
    base = Model(name="tiny", base=str(tiny_base), prompts="none", pooling="mean")
    retriever = load_retriever(base, ENCODING)
    base_prompts(base, retriever)
    save(tmp_path, retriever, {"red": Prompted(instruction="Find the red one.")}, model=base)
    text = (tmp_path / "README.md").read_text()
    assert "Nothing stands before a text" in text
    assert "pooling `mean`" in text
    assert "Find the red one." not in text
    assert "prompt_name" not in text


def test_a_preview_is_marked_on_the_card_and_is_no_metadata(model, tmp_path):
    stated = {"ndcg_at_10": 0.9, "queries": 3, "passages": 1234, "sampled_from": 8_841_823}
    write_json(tmp_path / "large@sample.json", {"benchmark": "large@sample", "datasets": {"large": stated}})
    paths = ["--model", model / "model", "--weights", model / "curr.json"]
    scores = ["--scores", model / "web.json", tmp_path / "large@sample.json"]
    main([str(argument) for argument in ("export", *paths, *scores, "--output", tmp_path / "mine.tar.gz")])
    with tarfile.open(tmp_path / "mine.tar.gz") as archive:
        archive.extractall(tmp_path)
    card = ModelCard.load(tmp_path / "mine" / "README.md")
    assert [result.dataset_name for result in card.data.eval_results] == ["web"]
    assert "| large (preview) | 0.900 |" in card.text and "| web | 0.500 |" in card.text
    assert "a sample of the passages (large 1,234 of 8,841,823): its scores are too high" in card.text

from pathlib import Path

import pytest
from everyartifact import MIXTURE, MODEL, SEED, as_json

from tdro.artifacts.foreign import write_foreign
from tdro.report.show.output import plain
from tdro.report.show.show import show
from tdro.report.show.view import Asked


def test_a_model_shows_modules_dimensions_prompts_training_and_card(layout):
    view = show([Path(layout.run(MODEL, SEED, f"{MIXTURE}/model"))], Asked())
    content = as_json(view)["content"]
    assert content["model"] == {
        "modules": "StaticEmbedding",
        "dimensions": 4,
        "parameters": 28,
        "stored as": "F32",
    }
    assert content["prompts"]["query"] == "query: " and content["training"]["temperature"] == 0.05
    text = plain(view)
    assert "'query: '" in text and "Its card." in text and "tags: [x]" not in text


@pytest.mark.parametrize(
    ("configs", "dimensions"),
    [
        ({"1_Pooling/config.json": {"word_embedding_dimension": 384}, "config.json": {"hidden_size": 384}}, 384),
        ({"1_Pooling/config.json": {"embedding_dimension": 8}, "2_Dense/config.json": {"out_features": 64}}, 64),
        ({"config.json": {"hidden_size": 32}}, 32),
        ({}, None),
    ],
)
def test_the_last_module_that_says_a_size_decides(tmp_path, configs, dimensions):
    folders = ["", "1_Pooling", "2_Dense"]
    write_foreign(tmp_path / "modules.json", [{"path": folder, "type": f"a.b.M{folder}"} for folder in folders])
    for name, config in configs.items():
        write_foreign(tmp_path / name, config)
    view = show([tmp_path], Asked())
    assert as_json(view)["content"]["model"]["dimensions"] == dimensions
    assert "the model has no prompts" in plain(view)


def test_a_package_lists_its_files_and_shows_its_card(layout):
    view = show([Path(layout.package(MODEL, SEED, MIXTURE))], Asked())
    assert "tiny.seed1.curr/model.safetensors" in as_json(view)["content"]["files"]
    assert "Its card." in plain(view)


def test_embeddings_and_shards_say_what_they_are(layout):
    folder = Path(layout.task("code", "embeddings"))
    assert list(as_json(show([folder], Asked()))["content"]) == ["corpus", "queries"]
    assert as_json(show([folder / "corpus/manifest.json"], Asked()))["content"]["corpus"]["dimension"] == 4
    assert as_json(show([folder / "corpus/00000.npy"], Asked(row=1)))["content"]["rows"] == [[0.0, 1.0, 0.0, 0.0]]


def test_task_means_tell_what_is_near(layout):
    view = show([Path(layout.task_means)], Asked())
    assert as_json(view)["content"]["cosines"]["code"]["news"] == pytest.approx(0.6)


def test_versions_list_what_they_made(layout):
    (path,) = Path(layout.versions).rglob("version.json")
    text = plain(show([path], Asked()))
    assert "not installed" in text and "results/model" in text


def test_a_page_is_told_by_its_headings(layout):
    text = plain(show([Path(layout.report.html)], Asked()))
    assert "The report\n  Weights\n" in text and "file://" in text


def test_rankings_in_trec_format_are_read_by_row(layout):
    path = Path(layout.runs(MODEL, SEED, MIXTURE, "web"))
    assert as_json(show([path], Asked(row=1)))["content"]["rows"] == [
        {"query": "0", "passage": "5", "rank": "2", "score": "0.8"}
    ]

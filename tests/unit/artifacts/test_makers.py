import re
from pathlib import Path

import pytest
from everyartifact import BENCHMARK, MIXTURE, MODEL, SEED, TASKS

from tdro.artifacts.layout import Layout
from tdro.artifacts.makers import _MAKERS, maker
from tdro.artifacts.seals import again

ROOT = Path(__file__).parents[3]
WORKFLOW = "".join(file.read_text() for file in ROOT.glob("workflow/rules/*.smk"))
RULES = set(re.findall(r"^ *(?:rule|checkpoint) (\w+):", WORKFLOW, re.MULTILINE))

LAYOUT = Layout("elsewhere/results")
EXPECTED = {
    LAYOUT.fetched("model/tiny.abc"): "fetch",
    LAYOUT.task(TASKS[0], "corpus.parquet"): "prepare_task",
    LAYOUT.held_out(TASKS[0], "queries.parquet"): "prepare_task",
    LAYOUT.dev_queries(TASKS[0]): "prepare_task",
    LAYOUT.task(TASKS[0], "embeddings/corpus/manifest.json"): "encode",
    LAYOUT.task(TASKS[0], "embeddings/corpus/00000.npy"): "encode",
    LAYOUT.task(TASKS[0], "train.parquet"): "dedup",
    LAYOUT.dev_pool(TASKS[0]): "dev_pool",
    LAYOUT.benchmark(f"{BENCHMARK}@sample", "corpus.parquet"): "sample_corpus",
    LAYOUT.benchmark(BENCHMARK, "queries.parquet"): "prepare_benchmark or prepare_queries",
    LAYOUT.weights(MODEL, SEED, "uniform"): "uniform_weights",
    LAYOUT.weights(MODEL, SEED, MIXTURE): "derive",
    LAYOUT.run(MODEL, SEED, "tdro/plan.parquet"): "plan_tdro",
    LAYOUT.run(MODEL, SEED, f"{MIXTURE}/plan.parquet"): "plan",
    LAYOUT.run(MODEL, SEED, "tdro-doremi/trajectory.parquet"): "optimize",
    LAYOUT.run(MODEL, SEED, f"{MIXTURE}/model"): "train or merge",
    LAYOUT.scores(MODEL, SEED, MIXTURE, BENCHMARK): "evaluate",
    LAYOUT.dev_scores(MODEL, SEED, MIXTURE): "dev_scores",
    LAYOUT.experts(MODEL, SEED, "dev.parquet"): "expert_scores",
    LAYOUT.soup_scores(MODEL, SEED, MIXTURE): "soup_scores",
    LAYOUT.part(LAYOUT.rankings(MODEL, SEED, MIXTURE, BENCHMARK), "1of2"): "search_corpus",
    LAYOUT.recommendation: "recommend",
    "some/where/else.json": None,
}


@pytest.mark.parametrize(("path", "rules"), EXPECTED.items())
def test_a_path_tells_the_rule(path, rules):
    made = maker(path)
    assert (" or ".join(made.rules) if made else None) == rules


def test_a_file_of_a_folder_is_made_with_all_of_it():
    assert maker(LAYOUT.task(TASKS[0], "embeddings/corpus/00000.npy")).output == Path(
        LAYOUT.task(TASKS[0], "embeddings")
    )
    model = Path(LAYOUT.run(MODEL, SEED, f"{MIXTURE}/model"))
    assert maker(model / "2_Dense/model.safetensors").output == model
    assert again(model / "config.json").endswith(
        f"Delete the folder {model} and let the workflow make it again (rule `train` or `merge`)."
    )
    assert again(LAYOUT.leaks) == "Delete the file and let the workflow make it again (rule `leaks`)."


def test_each_is_a_rule_of_the_workflow():
    assert {rule for _, rules in _MAKERS for rule in rules.split()} <= RULES

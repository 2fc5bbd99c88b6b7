"""A file that is cut off or turned in a bit, or of another program or an older form: the next rule says so.

Every kind of artifact of an undisturbed run is damaged in several ways, and the command that reads it runs in this
process, as the rule ran it. It must end with one sentence that names the file and the way out. What it does not read,
as a column of another rule, may be damaged; then it must write what it wrote before, byte for byte.
"""

from contextlib import chdir
from shutil import copytree

import pytest
from damages import arguments, job_of, look
from tinyrun import RUN

from tdro.cli.main import main

pytestmark = pytest.mark.faults

MODEL = f"{RUN}/uniform/model"
#: Artifacts, each with the rule whose command reads it, and a word of that command where there are several such jobs.
READ_BY = {
    "results/data/mined/corpus.parquet": ("select", ""),
    "results/data/mined/queries.parquet": ("search", ""),
    "results/data/mined/dev/queries.parquet": ("dedup", "mined/train"),
    "results/data/mined/candidates.parquet": ("select", ""),
    "results/data/mined/negatives.parquet": ("dedup", "mined/train"),
    "results/data/mined/train.parquet": ("uniform_weights", ""),
    "results/data/mined/dev.parquet": ("dev_pool", ""),
    "results/data/mined/duplicates.parquet": ("report", ""),
    "results/data/mined/embeddings/corpus/manifest.json": ("search", ""),
    "results/data/mined/embeddings/corpus/00000.npy": ("search", ""),
    "results/data/mined/embeddings/queries/00000.npy": ("search", ""),
    "results/benchmarks/web/queries.parquet": ("dedup", "mined/train"),
    "results/benchmarks/beir/corpus.parquet": ("evaluate_bm25", "mkqa-th"),
    "results/benchmarks/mkqa-th/queries.parquet": ("evaluate_bm25", "mkqa-th"),
    "results/leaks.parquet": ("report", ""),
    "results/dev/mined.parquet": ("soup_scores", ""),
    f"{RUN}/weights/uniform.json": ("plan", "uniform/plan"),
    f"{RUN}/uniform/plan.parquet": ("plan_tdro", ""),
    f"{RUN}/tdro/plan.parquet": ("reference", ""),
    f"{RUN}/tdro/reference.parquet": ("optimize", ""),
    f"{RUN}/tdro/trajectory.parquet": ("derive", "--mixture top70"),
    f"{RUN}/top70/rankings/beir/1of1.parquet": ("merge_rankings", "top70"),
    f"{MODEL}/model.safetensors": ("reference", ""),
    f"{MODEL}/config.json": ("soup_scores", ""),
    f"{MODEL}/tokenizer.json": ("reference", ""),
    f"{MODEL}/1_Pooling/config.json": ("merge", ""),
    f"{MODEL}/training_settings.json": ("soup_scores", ""),
    f"{MODEL}/checksums.json": ("reference", ""),
    f"{RUN}/soup-two/soup.json": ("merge", ""),
    f"{RUN}/uniform/eval/web.json": ("report", ""),
    f"{RUN}/uniform/eval/web.queries.parquet": ("report", ""),
}
#: The same of the run of `choosing`.
CHOSEN_BY = {
    "results/fetched/package/facts==1.f8433568.json": ("prepare_benchmark", "facts"),
    "results/benchmarks/facts@sample/corpus.parquet": ("evaluate", "uniform"),
    "results/data/faq/rescored.parquet": ("select", "faq"),
    "results/task_means.parquet": ("derive", "--mixture chameleon"),
    "results/dev/faq.parquet": ("dev_scores", "uniform"),
    "results/dev/recommendation.json": ("overview", ""),
    f"{RUN}/uniform/dev.parquet": ("recommend", ""),
    f"{RUN}/uniform/eval/facts@sample.json": ("export", "uniform"),
    f"{RUN}/experts/dev.parquet": ("fit_law", ""),
    f"{RUN}/experts/law.json": ("derive", "--mixture mergemix"),
    f"{RUN}/experts/candidates.json": ("prune", ""),
    f"{RUN}/experts/prune.json": ("derive", "--mixture prune"),
    f"{RUN}/weights/chameleon.json": ("plan", "chameleon/plan"),
    f"{RUN}/warmup/model/model.safetensors": ("expert_scores", ""),
}


@pytest.fixture(scope="module")
def project(whole, tmp_path_factory):
    """A copy of the run, in which temporary outputs are there again."""
    folder = copytree(whole, tmp_path_factory.mktemp("damage") / "project", symlinks=True)
    with chdir(folder):
        for rule, word in (("base", ""), ("search_corpus", "top70.beir.1of1")):
            main(arguments(job_of(folder, rule, word)))
    return folder


@pytest.fixture(scope="module")
def choices(chosen, tmp_path_factory):
    return copytree(chosen, tmp_path_factory.mktemp("damage") / "choices", symlinks=True)


def names(paths):
    return [f"damage-{path.removeprefix('results/')}" for path in paths]


@pytest.mark.parametrize("path", READ_BY, ids=names(READ_BY))
def test_the_next_rule_refuses_what_is_not_what_was_written(path, project, fault, capfd):
    with chdir(project):
        look(path, *READ_BY[path], fault, capfd)


@pytest.mark.parametrize("path", CHOSEN_BY, ids=names(CHOSEN_BY))
def test_a_rule_that_chooses_refuses_it_as_well(path, choices, fault, capfd):
    with chdir(choices):
        look(path, *CHOSEN_BY[path], fault, capfd)

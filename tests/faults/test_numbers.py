"""Numbers that are none: in a base, in a miner, in a trained model, in embeddings, in a loss.

Whoever made them wrote checksums that fit. So what is spoilt here gets others, or it would be refused for those.
"""

import shutil

import numpy as np
import pytest
from leftovers import half_written
from safetensors.numpy import load_file, save_file
from stages import Stage, content, job_of, remove
from tinyrun import RUN

from tdro.artifacts.files import read_json, write_json
from tdro.artifacts.sums import CHECKSUMS, crc, write_sums
from tdro.retrieval.shards import MANIFEST

pytestmark = pytest.mark.faults

EMBEDDINGS = "results/data/mined/embeddings"
SPOILT = "holds values that are not finite in"
DIVERGED = "gives embeddings that are not finite, as after a training that diverged"


@pytest.fixture
def folder(whole, tmp_path):
    """A copy of the undisturbed run that may be spoilt."""
    return shutil.copytree(whole, tmp_path / "project", symlinks=True)


def spoil_weights(file):
    """The first tensor of a model is no number any more."""
    tensors = load_file(file)
    first = min(tensors)
    save_file(tensors | {first: np.full_like(tensors[first], np.nan)}, file, {"format": "pt"})
    if (file.parent / CHECKSUMS).is_file():
        write_sums(file.parent)


def spoil_embeddings(file):
    """One number of a shard is infinite."""
    vectors = np.load(file)
    vectors[1, 2] = np.inf
    np.save(file, vectors)
    manifest = file.with_name(MANIFEST)
    write_json(manifest, read_json(manifest) | {"crc32": [crc(file)]})


BASE, MINER, MODEL = "base/model.safetensors", "miner/model.safetensors", f"{RUN}/uniform/model/model.safetensors"
SHARD = f"{EMBEDDINGS}/corpus/00000.npy"
#: What is spoilt, what is made of it then, and the sentence.
CASES = {
    "nan-base-train": (BASE, f"{RUN}/uniform/model", f"the base ./base {SPOILT}"),
    "nan-base-optimize": (BASE, f"{RUN}/tdro/trajectory.parquet", f"the base ./base {SPOILT}"),
    "nan-base-soup": (BASE, "results/tiny/base", f"the base ./base {SPOILT}"),
    "nan-miner": (MINER, EMBEDDINGS, f"mining.encode.model ./miner {DIVERGED}"),
    "nan-model-evaluate": (MODEL, f"{RUN}/uniform/eval/web.json", DIVERGED),
    "nan-model-search": (MODEL, f"{RUN}/uniform/rankings/beir/1of1.parquet", DIVERGED),
    "nan-model-reference": (MODEL, f"{RUN}/tdro/reference.parquet", "the loss is not finite for 16 of 16 rows"),
    "nan-embeddings": (SHARD, "results/data/mined/candidates.parquet", "holds embeddings that are not finite"),
}


@pytest.mark.parametrize("case", CASES)
def test_number(whole, folder, fault, case):
    file, made, sentence = CASES[case]
    job = job_of(whole, made)
    fault.done(f"numbers that are none in {file}, before {job.rule}")
    spoil = spoil_embeddings if file == SHARD else spoil_weights
    spoil(folder / file)
    remove(job, folder)
    refused(Stage(job, folder), sentence)
    shutil.copytree((whole / file).parent, (folder / file).parent, dirs_exist_ok=True)
    goes_on(job, whole, folder)
    fault.came("one sentence, nothing is written; with the right file it goes on, to the same files")


@pytest.mark.parametrize("case", ["nan-loss-train", "nan-loss-optimize"])
def test_loss(whole, folder, fault, case):
    """A step so long that no number holds its end."""
    fault.done(f"a training that diverges ({case.rpartition('-')[2]} with a learning rate of 1e30)")
    job = job_of(whole, f"{RUN}/uniform/model" if case == "nan-loss-train" else f"{RUN}/tdro/trajectory.parquet")
    remove(job, folder)
    long = job._replace(command=job.command.replace('"learning_rate":0.01', '"learning_rate":1e30'))
    assert long.command != job.command
    refused(Stage(long, folder), "Lower `learning_rate` or raise `temperature`")
    goes_on(job, whole, folder)
    fault.came(
        "one sentence with the rows of the plan, no model; with the right rate it trains the same as undisturbed"
    )


def refused(stage, sentence):
    status, said = stage.run()
    assert status != 0 and "Traceback" not in said
    sentences = [line for line in said.splitlines() if ": error: " in line]
    assert len(sentences) == 1 and sentence in sentences[0], said
    assert half_written(stage.folder) == []
    assert content(stage.job, stage.folder) == {}


def goes_on(job, whole, folder):
    status, said = Stage(job, folder).run()
    assert status == 0, said
    expected = content(job, whole)
    assert content(job, folder) == expected or not expected  # what was thrown away when it had been read

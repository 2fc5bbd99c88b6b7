"""A file that is cut off or turned in a bit, or of another program or an older form: the next rule says so.

Every kind of artifact of an undisturbed run is damaged in several ways, and the command that reads it runs in this
process, as the rule ran it. It must end with one sentence that names the file and the way out. What it does not read,
as a column of another rule, may be damaged; then it must write what it wrote before, byte for byte.
"""

import json
import os
import shlex
import shutil
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ours import turn
from records import ended
from safetensors.numpy import save_file
from tinyrun import RUN

from tdro.artifacts.makers import maker
from tdro.artifacts.parquetsums import FORMAT_KEY, VERSION_KEY
from tdro.artifacts.seals import FORMAT, WRITTEN
from tdro.cli.main import main

pytestmark = pytest.mark.faults

SEED = int(os.environ.get("FAULTS_SEED", "7"))
#: Bits of each file that are turned, one after the other.
BITS = 4

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
#: Pages that say how long jobs took.
NEVER_THE_SAME = ".html"


@pytest.fixture(scope="module")
def project(whole, tmp_path_factory):
    """A copy of the run, in which temporary outputs are there again."""
    folder = tmp_path_factory.mktemp("damage") / "project"
    shutil.copytree(whole, folder, symlinks=True)
    here = Path.cwd()
    os.chdir(folder)
    try:
        for rule, word in (("base", ""), ("search_corpus", "top70.beir.1of1")):
            main(arguments(job_of(folder, rule, word)))
        yield folder
    finally:
        os.chdir(here)


def job_of(folder, rule, word):
    """A job of a rule whose command has a word."""
    return next(job for job in ended(folder).values() if job.rule == rule and word in job.command)


def arguments(job):
    """What follows `tdro` in a job's command, whether a launcher started it or not."""
    words = shlex.split(job.command)
    if "tdro" in words:
        words = words[words.index("tdro") + 1 :]
    else:  # launch.sh LOG NODES GPUS THREADS CONFIGURATION COMMAND ...
        script = next(place for place, word in enumerate(words) if word.endswith("launch.sh"))
        words = words[script + 6 :]
    return words[: next((place for place, word in enumerate(words) if word.startswith((">", "2>"))), None)]


def cut(file, random):
    """A file that was cut off."""
    content = file.read_bytes()
    file.write_bytes(content[: random.randrange(len(content))])


def turned(file, random):
    """A file of which one bit has turned."""
    turn(file, random.randrange(file.stat().st_size), random.randrange(8))


def foreign(file, random):
    """A file that another program wrote."""
    if file.suffix == ".parquet":
        pq.write_table(pa.table({"a": [1, 2]}), file)
    elif file.suffix == ".npy":
        np.save(file, np.ones((3, 8), np.float16))
    elif file.suffix == ".safetensors":
        save_file({"another": np.ones(3, np.float32)}, file)
    else:
        file.write_text('{"another": "program"}')


def older(file, random):
    """A file as an older version wrote it, where the file itself says of which form it is."""
    if file.suffix == ".parquet":
        table = pq.read_table(file)
        metadata = (table.schema.metadata or {}) | {FORMAT_KEY: str(FORMAT - 1), VERSION_KEY: "0.0.9"}
        pq.write_table(table.replace_schema_metadata(metadata), file)
    else:
        content = json.loads(file.read_text())
        content[WRITTEN] |= {"format": FORMAT - 1, "tdro": "0.0.9"}
        file.write_text(json.dumps(content))


def harms(file):
    """The ways to damage a file, by their names."""
    found = {"cut off": cut, **{f"bit {n}": turned for n in range(1, BITS + 1)}, "foreign": foreign}
    has_format = file.suffix == ".parquet" or (file.suffix == ".json" and WRITTEN in json.loads(file.read_text()))
    return found | ({"older": older} if has_format else {})


def contents(job):
    """What a job has written, and may write again."""
    outputs = [Path(output) for output in job.outputs]
    files = [file for output in outputs for file in (output, *output.rglob("*")) if file.is_file()]
    return {file: file.read_bytes() for file in files if file.suffix != NEVER_THE_SAME}


def answer(words, capfd):
    """The sentence of a command that failed; None where it has succeeded."""
    capfd.readouterr()
    try:
        main(words)
    except SystemExit as end:
        said = str(end.code)
        assert "error: " in said and "Traceback" not in said + "".join(capfd.readouterr()), said
        return said
    return None


@pytest.mark.parametrize("path", READ_BY, ids=[f"damage-{path.removeprefix('results/')}" for path in READ_BY])
def test_the_next_rule_refuses_what_is_not_what_was_written(path, project, fault, capfd):
    rule, word = READ_BY[path]
    job, file, random = job_of(project, rule, word), Path(path), Random(f"{SEED}/{path}")
    right, before, told = file.read_bytes(), contents(job), []
    fault.done(f"{len(harms(file))} ways to damage it, then the command of {rule}")
    for name, harm in harms(file).items():
        harm(file, random)
        try:
            said = answer(arguments(job), capfd)
        finally:
            file.write_bytes(right)
        if said is None:
            assert name.startswith("bit"), f"{name} was not seen"
            assert contents(job) == before, f"{name}: something else came out"
        else:
            names_it = str(file) in said or str(maker(file).output) in said
            assert names_it and any(way in said.lower() for way in ("delete", "make it again", "anew")), (name, said)
        told.append(said)
    refusals = [said for said in told if said]
    fault.came(f"{len(refusals)} refused, {len(told) - len(refusals)} in what is not read; such as: {refusals[0]}")

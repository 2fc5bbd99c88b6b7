"""Ways to damage a file, the command that reads it next, and what that must answer."""

import json
import shlex
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ours import turn
from records import ended
from safetensors.numpy import save_file
from stages import files
from tinyrun import SEED

from tdro.artifacts.makers import maker
from tdro.artifacts.parquetsums import FORMAT_KEY, VERSION_KEY
from tdro.artifacts.seals import FORMAT, WRITTEN
from tdro.cli.main import main

#: Bits of each file that are turned, one after the other.
BITS = 4
#: Pages that say how long jobs took.
NEVER_THE_SAME = ".html"


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
    """What a job has written in the working folder, and may write again."""
    return {file: file.read_bytes() for file in files(job, Path()) if file.suffix != NEVER_THE_SAME}


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


def look(path, rule, word, fault, capfd):
    """Damage a file of the working folder in all ways, and run the command that reads it behind each.

    Args:
        path: The file.
        rule: Whose command reads it.
        word: Of that command, where there are several such jobs.
        fault: Gets what was done and what came out.
        capfd: Of pytest.
    """
    job, file, random = job_of(Path(), rule, word), Path(path), Random(f"{SEED}/{path}")
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

"""What is printed over mistakes that users make: a sentence that names the place and the way out, and no traceback.

A row is one mistake: what was done, the files that differ from a project that works, the command, and what its answer
contains. All run in this process, as `tdro` and `snakemake` do.
"""

import errno
import gzip
import json
import os
import shlex
import struct
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import psutil
import pytest
import snakemake.cli

from tdro.cli.main import main
from tdro.setup import machine, online

ROOT = Path(__file__).parents[2]
#: A network of which no tensor is stored: enough to be looked at.
BERT = {"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64}
BERT |= {"vocab_size": 100, "num_attention_heads": 2, "max_position_embeddings": 512}
EMPTY = struct.pack("<Q", 2) + b"{}"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n"
ROW = '{"query": "a question", "positive": "an answer"}\n'
FAQ = "{reader: jsonl, path: data/faq.jsonl}"
REGISTRY = f"""tasks:
  faq:
    category: web
    language: en
    instruction: Find it.
    held_out: 1
    source: {FAQ}
  code:
    category: web
    language: en
    instruction: Find it.
    source: {{reader: jsonl, path: data/code.jsonl}}
benchmarks:
  web:
    language: en
    instruction: Find pages.
    source: {{reader: jsonl, path: data/web.jsonl}}
"""
TRAINING = "training: {steps: 4, batch_size: 8, warmup_steps: 1}"
CONFIG = f"""registry: registry.yaml
benchmarks: [web]
models:
  - name: tiny
    base: ./base
proxy: tiny
mixtures: [uniform, curr]
mining:
  encode: {{model: ./base}}
{TRAINING}
tdro: {{steps: 4, batch_size: 8, accumulation: 1, warmup_steps: 1}}
encoding: {{query_length: 16, passage_length: 16}}
"""
PROJECT = {
    "config.yaml": CONFIG,
    "registry.yaml": REGISTRY,
    **dict.fromkeys(("data/faq.jsonl", "data/code.jsonl", "data/web.jsonl"), ROW * 8),
    "base/config.json": json.dumps(BERT),
    "base/model.safetensors": EMPTY,
    "Snakefile": "rule nothing:\n",
    "profiles/default/config.yaml": (ROOT / "profiles/default/config.yaml").read_text(encoding="utf-8"),
}
FORECAST, DOCTOR = "tdro forecast --configfile config.yaml", "tdro doctor config.yaml"
PREPARE = "tdro prepare faq --output out --settings @job.yaml"
SELECT = "tdro select --candidates c --corpus a --queries b --output out.parquet"
Files = dict[str, str | bytes | None]


class Mistake(NamedTuple):
    """One mistake.

    Attributes:
        done: What the user did.
        line: The command.
        says: What its answer contains.
        files: What they hold instead; None: the file is not there.
        given: Makes the machine as it is.
    """

    done: str
    line: str
    says: tuple[str, ...]
    files: Files
    given: Callable[[pytest.MonkeyPatch], None] | None = None


def changed(old: str, new: str, text: str) -> str:
    """A file of the project with other words."""
    assert old in text, old
    return text.replace(old, new, 1)


def config(done: str, old: str, new: str, *says: str) -> Mistake:
    """A mistake in the configuration."""
    return Mistake(f"config: {done}", FORECAST, says, {"config.yaml": changed(old, new, CONFIG)})


def registry(done: str, old: str, new: str, *says: str) -> Mistake:
    """A mistake in the registry."""
    return Mistake(f"registry: {done}", FORECAST, says, {"registry.yaml": changed(old, new, REGISTRY)})


def local(done: str, files: Files, *says: str) -> Mistake:
    """A mistake in local files, before any job."""
    return Mistake(f"files: {done}", DOCTOR, says, files)


def sourced(done: str, source: str, files: Files, *says: str) -> Mistake:
    """The same of a task with another source."""
    return local(done, {"registry.yaml": changed(FAQ, source, REGISTRY), **files}, *says)


def data(done: str, content: str | bytes, *says: str) -> Mistake:
    """A mistake in rows, at their preparation."""
    return Mistake(
        f"data: {done}", PREPARE, says, {"data/faq.jsonl": content, "job.yaml": f"{{task: {{source: {FAQ}}}}}"}
    )


def cells(done: str, content: str, *says: str) -> Mistake:
    """A mistake in a table, at its preparation."""
    source = "{reader: table, path: data/t.csv, columns: {query: q, positive: p}}"
    return Mistake(
        f"table: {done}", PREPARE, says, {"data/t.csv": content, "job.yaml": f"{{task: {{source: {source}}}}}"}
    )


def typed(done: str, line: str, *says: str, given: Callable | None = None, files: Files | None = None) -> Mistake:
    """A mistake on the command line, or a machine that is not as it should be."""
    return Mistake(f"typed: {done}", line, says, files or {}, given)


def _full(monkeypatch) -> None:
    def replace(*places):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(places[-1]))

    for name in ("replace", "rename"):
        monkeypatch.setattr(os, name, replace)
        monkeypatch.setattr(Path, name, replace)


def _forbidden(monkeypatch) -> None:
    def read_text(path, *how, plainly=Path.read_text, **more):
        if path.name == "registry.yaml":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return plainly(path, *how, **more)

    monkeypatch.setattr(Path, "read_text", read_text)


def _little_memory(monkeypatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=1e6, available=1e6))


def _little_room(monkeypatch) -> None:
    monkeypatch.setattr(machine, "_room", lambda folder: 1e6)


def _unwritable(monkeypatch) -> None:
    monkeypatch.setattr(machine, "_can_write", lambda folder: False)


def _old_python(monkeypatch) -> None:
    monkeypatch.setattr(sys, "version_info", namedtuple("Info", "major minor micro")(3, 10, 2))


def _installed(**versions: str | None) -> Callable:
    """Makes libraries seem to have other versions, or none."""

    def given(monkeypatch, plainly=machine._version) -> None:
        monkeypatch.setattr(machine, "_version", lambda name: versions[name] if name in versions else plainly(name))

    return given


def _silent_slurm(monkeypatch) -> None:
    folder = Path("bin")
    folder.mkdir()
    for name in machine.slurmqueue.PROGRAMS:
        (folder / name).write_text(
            "#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1\n"
        )
        (folder / name).chmod(0o755)
    monkeypatch.setattr(machine.slurmqueue, "missing", lambda: [])
    monkeypatch.setenv("PATH", f"{folder.absolute()}:{os.environ['PATH']}")


def _locked(monkeypatch) -> None:
    Path(".snakemake/locks").mkdir(parents=True)
    Path(".snakemake/locks/0.input.lock").touch()


def _no_hub(monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


MISTAKES = [
    # The configuration: its form.
    config("a misspelt key", "training:", "trainig:", "config: unknown key `trainig` (did you mean 'training'?)"),
    config(
        "a misspelt key below another",
        "warmup_steps",
        "warmup_stpes",
        "unknown key `training.warmup_stpes` (did you mean 'warmup_steps'?)",
    ),
    config(
        "a key of another section",
        "encoding: {",
        "encoding: {steps: 3, ",
        "unknown key `encoding.steps` (it is a key of `training`",
    ),
    config(
        "a key twice",
        "proxy: tiny",
        "proxy: tiny\nproxy: tiny",
        "config.yaml, line 7: `proxy` stands here a second time, after line 6; keep one of them.",
    ),
    config("a tab", "  - name", "\t- name", "line 4: a tab stands where only spaces may; indent by spaces."),
    config("an indentation", "    base:", "   base:", "line 5: wrong indentation", "begin in the same column"),
    config("a colon in a text", "proxy: tiny", "proxy: tiny: x", "line 6: a second `:` in one line", "quote a text"),
    config("a key left out", "proxy: tiny\n", "", "config: key `proxy` is missing"),
    config("a text for a list", "[web]", "web", "`benchmarks`: expected a list, as [a, b], not 'web'"),
    config(
        "keys for a list", "  - name: tiny\n    base", "  name: tiny\n  base", "`models`: expected a list, as [a, b]"
    ),
    config("an empty key", "registry: registry.yaml", "registry:", "`registry`: is empty; a text is expected"),
    typed("an empty configuration", FORECAST, "config.yaml holds no keys; expected", files={"config.yaml": ""}),
    typed("a list as configuration", FORECAST, "config.yaml holds no keys", files={"config.yaml": "- a\n"}),
    typed(
        "a configuration in UTF-16",
        FORECAST,
        "config.yaml is not YAML: byte 0 is not UTF-8; save the file as UTF-8.",
        files={"config.yaml": CONFIG.encode("utf-16")},
    ),
    typed(
        "a misspelt configuration",
        "tdro forecast --configfile confg.yaml",
        "nothing lies at confg.yaml (did you mean 'config.yaml'?)",
    ),
    typed("a folder as configuration", "tdro forecast --configfile data", "data cannot be read: Is a directory."),
    typed("the registry as configuration", "tdro forecast --configfile registry.yaml", "key `registry` is missing"),
    # The configuration: its values.
    config(
        "a word for a number", "steps: 4", "steps: many", "`training.steps`: a whole number is expected, not 'many'"
    ),
    config("a negative number", "steps: 4", "steps: -4", "`training.steps`: must be 1 or more, not -4"),
    config("a part of a step", "steps: 4", "steps: 4.5", "`training.steps`: a whole number is expected, not 4.5"),
    config("a per cent", "mining:\n", "mining:\n  select: {margin: 5%}\n", "a number is expected, not '5%'"),
    config(
        "yes for a seed",
        "proxy: tiny",
        "proxy: tiny\nseeds: [yes]",
        "`seeds.0`: a number is expected; YAML reads `yes` as true",
    ),
    config("a seed that begins with 0", "proxy: tiny", "proxy: tiny\nseeds: [010]", "line 7: YAML reads `010` as 8"),
    config("a seed twice", "proxy: tiny", "proxy: tiny\nseeds: [1, 1]", "seeds names 1 twice"),
    config("no seed", "proxy: tiny", "proxy: tiny\nseeds: []", "`seeds`: has 0, and needs 1 or more"),
    config("no for a name", "name: tiny", "name: no", "a text is expected; YAML reads `no` as false", '"no"'),
    config("a slash in a name", "name: tiny", "name: org/tiny", "`models.0.name`: 'org/tiny' must be letters, digits"),
    config("a misspelt proxy", "proxy: tiny", "proxy: tyni", "proxy 'tyni' is none of the models: tiny"),
    config("a misspelt mixture", "curr]", "cur]", "`mixtures.1`: unknown mixture 'cur' (did you mean 'curr'?)"),
    config("no baseline", "[uniform, curr]", "[curr]", "mixtures must contain 'uniform'"),
    config("a mixture of no task", "curr]", "top10]", "mixture 'top10' keeps none of 2 tasks; raise its percentage."),
    config("a mixture of another task", "curr]", "without-faqs]", "'faqs' (did you mean 'faq'?) is none of the tasks"),
    config("a soup of nothing", "curr]", "soup-both]", "mixtures names 'soup-both', but soups has no 'both'"),
    config(
        "a misspelt benchmark",
        "[web]",
        "[wbe]",
        "registry.yaml has no benchmark 'wbe' (did you mean 'web'?); it has web. Correct the name under `benchmarks`",
    ),
    config("a misspelt task", "proxy: tiny", "proxy: tiny\ntasks: [faq, cod]", "no task 'cod' (did you mean 'code'?)"),
    config("one task", "proxy: tiny", "proxy: tiny\ntasks: [faq]", "`tasks`: has 1, and needs 2 or more"),
    config("a choice on what is reported", "proxy", "dev: [web]\nproxy", "dev names 'web', which is reported"),
    config(
        "a misspelt choice",
        "./base\nproxy",
        "./base\n    pooling: maen\nproxy",
        "`models.0.pooling`: expected 'auto',",
        "not 'maen' (did you mean 'mean'?)",
    ),
    config("a misspelt device", "./base\nproxy", "./base\n    accelerate: dpp\nproxy", "no launch configuration 'dpp'"),
    config(
        "a space in a model's name", "base: ./base\np", "base: bge small\np", "'bge small' is neither a folder that is"
    ),
    config(
        "a variable in a path", "base: ./base\np", "base: $MODELS/x\np", "has a variable, `$MODELS`, which only a shell"
    ),
    config(
        "a misspelt placeholder",
        "./base\nproxy",
        "./base\n    prompts: {query: '{instrution} '}\nproxy",
        "{instrution} stands for nothing: only {instruction} is replaced",
    ),
    config(
        "more negatives than mined", "{steps", "{negatives: 99, steps", "99 is more than `mining.select.samples` 16"
    ),
    config("an uneven batch", "accumulation: 1", "accumulation: 3", "batch_size 8 is not a multiple of accumulation 3"),
    config(
        "a misspelt registry",
        "registry.yaml",
        "regisrty.yaml",
        "`registry`: nothing lies at regisrty.yaml (did you mean 'registry.yaml'?)",
    ),
    # The registry.
    registry(
        "a misspelt reader", "jsonl, path: data/faq", "jsnol, path: data/faq", "registry.yaml: faq: reader 'jsnol' is"
    ),
    registry("no reader", FAQ, "{path: data/faq.jsonl}", "key `tasks.faq.source.reader` is missing"),
    registry("no path", FAQ, "{reader: jsonl}", "faq: reader 'jsonl' needs the key `path`; add it under `source`"),
    registry("no columns", FAQ, "{reader: table, path: a.csv}", "reader 'table' needs the key `columns`"),
    registry("two sources", FAQ, "{reader: jsonl, hub: a/b, package: a==1}", "`hub` and `package` exclude each other"),
    registry("a hub id without owner", FAQ, "{reader: jsonl, hub: nq}", "'nq' must be ORG/NAME"),
    registry(
        "an address", FAQ, "{reader: jsonl, path: s3://b/f.jsonl}", "is an address, and only local files are read"
    ),
    registry("Norwegian", "language: en", "language: no", "`tasks.faq.language`: a text is expected; YAML reads `no`"),
    registry("no instruction", "    instruction: Find it.\n", "", "key `tasks.faq.instruction` is missing"),
    registry(
        "a misspelt word", "held_out: 1", "negatives: minned", "expected 'mined' or 'provided', not 'minned' (did"
    ),
    registry("a share held out", "held_out: 1", "held_out: 10%", "a whole number is expected, not '10%'"),
    registry("a space in a name", "  faq:", "  my faq:", "`tasks.my faq`: 'my faq' must be letters, digits"),
    registry("one name for two", "  web:", "  faq:", "benchmark 'faq' has the name of a task"),
    registry("one name in two cases", "  web:", "  FAQ:", "'faq' and 'FAQ' differ in case alone"),
    # Local files, before any job.
    local(
        "a misspelt path",
        {"registry.yaml": changed("data/faq", "data/fqa", REGISTRY)},
        "registry.yaml: faq: nothing lies at data/fqa.jsonl (did you mean 'data/faq.jsonl'?)",
    ),
    local("an empty file", {"data/faq.jsonl": ""}, "data/faq.jsonl holds no rows; fill it, or correct `path`"),
    local("one JSON array", {"data/faq.jsonl": f"[{ROW}]"}, "it is one JSON array", "`jq -c '.[]' FILE` makes lines"),
    local("CSV as JSON lines", {"data/faq.jsonl": "q,p\na,b\n"}, "it holds no JSON but begins with 'q,p'"),
    local("other keys", {"data/faq.jsonl": '{"question": "a"}\n' * 3}, "has no query: expected an object with"),
    local("a pointer", {"data/faq.jsonl": POINTER}, "it is a Git LFS pointer; run `git lfs pull`"),
    local("a web page", {"data/faq.jsonl": "<!DOCTYPE html>\n<html></html>"}, "it is a web page or an error message"),
    local(
        "UTF-16", {"data/faq.jsonl": (ROW * 3).encode("utf-16")}, "it is text in UTF-16; save it as UTF-8, as `iconv"
    ),
    sourced(
        "a file that is cut off",
        "{reader: jsonl, path: data/f.jsonl.gz}",
        {"data/f.jsonl.gz": gzip.compress(os.urandom(999))[:400]},
        "data/f.jsonl.gz cannot be read: Compressed file ended",
    ),
    sourced(
        "text that is called gz",
        "{reader: jsonl, path: data/f.jsonl.gz}",
        {"data/f.jsonl.gz": ROW},
        "its name ends in `gz`, but it is text; take that ending away",
    ),
    sourced(
        "a misspelt column",
        "{reader: table, path: data/t.csv, columns: {query: q, positive: anwser}}",
        {"data/t.csv": "q,answer\na,b\n"},
        "data/t.csv has no column 'anwser' (did you mean 'answer'?); it has q, answer.",
    ),
    sourced(
        "semicolons",
        "{reader: table, path: data/t.csv, columns: {query: q, positive: p}}",
        {"data/t.csv": "q;p\na;b\n"},
        "Its cells are separated by `;`: `.csv` has commas, `.tsv` tabs.",
    ),
    sourced(
        "a spreadsheet",
        "{reader: table, path: data/t.xlsx, columns: {query: q, positive: p}}",
        {"data/t.xlsx": b"PK\x03"},
        "`path` must name files of one kind: .parquet, .csv, .tsv, .jsonl.",
    ),
    # Models.
    local(
        "a misspelt model",
        {"config.yaml": changed("base: ./base\np", "base: ./bsae\np", CONFIG)},
        "./bsae holds no model",
    ),
    local(
        "a model without weights", {"base/model.safetensors": None}, "base has no weights: expected model.safetensors"
    ),
    local(
        "a model as pointer",
        {"base/model.safetensors": POINTER},
        "Git LFS pointer, not the content (run `git lfs pull`",
    ),
    local(
        "a model cut off", {"base/model.safetensors": struct.pack("<Q", 2000)}, "it is cut off or no safetensors file"
    ),
    local("a broken config.json", {"base/config.json": "{"}, "base/config.json"),
    typed(
        "a model of the hub without a network",
        DOCTOR,
        "model BAAI/bge-m3",
        "HF_HUB_OFFLINE forbids to ask the hub",
        "or name a local folder",
        given=_no_hub,
        files={"config.yaml": changed("base: ./base\np", "base: BAAI/bge-m3\np", CONFIG)},
    ),
    # Rows.
    data(
        "no JSON in a line",
        f"{ROW}{{oops\n",
        "data/faq.jsonl, line 2 is not JSON",
        "raise `data.max_bad_rows` to leave",
    ),
    data(
        "empty answers",
        '{"query": "a", "positive": ""}\n' * 3,
        "task faq has no rows (rows read: 3, positive too short: 3",
    ),
    data(
        "Latin-1",
        '{"query": "caf\xe9", "positive": "b"}\n'.encode("latin-1"),
        "line 1 is not UTF-8. `iconv -f ENCODING",
    ),
    cells("an open quote", 'q,p\n"a,b\n', "line 2: a quote opens in this row and is not closed until the end"),
    cells("a cell too few", "q,p\na\n", "data/t.csv, line 2 has 1 cells, expected the 2 of the header."),
    cells("a list as text", "q,p\na,\"['x', 'y']\"\n", "holds lists written as text", "to_json(PATH, orient='records'"),
    cells("a column twice", "q,p,p\na,b,c\n", "data/t.csv has 2 columns 'p'; give each a name of its own."),
    # Command lines.
    typed("a misspelt command", "tdro trian", "tdro: error: there is no command 'trian' (did you mean 'train'?)."),
    typed(
        "a misspelt option",
        "tdro forecast --configfle x",
        "there is no option --configfle (did you mean --configfile?)",
    ),
    typed("a word too many", "tdro completion bash zsh", "there is no place for 'zsh'"),
    typed("no threads", f"{FORECAST} --threads 0", "argument --threads: expected a whole number of 1 or more, not '0'"),
    typed("a misspelt setting", f"{SELECT} --settings '{{margn: 1}}'", "unknown key `margn` (did you mean 'margin'?)"),
    typed("settings cut off", f"{SELECT} --settings '{{margin'", "--settings is not YAML: line 1"),
    typed("an input that is not made yet", SELECT, "does not exist; run the rule that makes it, or correct the path."),
    typed(
        "a file that is no Parquet",
        SELECT.replace(" b ", " data/faq.jsonl "),
        "data/faq.jsonl is not a readable Parquet file",
    ),
    typed(
        "weights that are none",
        "tdro derive data/faq.jsonl --mixture curr --output out.json",
        "data/faq.jsonl holds no learnt weights; name a trajectory.parquet",
    ),
    typed(
        "a file where a folder is needed",
        f"tdro derive {ROOT}/resources/released_weights/curr.json --mixture curr --output data/faq.jsonl/o.json",
        "data/faq.jsonl cannot be made: a file lies where a folder is needed",
    ),
    typed(
        "nothing to study", "tdro study", "name a configuration, or two folders of finished studies behind --compare."
    ),
    typed("no model of that name", "tdro probe --configfile config.yaml --model tyni", "no model 'tyni'; it has tiny."),
    typed(
        "a misspelt configuration for Snakemake",
        "snakemake -n --configfile confg.yaml",
        "Error: nothing lies at confg.yaml (did you mean 'config.yaml'?)",
    ),
    typed(
        "a target behind --configfile",
        "snakemake -n --configfile config.yaml report",
        "report is a target; write targets first: snakemake report -n --configfile config.yaml",
    ),
    typed("no data for a project", "tdro init mine", "name the folder that holds your data: --from FOLDER."),
    typed("no folder of data", "tdro init mine --from dta", "dta is no folder; name the one that holds your data"),
    typed("a folder without data", "tdro init mine --from base", "base holds nothing to train on"),
    typed("a project twice", "tdro init . --from data", "registry.yaml is there already, and is not overwritten"),
    typed(
        "an instruction of nobody",
        "tdro init mine --from data --instruction fqa=x",
        "--instruction names 'fqa' (did you mean 'faq'?); the datasets are",
        files=dict.fromkeys(("data/faq.jsonl",), "".join(f'["question {n}", "answer {n}"]\n' for n in range(40))),
    ),
    # Machines.
    typed(
        "a full disk",
        f"tdro derive {ROOT}/resources/released_weights/curr.json --mixture curr --output out.json",
        "out.json cannot be written: no space is left on its disk; make room there",
        given=_full,
    ),
    typed("a file of others", FORECAST, "registry.yaml cannot be read: Permission denied.", given=_forbidden),
    typed("a folder of others", DOCTOR, "results cannot be written by you", "`--directory FOLDER`", given=_unwritable),
    typed("too small a disk", DOCTOR, "0.0 GB free at results; a run needs about", given=_little_room),
    typed(
        "too little memory",
        DOCTOR,
        "the largest job needs about",
        "smaller `encoding.batch_size`",
        given=_little_memory,
    ),
    typed("an old Python", DOCTOR, "3.10.2", "make an environment with Python 3.11", given=_old_python),
    typed("a missing library", DOCTOR, "torch not installed", "pip install -e '.[cpu]'", given=_installed(torch=None)),
    typed(
        "no faiss", DOCTOR, "faiss", "not installed", "'.[gpu]' on a machine", given=_installed(**{"faiss-cpu": None})
    ),
    typed("a killed run", DOCTOR, "a run has locked this folder", "--unlock", given=_locked),
    typed(
        "a SLURM that does not answer",
        "tdro doctor nope.yaml",
        "squeue says 'slurm_load_jobs error: Unable to contact slurm controller'",
        given=_silent_slurm,
    ),
]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder for a project, offline and without SLURM."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TDRO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tdro.report.plain._WIDTH", 1000)  # no sentence is broken
    monkeypatch.setattr(online, "hub", lambda: iter(()))
    monkeypatch.setattr(machine.slurmqueue, "missing", lambda: list(machine.slurmqueue.PROGRAMS))
    return tmp_path


def write(folder: Path, files: Files) -> None:
    """Write the files."""
    for name, content in files.items():
        if content is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def answer(line: str, monkeypatch, capsys) -> tuple[int, str]:
    """Status of a command line and all that it prints; an exception of any other kind passes."""
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    with pytest.raises(SystemExit) as end:
        main() if sys.argv[0] == "tdro" else snakemake.cli.main()
        raise SystemExit(0)
    shown, code = capsys.readouterr(), end.value.code
    return (1, f"{shown.out}{shown.err}{code}") if isinstance(code, str) else (code, shown.out + shown.err)


def test_the_project_of_the_table_is_right(project, monkeypatch, capsys):
    write(project, PROJECT)
    for line in (FORECAST, DOCTOR):
        status, said = answer(line, monkeypatch, capsys)
        assert status == 0, said


def test_the_table_is_long_and_each_row_another():
    assert len({mistake.done for mistake in MISTAKES}) == len(MISTAKES) >= 60


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.done for mistake in MISTAKES])
def test_a_mistake_is_answered_by_a_sentence(mistake, project, monkeypatch, capsys):
    write(project, PROJECT | mistake.files)
    before = sorted(project.rglob("*"))
    if mistake.given:
        mistake.given(monkeypatch)
        before = sorted(project.rglob("*"))
    status, said = answer(mistake.line, monkeypatch, capsys)
    assert status in (1, 2), said
    assert not [part for part in mistake.says if part not in said], said
    assert "Traceback" not in said
    assert sorted(project.rglob("*")) == before, "something half-written stays"

"""Jobs of small configurations: of benchmarks of every kind, and of a folder's own files."""

from pathlib import Path

from snakemake.common.configfile import load_configfile

from tdro.config.registry import Registry
from tdro.config.schema import Config
from tdro.pipeline.jobs import Jobs
from tdro.pipeline.start import read

ROOT = Path(__file__).parents[1]
ENTRY = {"language": "en", "instruction": "Find it."}
REGISTRY = """tasks:
  faq: {category: web, language: en, instruction: Find it., source: {reader: jsonl, path: a.jsonl}}
  code: {category: web, language: en, instruction: Find it., source: {reader: jsonl, path: a.jsonl}}
benchmarks:
  web: {language: en, instruction: Find it., source: {reader: jsonl, path: a.jsonl}}
"""
CONFIG = "registry: registry.yaml\nbenchmarks: [web]\nmodels: [{name: tiny, base: ./base}]\nproxy: tiny\n"


def jobs(benchmarks=None, **config):
    """Jobs of two tasks and of benchmarks of rows, with parts, with shared and with borrowed corpora."""
    rows = {"reader": "jsonl", "path": "rows.jsonl"}
    task = ENTRY | {"source": rows, "category": "toy", "held_out": 3}
    known = {
        "web": ENTRY | {"source": rows},
        "nq": ENTRY | {"source": {"reader": "beir", "path": "data/nq"}, "suite": "BEIR"},
        "cqa": ENTRY
        | {
            "source": {"reader": "beir", "path": "data/cqa/{part}"},
            "parts": ["a", "b"],
            "suite": "BEIR",
            "symmetric": True,
        },
        "miracl": ENTRY | {"source": {"reader": "miracl", "path": "data/miracl"}, "parts": ["sw", "yo"]},
        "mkqa": ENTRY | {"source": {"reader": "mkqa", "path": "data/mkqa"}, "parts": ["ar", "th"]},
        "mkqa-nq": ENTRY
        | {"source": {"reader": "mkqa", "path": "data/mkqa"}, "parts": ["ar", "th"], "corpus": "nq", "suite": "MKQA"},
    }
    values = {
        "registry": "registry.yaml",
        "benchmarks": ["in_domain", *known],
        "models": [{"name": "tiny", "base": "base"}],
        "proxy": "tiny",
    }
    registry = {"tasks": {"two": task, "one": task}, "benchmarks": known | (benchmarks or {})}
    return Jobs(Config.model_validate(values | config), Registry.model_validate(registry))


def registry_of(known):
    """The registry of such jobs."""
    return Registry(tasks=known.tasks, benchmarks={test.benchmark: test.entry for test in known.tests.known.values()})


def read_in(folder, monkeypatch, config=CONFIG, registry=REGISTRY, changes=None):
    """The jobs of a configuration in a folder, as Snakemake hands it over."""
    monkeypatch.chdir(folder)
    (folder / "a.jsonl").write_text('["a question", "its answer"]\n')
    (folder / "registry.yaml").write_text(registry)
    (folder / "config.yaml").write_text(config)
    return read({**load_configfile("config.yaml"), **(changes or {})}, ROOT, [folder / "config.yaml"])

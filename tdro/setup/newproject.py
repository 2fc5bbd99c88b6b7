"""The files of a new project, with comments that say what each line does."""

import re
from pathlib import Path
from typing import NamedTuple

import yaml

from tdro.artifacts import strictyaml
from tdro.artifacts.files import replacing
from tdro.config.registry import Registry
from tdro.config.schema import Config
from tdro.config.sections import as_name, parse
from tdro.errors import UserError
from tdro.setup.proposal import Proposal, Proposed

REGISTRY, CONFIG = "registry.yaml", "config.yaml"
# Rows of a step, and how often a training goes over all rows where these are neither few nor many.
_BATCH, _PASSES, _FEWEST, _MOST = 32, 2, 40, 2000
# Prompts of families of models, as their cards state them; of others the model's own files decide.
_PROMPTS = {
    r"e5-(?!.*instruct)": '{query: "query: ", passage: "passage: "}',
    r"bge-.*v1\.5|MiniLM": "none",
}
_ENGLISH, _MULTILINGUAL = "BAAI/bge-small-en-v1.5", "intfloat/multilingual-e5-small"
_SAID = "uniform: all datasets alike; curr: the learnt shares; top70: without the lightest 30 % of the datasets"


class Project(NamedTuple):
    """What is written."""

    registry: str
    config: str


def default_base(proposal: Proposal) -> str:
    """A small embedding model that knows the languages of the data."""
    return _ENGLISH if {one.entry["language"] for one in proposal.datasets} <= {"en"} else _MULTILINGUAL


def project(proposal: Proposal, base: str) -> Project:
    """The files of a project that trains ``base`` on what is proposed.

    Raises:
        UserError: where the base cannot be one.
    """
    made = Project(_registry(proposal), _config(proposal, base))
    known = parse(Registry, strictyaml.read(made.registry, REGISTRY).values, REGISTRY)
    parse(Config, strictyaml.read(made.config, CONFIG).values, CONFIG)
    assert len(known.tasks) == len(proposal.of("train"))
    return made


def check_free(folder: Path) -> None:
    """Refuse a folder that has a project.

    Raises:
        UserError: where one of the files is there.
    """
    if taken := [name for name in (REGISTRY, CONFIG) if (folder / name).exists()]:
        raise UserError(f"{folder / taken[0]} is there already, and is not overwritten; name another folder.")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder for the project.")


def write(made: Project, folder: Path) -> None:
    """Write the files into a folder, which is made where there is none."""
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((REGISTRY, made.registry), (CONFIG, made.config)):
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")


def summary(proposal: Proposal) -> str:
    """A line on each dataset, and on what is left out."""
    lines = []
    for one in proposal.datasets:
        source, more = one.entry["source"], " or more" if one.more else ""
        use = {"test": "a benchmark", "dev": "for choices"}.get(one.use)
        use = use or f"{one.entry['held_out']:,} held out for results, {one.entry['dev']:,} for choices"
        lines.append(f"{one.name}: {one.rows:,}{more} rows of {source['path']} ({source['reader']}); {use}")
        lines += [f"  {line}" for line in one.odd]
    return "\n".join([*lines, *(f"left out: {line}" for line in proposal.left_out)])


def _registry(proposal: Proposal) -> str:
    benchmarks = proposal.of("test", "dev")
    return (
        "# Where the data lie, and what a searcher wants. Made by `tdro init`: correct `instruction` and `category`.\n"
        "# held_out: queries that no training sees, for the results; dev: queries that choices are made on.\n"
        f"tasks:\n{_entries(proposal.of('train'))}" + (f"benchmarks:\n{_entries(benchmarks)}" if benchmarks else "")
    )


def _entries(datasets: list[Proposed]) -> str:
    return "".join(map(_entry, datasets))


def _entry(dataset: Proposed) -> str:
    whole = yaml.safe_dump({dataset.name: dataset.entry}, sort_keys=False, allow_unicode=True, width=1000)
    more = " or more" if dataset.more else ""
    lines = [f"# {dataset.rows:,}{more} rows", *(f"# {line}" for line in dataset.odd), *whole.splitlines()]
    return "".join(f"  {line}\n" for line in lines)


def _config(proposal: Proposal, base: str) -> str:
    tasks = proposal.of("train")
    rows = sum(one.rows - one.entry["held_out"] - one.entry["dev"] for one in tasks)
    steps = min(_MOST, max(_FEWEST, _PASSES * rows // _BATCH))
    name = as_name(base.rstrip("/").rpartition("/")[2], "-") or "base"
    mixtures = ["uniform", *(["curr"] if len(tasks) > 1 else []), *(["top70"] if len(tasks) > 3 else [])]
    length = 256 if max(one.words for one in proposal.datasets) > 100 else 128
    tested = ", ".join(["in_domain", *(one.name for one in proposal.of("test"))])
    chosen = ", ".join(["dev_rows", *(one.name for one in proposal.of("dev"))])
    prompts = next((said for family, said in _PROMPTS.items() if re.search(family, base)), "auto")
    learning = f"learning_rate: 5.0e-5, warmup_steps: {steps // 10}, temperature: 0.05"
    return f"""# Made by `tdro init`. config/README.md of the tdro project explains every key.
registry: {REGISTRY}
benchmarks: [{tested}]    # in_domain: the queries that `held_out` keeps out of training
dev: [{chosen}]    # what choices are made on, and nothing is reported of

models:
  - name: {name}
    base: &base {_quoted(base)}
    prompts: &prompts {prompts}    # what stands before each text; the model's card says it
proxy: {name}    # the model that the shares are learnt with
mixtures: [{", ".join(mixtures)}]    # {_SAID if len(tasks) > 3 else _SAID.partition("; top")[0]}

mining:
  # The base also finds the hard negatives: passages that it ranks high although nobody marked them relevant.
  encode: {{model: *base, prompts: *prompts, max_length: 128}}
  select: {{margin: 0.05}}    # what scores nearly as high as the answer is probably an answer, too

encoding: {{query_length: 64, passage_length: {length}}}    # tokens; longer texts are cut
# {rows:,} rows to train on: {steps} steps of {_BATCH} draw {steps * _BATCH:,}.
training: {{steps: {steps}, batch_size: {_BATCH}, {learning}}}
tdro: {{steps: {max(20, steps // 2)}, batch_size: {_BATCH}, accumulation: 1, negatives: 3, {learning}}}
"""


def _quoted(base: str) -> str:
    """The base as YAML has it."""
    return yaml.safe_dump(base, width=1000).splitlines()[0]

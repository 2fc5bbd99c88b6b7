"""The configuration: one model that validates it, documents it and generates its JSON schema.

``config/*.yaml`` becomes a :class:`Config`, ``config/tasks/*.yaml`` a :class:`Registry`. Unknown
keys are refused. A stage sees its own section only, so that a change of one section reruns only
what depends on it.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from tdro.errors import UserError

# Names become folder names and Snakemake wildcards, so neither slashes nor spaces are possible.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Mixture = Annotated[str, StringConstraints(pattern=r"^(uniform|curr|mean|ema|top([1-9]\d?|100))$")]
Share = Annotated[float, Field(ge=0, le=1)]

Seed = Annotated[int, Field(ge=0, lt=2**32)]

IN_DOMAIN = "in_domain"


class Section(BaseModel):
    """A part of the configuration. Unknown keys are errors; values never change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Source(Section):
    """Where the rows of a dataset come from, and the reader (tdro/sources) that understands them."""

    reader: Name = Field(description="Name of the reader: a module of tdro/sources.")
    path: str | None = Field(None, description="Local file or folder, for readers of local data.")
    package: str | None = Field(
        None,
        description="`NAME==VERSION` of the pip package that holds the data.",
        pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+$",
    )
    sha256: str | None = Field(None, description="Checksum of the package's archive.", pattern=r"^[0-9a-f]{64}$")


class Prompted(Section):
    """How a retriever is told what is searched for."""

    instruction: str = Field(description="What a searcher wants, in one English sentence.", min_length=1)
    symmetric: bool = Field(False, description="Both sides are queries, so both carry the instruction.")


class TaskRows(Section):
    """What preparation reads of a training dataset's entry."""

    source: Source
    negatives: Literal["mined", "provided"] = Field("mined", description="Where hard negatives come from.")
    rows: int | None = Field(None, ge=1, description="Largest number of training queries; null keeps all.")
    held_out: int = Field(0, ge=0, description="Queries kept out of training, for the in-domain benchmark.")
    held_out_corpus: int = Field(1000, ge=1, description="Passages of the in-domain benchmark's corpus.")


class BenchmarkRows(Section):
    """What preparation reads of a benchmark's entry."""

    source: Source
    queries: int | None = Field(None, ge=1, description="Largest number of queries; null keeps all.")


class Described(Prompted):
    """What is said of every dataset beside its rows."""

    language: str = Field(description="ISO 639 codes, comma separated, or `multilingual`.")


class Task(Described, TaskRows):
    """One training dataset."""

    category: str = Field(description="Kind of data (documentation, medical, ...), shown in the report.")


class Benchmark(Described, BenchmarkRows):
    """One evaluation dataset, beside the held-out rows of the tasks."""


class Registry(Section):
    """A file of datasets: ``config/tasks/*.yaml``."""

    tasks: dict[Name, Task] = Field(min_length=1)
    benchmarks: dict[Name, Benchmark] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        shared = sorted((set(self.tasks) & set(self.benchmarks)) | ({IN_DOMAIN} & set(self.benchmarks)))
        if shared:
            raise ValueError(f"benchmark {shared[0]!r} has the name of a task or of the in-domain benchmark; rename it")
        return self


class Model(Section):
    """A base language model that becomes a retriever."""

    name: Name
    base: str = Field(description="Hub id, local folder, or `package:NAME==VERSION/PATH` inside a pip package.")
    revision: str | None = Field(None, description="Revision of a hub model.")
    sha256: str | None = Field(None, description="Checksum of the package's archive.", pattern=r"^[0-9a-f]{64}$")
    layers: int | None = Field(None, ge=1, description="Keep the first N layers; null keeps all.")
    accelerate: Name = Field("cpu", description="Launch configuration: a file of config/accelerate, without `.yaml`.")


class Data(Section):
    """What `prepare` keeps of the rows that a reader yields."""

    min_words: int = Field(
        1, ge=0, description="Shorter queries and passages are dropped; a Chinese or Japanese character is a word."
    )
    max_words: int | None = Field(None, ge=1, description="Longer passages are cut after this many words.")
    seed: Seed = Field(42, description="Seed of the held-out split and of the choice of rows.")


class Mining(Section):
    """Hard negatives: what a miner model ranks high and nobody marked relevant."""

    model: str = Field("BAAI/bge-base-en-v1.5", description="Miner: hub id, local folder or `package:...`.")
    sha256: str | None = Field(None, description="Checksum of the package's archive.", pattern=r"^[0-9a-f]{64}$")
    query_prompt: str = Field("", description="Text put before each query, if the miner wants one.")
    max_length: int = Field(512, ge=8, description="Tokens of a text that the miner sees.")
    batch_size: int = Field(64, ge=1, description="Texts a forward pass.")
    ranks: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]] = Field(
        (2, 100), description="First rank kept, and the rank before which to stop; ranks start at 0."
    )
    samples: int = Field(16, ge=1, description="Negatives sampled from those ranks, a query.")
    margin: float | None = Field(
        None, ge=0, lt=1, description="Drop candidates scoring above pos - |pos| * margin; null keeps them."
    )
    too_few: Literal["fill_random", "drop"] = Field(
        "fill_random", description="A query left with too few negatives: random passages fill it up, or it is dropped."
    )
    seed: Seed = 42

    @model_validator(mode="after")
    def _ranks_ordered(self) -> Self:
        if self.ranks[0] >= self.ranks[1]:
            raise ValueError(f"ranks {list(self.ranks)} must be [first, end) with first < end")
        return self


class Dedup(Section):
    """Training queries that nearly equal an evaluation query are removed."""

    distance: int = Field(
        2, ge=0, le=15, description="Largest Hamming distance of 64-bit SimHashes that counts as equal."
    )


class Encoding(Section):
    """How a retriever reads texts; the same in training and in evaluation."""

    query_length: int = Field(128, ge=8, description="Tokens of a query, instruction and EOS included.")
    passage_length: int = Field(512, ge=8, description="Tokens of a passage, EOS included.")
    precision: Literal["bf16", "fp32"] = Field("bf16", description="Autocast type; master weights are float32.")
    batch_size: int = Field(64, ge=1, description="Texts a forward pass outside training.")


class Optimisation(Section):
    """What every training has: AdamW, linear warm-up, cosine decay (paper, settings)."""

    steps: int = Field(1000, ge=1, description="Optimiser steps.")
    batch_size: int = Field(2048, ge=2, description="Rows an optimiser step, over all processes.")
    negatives: int = Field(1, ge=0, description="Hard negatives a row.")
    learning_rate: float = Field(1e-4, gt=0)
    min_lr_ratio: Share = Field(0.1, description="The learning rate ends at this share of its peak.")
    warmup_steps: int = Field(100, ge=0)
    weight_decay: float = Field(0.1, ge=0)
    max_grad_norm: float = Field(1.0, gt=0, description="Model gradients are clipped to this l2 norm.")
    temperature: float = Field(0.002, gt=0, description="Tau of the contrastive loss.")
    gradient_checkpointing: bool = False
    save_steps: int = Field(100, ge=1, description="Steps between checkpoints.")
    log_steps: int = Field(10, ge=1, description="Steps between log lines.")


class Training(Optimisation):
    """Baseline and retraining: one task a step, in-batch negatives."""


class Tdro(Optimisation):
    """tDRO: all tasks in every step, own hard negatives only, weights learnt beside the proxy."""

    negatives: int = Field(7, ge=1, description="Hard negatives a row.")
    accumulation: int = Field(4, ge=1, description="Micro-batches a step; the measurement is averaged over them.")
    step_size: float = Field(0.02, gt=0, description="Eta: step size of the ascent on the log weights.")
    weight_grad_norm: float = Field(1.0, gt=0, description="The measurement vector is clipped to this l2 norm.")
    ema: Share = Field(0.1, description="Share of the newest weights in the exponential moving average.")
    measure: Literal["released", "ratio", "difference", "proxy"] = Field(
        "released", description="Loss measurement of a task, see docs/algorithm.md."
    )
    floor: float = Field(1e-4, gt=0, description="Normalised reference losses below it count as 1 (`released` only).")

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        if self.batch_size % self.accumulation:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of accumulation {self.accumulation}")
        return self


class Report(Section):
    """The report and its statistics."""

    title: str = "tDRO report"
    bootstrap_samples: int = Field(10_000, ge=100)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    seed: Seed = 42


class Config(Section):
    """A whole run: ``config/config.yaml`` and its neighbours."""

    registry: str = Field(description="File of datasets; relative to the working folder or to the project.")
    tasks: list[Name] | None = Field(None, min_length=2, description="Training tasks; null takes all of the registry.")
    benchmarks: list[Name] = Field(min_length=1, description="Benchmarks of the registry, and `in_domain`.")
    models: list[Model] = Field(min_length=1)
    proxy: Name = Field(description="The model that learns the weights; the others use them.")
    seeds: list[Seed] = Field([42], min_length=1)
    mixtures: list[Mixture] = Field(["uniform", "curr", "top70"], min_length=1)
    data: Data = Data()
    mining: Mining = Mining()
    dedup: Dedup = Dedup()
    encoding: Encoding = Encoding()
    training: Training = Training()
    tdro: Tdro = Tdro()
    report: Report = Report()

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for key, values in (
            ("tasks", self.tasks or []),
            ("benchmarks", self.benchmarks),
            ("seeds", self.seeds),
            ("mixtures", self.mixtures),
            ("models", [m.name for m in self.models]),
        ):
            twice = [v for i, v in enumerate(values) if v in values[:i]]
            if twice:
                raise ValueError(f"{key} names {twice[0]!r} twice")
        if self.proxy not in [m.name for m in self.models]:
            raise ValueError(f"proxy {self.proxy!r} is none of the models: {', '.join(m.name for m in self.models)}")
        if "uniform" not in self.mixtures:
            raise ValueError("mixtures must contain 'uniform': every difference is measured against it")
        return self


SectionType = TypeVar("SectionType", bound=Section)


def parse(section: type[SectionType], values: Any, where: str) -> SectionType:
    """Validate ``values`` as ``section``.

    Raises:
        UserError: with one line a wrong key, naming ``where`` and the key.
    """
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise UserError(_sentence(error, section, where)) from None


def load(path: str | Path, section: type[SectionType]) -> SectionType:
    """Read and validate a YAML file."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    return parse(section, values, str(path))


def settings(section: type[SectionType], text: str | None) -> SectionType:
    """The section written in ``text`` (YAML, hence also JSON), in the file that ``@FILE`` names, or its defaults."""
    if text and text.startswith("@"):
        return load(text[1:], section)
    try:
        values = yaml.safe_load(text or "{}")
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"--settings is not YAML: {' '.join(str(error).split())}") from None
    return parse(section, values, "--settings")


def select(config: Config, registry: Registry) -> tuple[dict[str, Task], dict[str, Benchmark]]:
    """The registry's entries that ``config`` names, in the registry's order.

    Raises:
        UserError: for a name the registry does not hold, or in-domain evaluation without held-out rows.
    """
    for kind, wanted, known in (
        ("task", config.tasks or [], registry.tasks),
        ("benchmark", [b for b in config.benchmarks if b != IN_DOMAIN], registry.benchmarks),
    ):
        for name in wanted:
            if name not in known:
                raise UserError(
                    f"{config.registry} has no {kind} {name!r}; it has {', '.join(known) or 'none'}. "
                    f"Correct the name under `{kind}s` of the config or add an entry to the registry."
                )
    tasks = {n: t for n, t in registry.tasks.items() if config.tasks is None or n in config.tasks}
    if IN_DOMAIN in config.benchmarks and not any(t.held_out for t in tasks.values()):
        raise UserError(
            f"benchmark {IN_DOMAIN!r} needs held-out rows, but no task of {config.registry} sets `held_out`."
        )
    return tasks, {n: b for n, b in registry.benchmarks.items() if n in config.benchmarks}


def schema() -> str:
    """The JSON schema of :class:`Config`, as ``workflow/schemas/config.schema.json`` holds it."""
    return json.dumps(Config.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def _sentence(error: ValidationError, section: type[Section], where: str) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            parent = problem["loc"][:-1]
            known = _known_keys(section, parent)
            hint = f"; known keys are {', '.join(known)}" if known else ""
            lines.append(f"{where}: unknown key `{key}`{hint}")
        elif problem["type"] == "missing":
            lines.append(f"{where}: key `{key}` is missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            message = message[:1].lower() + message[1:]
            lines.append(f"{where}: {f'`{key}`: ' if key else ''}{message}")
    return "\n".join(lines)


def _known_keys(section: Any, loc: tuple) -> list[str]:
    """Keys of the section that ``loc`` leads to from ``section``; [] when it leads elsewhere."""
    for part in loc:
        field = getattr(section, "model_fields", {}).get(part)
        candidate = field.annotation if field else section
        inner = [a for a in (candidate, *getattr(candidate, "__args__", ())) if isinstance(a, type)]
        section = next((a for a in inner if issubclass(a, Section)), None) or (section if not field else None)
        if section is None:
            return []
    return list(getattr(section, "model_fields", {}))

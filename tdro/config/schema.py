"""The configuration: one model that validates it, documents it and generates its JSON schema.

``config/*.yaml`` becomes a :class:`Config`. Unknown keys are refused. A stage sees its own section
only, so that a change of one section reruns only what depends on it.
"""

import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from tdro.artifacts.layout import IN_DOMAIN
from tdro.config import mixturenames
from tdro.config.dimensions import Dimensions
from tdro.config.nearest import hint
from tdro.config.prompts import INSTRUCTION, BasePrompts, MinerPrompts, Prompts, TaskPrompts
from tdro.config.registry import Benchmark, Registry, Task
from tdro.config.sections import Checksum, LocalPath, Name, Reference, Section, Seed, Share
from tdro.errors import UserError

#: Endings of the files of queries that `tdro/readers/queryfiles.py` reads.
KINDS = (".txt", ".tsv", ".jsonl", ".parquet")
#: Ranks of hard negatives in a large corpus, as in the paper; of a small one they are at most one passage in so many.
RANKS, NEAREST = (2, 100), 10

Measure = Literal["released", "ratio", "difference", "proxy", "excess"]
Clip = Literal["norm", "value", "none"]
Pooling = Literal["auto", "lasttoken", "mean", "cls", "max", "weightedmean", "mean_sqrt_len_tokens"]
Schedule = Literal["constant", "linear", "cosine"]


def _mixture(name: str) -> str:
    try:
        mixturenames.parse(name)
    except UserError as error:
        raise ValueError(str(error)) from None
    return name


Mixture = Annotated[
    str, AfterValidator(_mixture), WithJsonSchema({"type": "string", "pattern": f"^({mixturenames.NAMES})$"})
]


class Lora(Section):
    """Low-rank adapters beside the frozen weights (Hu et al. 2021); merged into them when the model is saved."""

    rank: int = Field(8, ge=1, description="Rank r of the update of each linear layer.")
    alpha: float = Field(32, gt=0, description="The update is scaled by alpha / rank.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout before the update, in training.")


class Model(Section):
    """A base that becomes a retriever: an embedding model, an encoder or a decoder."""

    name: Name
    base: Reference = Field(description="Hub id, local folder, or `package:NAME==VERSION/PATH` inside a pip package.")
    revision: str | None = Field(None, description="Revision of a hub model.")
    sha256: Checksum | None = Field(None, description="Checksum of the package's archive.")
    layers: int | None = Field(None, ge=1, description="Keep the first N layers; null keeps all.")
    static: int | None = Field(
        None,
        ge=1,
        description="Distil the base into a static embedding of so many dimensions first (model2vec): one vector a "
        "token, no attention.",
    )
    pooling: Pooling = Field(
        "auto",
        description="How token vectors become one: `auto` keeps an embedding model's own way, takes the last token of "
        "a decoder (an EOS is appended) and the mean of an encoder.",
    )
    prompts: BasePrompts = Field(
        TaskPrompts(),
        description="What stands before texts: `auto` (the base's own; instructions for a decoder without; else "
        "nothing), `instruct`, `none`, or `query`, `passage` and `tasks`.",
    )
    accelerate: Name = Field(
        "auto",
        description="Launch configuration: `auto` (one process a GPU of the job, or the CPU where there is none), or a "
        "file of config/accelerate without `.yaml`; `cpu` leaves GPUs alone.",
    )
    attention: Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"] | None = Field(
        None, description="Attention implementation of transformers; null lets it choose."
    )
    lora: Lora | None = Field(None, description="Train low-rank adapters only; null trains all weights.")
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="Type of the weights in training; `bfloat16` halves what frozen weights take (LoRA)."
    )

    @model_validator(mode="after")
    def _trained_in_float32(self) -> Self:
        if self.dtype != "float32" and not self.lora:
            raise ValueError("dtype bfloat16 is for weights that `lora` freezes; AdamW learns nothing on trained ones")
        return self

    @model_validator(mode="after")
    def _static_has_no_layers(self) -> Self:
        given = [key for key in ("layers", "lora", "attention") if getattr(self, key)]
        given += ["pooling"] if self.pooling != "auto" else []
        if self.static and given:
            raise ValueError(f"`static` leaves one vector a token, to which `{given[0]}` means nothing; remove one")
        return self


class Data(Section):
    """What `prepare` keeps of the rows that a reader yields."""

    min_words: int = Field(
        1, ge=0, description="Shorter queries and passages are dropped; a Chinese or Japanese character is a word."
    )
    max_words: int | None = Field(None, ge=1, description="Longer passages are cut after this many words.")
    drop_echoes: Literal["none", "same", "near"] = Field(
        "same",
        description="Positives that repeat their query and are dropped: none, those that say the same (but for case "
        "and sentence marks), or those that nearly do as well.",
    )
    max_bad_rows: int = Field(
        0, ge=0, description="Malformed lines of a dataset that are counted and left out; with more, preparation stops."
    )
    seed: Seed = Field(42, description="Seed of the held-out split and of the choice of rows.")


class Encode(Section):
    """The miner, an embedding model, and how it reads texts."""

    model: Reference = Field("BAAI/bge-base-en-v1.5", description="Miner: hub id, local folder or `package:...`.")
    revision: str | None = Field(None, description="Revision of a hub model.")
    sha256: Checksum | None = Field(None, description="Checksum of the package's archive.")
    prompts: MinerPrompts = Field(
        Prompts(), description="What stands before texts: `auto` (the miner's own), `none`, or `query` and `passage`."
    )
    max_length: int = Field(512, ge=8, description="Tokens of a text that the miner sees.")
    batch_size: int = Field(64, ge=1, description="Texts a forward pass.")
    shard_size: int = Field(16_384, ge=1, description="Texts a file of embeddings; what a killed run loses at most.")

    @model_validator(mode="after")
    def _prompts_are_whole(self) -> Self:
        if INSTRUCTION in f"{self.prompts.query}{self.prompts.passage}":
            raise ValueError(f"prompts: the miner reads all tasks alike; write words in the place of {INSTRUCTION}")
        return self


class Search(Section):
    """The nearest passages of each query."""

    index: str = Field("Flat", description="faiss factory string: `Flat` is exact; `IVF4096,Flat`, `HNSW32`.")
    depth: int = Field(100, ge=1, description="Candidates a query, its positives not counted.")
    nprobe: int | None = Field(None, ge=1, description="Lists that an IVF index looks into.")
    ef_search: int | None = Field(None, ge=1, description="Nodes that an HNSW index keeps in view.")


class Rescore(Section):
    """A cross-encoder that scores the best candidates anew."""

    model: Reference = Field(description="Cross-encoder: hub id, local folder or `package:...`.")
    revision: str | None = Field(None, description="Revision of a hub model.")
    sha256: Checksum | None = Field(None, description="Checksum of the package's archive.")
    depth: int = Field(100, ge=1, description="Candidates rescored a query; those behind them are left out.")
    max_length: int = Field(512, ge=8, description="Tokens of a pair that the cross-encoder sees.")
    batch_size: int = Field(64, ge=1, description="Pairs a forward pass.")
    activation: Literal["own", "none"] = Field(
        "own",
        description="`own`: scores as the model means them, often a sigmoid's, from 0 to 1; `none`: as the last layer "
        "gives them, for `training.distill`.",
    )


class Select(Section):
    """Which candidates become hard negatives."""

    ranks: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]] | None = Field(
        None,
        description="First rank kept, and the rank before which to stop; ranks start at 0. Null: from 2 to 100, in a "
        "corpus of fewer than 1,000 passages to a tenth of it, but at least to as many as `samples`.",
    )
    samples: int = Field(16, ge=1, description="Negatives sampled from those ranks, a query.")
    margin: float | None = Field(
        None, ge=0, lt=1, description="Drop candidates scoring above pos - |pos| * margin; null keeps them."
    )
    min_score: float | None = Field(None, description="Drop candidates scoring below it.")
    max_score: float | None = Field(None, description="Drop candidates scoring above it.")
    too_few: Literal["fill_random", "keep_with", "drop"] = Field(
        "fill_random", description="A query left with too few: random passages fill it up, it keeps them, or it goes."
    )
    seed: Seed = 42

    @model_validator(mode="after")
    def _limits_ordered(self) -> Self:
        if self.ranks and self.ranks[0] >= self.ranks[1]:
            raise ValueError(f"ranks {list(self.ranks)} must be [first, end) with first < end")
        if None not in (self.min_score, self.max_score) and self.min_score > self.max_score:
            raise ValueError(f"min_score {self.min_score} is above max_score {self.max_score}; no candidate fits")
        return self


class Mining(Section):
    """Hard negatives: what a miner model ranks high and nobody marked relevant."""

    encode: Encode = Encode()
    search: Search = Search()
    rescore: Rescore | None = Field(None, description="Rescoring of the candidates; null leaves it out.")
    select: Select = Select()

    @model_validator(mode="after")
    def _deep_enough(self) -> Self:
        ranks, deepest = self.select.ranks, self.rescore.depth if self.rescore else self.search.depth
        if ranks and ranks[1] > self.search.depth:
            raise ValueError(f"select.ranks {list(ranks)} end behind search.depth {self.search.depth}; raise the depth")
        if ranks and ranks[0] >= deepest:
            raise ValueError(f"select.ranks {list(ranks)} start behind rescore.depth {deepest}")
        if not ranks and RANKS[0] >= deepest:
            key = "rescore.depth" if self.rescore else "search.depth"
            raise ValueError(
                f"{key} {deepest} ends before rank {RANKS[0]}, the first that is kept; raise it or set ranks"
            )
        return self


class Dedup(Section):
    """Training queries that nearly equal an evaluation query, or each other, are removed."""

    distance: int = Field(
        2, ge=0, le=15, description="Largest Hamming distance of 64-bit SimHashes that counts as equal."
    )
    within: bool = Field(False, description="Remove a query that nearly equals an earlier one of its task, too.")
    queries: list[LocalPath] = Field(
        [], description="Local files of further queries to compare with: " + ", ".join(KINDS)
    )

    @model_validator(mode="after")
    def _files_are_told_apart(self) -> Self:
        names = [Path(file).name for file in self.queries]
        twice = [name for i, name in enumerate(names) if name in names[:i]]
        if twice:
            raise ValueError(f"queries names two files {twice[0]!r}; `duplicates.parquet` knows a file by its name")
        for file in self.queries:
            if Path(file).suffix.lower() not in KINDS:
                raise ValueError(f"queries: {file!r} must end in one of {', '.join(KINDS)}")
        return self


class Encoding(Section):
    """How a retriever reads texts; the same in training and in evaluation."""

    query_length: int = Field(128, ge=8, description="Tokens of a query, instruction and EOS included.")
    passage_length: int = Field(512, ge=8, description="Tokens of a passage, EOS included.")
    precision: Literal["bf16", "fp32"] = Field("bf16", description="Autocast type; master weights are float32.")
    batch_size: int = Field(64, ge=1, description="Texts a forward pass outside training.")


class Evaluation(Section):
    """What is evaluated beside the trained retrievers, and what is kept."""

    untrained: list[Literal["bm25", "miner", "base"]] = Field(
        ["bm25", "miner", "base"],
        description="Rows that anchor the table: BM25, the miner, and each base that is an embedding model, before any "
        "training.",
    )
    dimensions: Dimensions = Field(
        [],
        description="Embeddings are also scored cut to each of these dimensions, such as [256, 64], and scaled to unit "
        "length anew.",
    )
    run_files: bool = Field(False, description="Keep the rankings themselves, in TREC's format.")


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
    mini_batch_tokens: int | None = Field(
        None, ge=8, description="Tokens of a forward pass at most, gradients cached (GradCache); null sets no limit."
    )
    save_steps: int = Field(100, ge=1, description="Steps between checkpoints.")
    log_steps: int = Field(10, ge=1, description="Steps between log lines.")
    report_to: list[Literal["tensorboard", "wandb", "mlflow", "trackio", "comet_ml"]] = Field(
        ["tensorboard"], description="Where the figures of a training go."
    )


class Distill(Section):
    """A retriever learns the cross-encoder's scores of a row's own passages beside the contrastive loss."""

    weight: float = Field(0.5, gt=0, le=1, description="Share of the divergence in the loss; the rest is contrastive.")
    temperature: float = Field(1.0, gt=0, description="T of the cross-encoder's softmax; larger is softer.")


class Training(Optimisation):
    """Baseline and retraining: one task a step, in-batch negatives."""

    matryoshka: Dimensions = Field(
        [],
        description="Dimensions that the loss is taken at, each with its embeddings cut and scaled to unit length anew "
        "(Matryoshka), such as [768, 256, 64]; none takes whole embeddings.",
    )
    distill: Distill | None = Field(
        None, description="Also learn the scores of `mining.rescore`, see there; null learns from the rows alone."
    )
    card_examples: int = Field(
        0, ge=0, description="Training rows of each task that the model's card shows, texts and all; 0 shows none."
    )

    @model_validator(mode="after")
    def _passages_to_compare(self) -> Self:
        if self.distill and not self.negatives:
            raise ValueError("distill compares a positive with hard negatives; set negatives to 1 or more")
        return self


class Tdro(Optimisation):
    """tDRO: all tasks in every step, own hard negatives only, weights learnt beside the proxy."""

    negatives: int = Field(7, ge=1, description="Hard negatives a row.")
    rows: Literal["fresh", "same"] = Field(
        "fresh",
        description="`fresh`: rows that the baseline has not drawn, while a task has any; `same`: its first ones.",
    )
    accumulation: int = Field(4, ge=1, description="Micro-batches a step; the measurement is averaged over them.")
    step_size: float = Field(0.02, gt=0, description="Eta: step size of the ascent on the log weights.")
    weight_optimizer: Literal["sgd", "adamw", "rmsprop", "adagrad"] = Field(
        "sgd", description="Optimiser of the log weights; plain ascent is the paper's."
    )
    weight_schedule: Schedule = Field(
        "constant", description="How `step_size` falls over the steps: not at all, or to 0 by a line or half a cosine."
    )
    weight_clip: Clip = Field(
        "norm", description="What `weight_grad_norm` limits: the measurement vector's l2 norm, each value, or nothing."
    )
    weight_grad_norm: float = Field(1.0, gt=0, description="Limit of the measurement vector, see `weight_clip`.")
    ema: Share = Field(0.1, description="Share of the newest weights in the exponential moving average.")
    measure: Measure = Field("released", description="Loss measurement of a task, see docs/algorithm.md.")
    floor: float = Field(1e-4, gt=0, description="Normalised reference losses below it count as 1 (`released` only).")
    smoothing: float = Field(0, ge=0, lt=1, description="Share of uniform weights mixed in after each step.")
    sampling: Mixture = Field("uniform", description="Mixture that the rows of tDRO are sampled by; not a learnt one.")
    initial: Mixture = Field("uniform", description="Mixture that the weights start from; not a learnt one.")

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        if self.batch_size % self.accumulation:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of accumulation {self.accumulation}")
        for key in ("sampling", "initial"):
            if mixturenames.parse(getattr(self, key)).learnt:
                raise ValueError(f"{key} {getattr(self, key)!r} is learnt by tDRO itself; name one that is not")
        return self


class Sweep(Section):
    """Further runs of tDRO over the same plan and reference losses: each measure with each step size."""

    step_size: list[Annotated[float, Field(gt=0)]] = Field([], description="Step sizes; none takes that of `tdro`.")
    measure: list[Measure] = Field([], description="Measures; none takes that of `tdro`.")

    def variants(self, tdro: Tdro) -> dict[str, Tdro]:
        """The settings of each run, by its name ``MEASURE-STEP``."""
        if not (self.step_size or self.measure):
            return {}
        return {
            f"{measure}-{step_size:g}": tdro.model_copy(update={"measure": measure, "step_size": step_size})
            for measure in self.measure or [tdro.measure]
            for step_size in self.step_size or [tdro.step_size]
        }


class Report(Section):
    """The report and its statistics."""

    title: str = "tDRO report"
    bootstrap_samples: int = Field(
        10_000, ge=100, description="Resamples behind the intervals, and assignments of signs behind the p-values."
    )
    confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Level of the intervals; gains and losses have an interval without zero and p below 1 minus it.",
    )
    max_passes: float = Field(10, gt=0, description="More passes over a dataset in one training are pointed out.")
    seed: Seed = 42


class Config(Section):
    """A whole run: ``config/config.yaml`` and its neighbours."""

    registry: LocalPath = Field(description="File of datasets; relative to the working folder or to the project.")
    tasks: list[Name] | None = Field(None, min_length=2, description="Training tasks; null takes all of the registry.")
    benchmarks: list[Name] = Field(min_length=1, description="Benchmarks of the registry, and `in_domain`.")
    models: list[Model] = Field(min_length=1)
    proxy: Name = Field(description="The model that learns the weights; the others use them.")
    seeds: list[Seed] = Field([42], min_length=1)
    mixtures: list[Mixture] = Field(["uniform", "curr", "top70"], min_length=1)
    weights: dict[Name, LocalPath] = Field(
        {}, description="Weights JSONs by name; `file-NAME` under `mixtures` trains on one."
    )
    jobs: Literal["each", "one"] = Field(
        "each",
        description="`each`: a job encodes one task for mining or evaluates one benchmark, side by side on a cluster; "
        "`one`: one job encodes all tasks, and one job a retriever evaluates all benchmarks, so that small ones do not "
        "load the model anew.",
    )
    data: Data = Data()
    mining: Mining = Mining()
    dedup: Dedup = Dedup()
    encoding: Encoding = Encoding()
    evaluation: Evaluation = Evaluation()
    training: Training = Training()
    tdro: Tdro = Tdro()
    sweep: Sweep = Sweep()
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
            known = [m.name for m in self.models]
            raise ValueError(f"proxy {self.proxy!r}{hint(self.proxy, known)} is none of the models: {', '.join(known)}")
        variants = self.sweep.variants(self.tdro)
        named = [("mixtures", name) for name in self.mixtures]
        for key, name in [*named, ("tdro.sampling", self.tdro.sampling), ("tdro.initial", self.tdro.initial)]:
            mixture = mixturenames.parse(name)
            if mixture.kind == "file" and mixture.name not in self.weights:
                meant, known = hint(mixture.name, self.weights), ", ".join(self.weights) or "none"
                raise ValueError(
                    f"{key} names {name!r}, but weights has no file {mixture.name!r}{meant}; it has {known}"
                )
            if mixture.variant and mixture.variant not in variants:
                meant, known = hint(mixture.variant, variants), ", ".join(variants) or "none"
                raise ValueError(f"{key} names the variant {mixture.variant!r}{meant}; `sweep` makes {known}")
        if "uniform" not in self.mixtures:
            raise ValueError("mixtures must contain 'uniform': every difference is measured against it")
        return self

    @model_validator(mode="after")
    def _something_to_distil(self) -> Self:
        if self.training.distill and not self.mining.rescore:
            raise ValueError(
                "training.distill learns a cross-encoder's scores, and no task has any: name one under mining.rescore, "
                "or remove training.distill"
            )
        return self


def select(config: Config, registry: Registry) -> tuple[dict[str, Task], dict[str, Benchmark]]:
    """The registry's entries that ``config`` names.

    Tasks come by name: the order in which a file lists them means nothing, so that another order reruns nothing.

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
                    f"{config.registry} has no {kind} {name!r}{hint(name, known)}; "
                    f"it has {', '.join(known) or 'none'}. "
                    f"Correct the name under `{kind}s` of the config or add an entry to the registry."
                )
    tasks = {n: t for n, t in sorted(registry.tasks.items()) if config.tasks is None or n in config.tasks}
    if IN_DOMAIN in config.benchmarks and not any(t.held_out for t in tasks.values()):
        raise UserError(
            f"benchmark {IN_DOMAIN!r} needs held-out rows, but no task of {config.registry} sets `held_out`."
        )
    return tasks, {n: b for n, b in registry.benchmarks.items() if n in config.benchmarks}


def schema() -> str:
    """The JSON schema of :class:`Config`, as ``workflow/schemas/config.schema.json`` holds it."""
    return json.dumps(Config.model_json_schema(), indent=2, ensure_ascii=False) + "\n"

"""The whole configuration: one model that validates it, documents it and generates its JSON schema.

``config/*.yaml`` becomes a :class:`Config`. Unknown keys are refused. A stage sees its own section
only, so that a change of one section reruns only what depends on it.
"""

import json
from typing import Literal, Self

from pydantic import Field, model_validator

from tdro.artifacts.layout import DEV_ROWS, IN_DOMAIN
from tdro.config import mixturenames
from tdro.config.data import Data, Dedup
from tdro.config.dimensions import Dimensions
from tdro.config.experts import Experts
from tdro.config.mining import Mining
from tdro.config.models import Encoding, Model
from tdro.config.nearest import hint
from tdro.config.registry import Benchmark, Registry, Task
from tdro.config.sections import LocalPath, Name, Section, Seed, same_folder
from tdro.config.soups import ON_DEV, Soup
from tdro.config.training import Mixture, Sweep, Tdro, Training
from tdro.errors import UserError


class Sample(Section):
    """Previews: large corpora are evaluated on a sample of their passages, with all that are relevant."""

    hard: int = Field(50, ge=0)
    """Passages of each query that BM25 ranks first."""
    random: int = Field(2000, ge=0)
    """Passages beside them, the same whatever the order of the corpus."""
    seed: Seed = 42
    """Decides which."""


class Evaluation(Section):
    """What is evaluated beside the trained retrievers, and what is kept."""

    untrained: list[Literal["bm25", "miner", "base"]] = Field(["bm25", "miner", "base"])
    """Rows that anchor the table: BM25, the miner as it is, and each base that is an embedding model, before any
    training. A base that is also the miner is one row, the base's; where no task is mined, the miner is a row only if
    this key names it. A hub id or a package's folder counts as an embedding model unless `pooling`, `layers` or a GGUF
    file say otherwise; a local folder does where it has `modules.json`. BM25 holds an index in memory, about 1 to 2 GB
    a million passages."""
    dimensions: Dimensions = Field([])
    """With `[256, 64]` every retriever that embeds is also scored by the first 256 and the first 64 numbers of its
    embeddings alone, the largest first; the corpus is encoded once. The report shows what is kept of the whole
    embeddings' score. A retriever with fewer numbers is left out there, with a warning."""
    scatter: int = Field(2_000_000, ge=1)
    """A corpus that the registry expects to have more passages (`expected_rows`) is searched by several jobs, one for
    about so many passages, each on GPUs of its own. Scores do not depend on it, but another number of jobs searches
    the corpus anew."""
    sample: Sample | None = None
    """With a section (`{hard: 50, random: 2000}`) each corpus with more passages than `hard` and `random` together, as
    the registry expects it, or of which the registry says nothing, is searched in a sample of them: a preview. Its
    scores are too high, can be compared between the retrievers of one run only, and are marked wherever they are
    shown. They lie apart from full scores (`eval/{dataset}@sample.json`), which come when the key is removed."""
    run_files: bool = False
    """Keep the rankings themselves in TREC's format, in `eval/{dataset}.runs/` beside the scores."""


class Report(Section):
    """The report and its statistics."""

    title: str = "tDRO report"
    """Heading of the report."""
    bootstrap_samples: int = Field(10_000, ge=100)
    """Resamples behind the confidence intervals, and assignments of signs behind the p-values."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of the intervals. A difference whose p (corrected for all comparisons of a model) lies below 1 minus it,
    and whose interval leaves out zero, counts as gain or loss."""
    max_passes: float = Field(10, gt=0)
    """The report points out datasets that a training goes over more often."""
    seed: Seed = 42
    """Decides the resamples."""


class Config(Section):
    """A whole run: ``config/config.yaml`` and its neighbours."""

    registry: LocalPath
    """The file of datasets; relative to the working folder or to the project."""
    tasks: list[Name] | None = Field(None, min_length=2)
    """Training tasks out of the registry; null takes all."""
    benchmarks: list[Name] = Field(min_length=1)
    """Benchmarks out of the registry; `in_domain` stands for the held-out rows of the tasks."""
    dev: list[Name] = Field([])
    """What choices are made on and nothing is reported of: benchmarks out of the registry, none of which is among
    `benchmarks` or shares passages or a source with one that is; `dev_rows` stands for the dev rows of the tasks
    (docs/algorithm.md). Only what chooses computes anything for it, and soups, which it warns of."""
    models: list[Model] = Field(min_length=1)
    """The base models to train."""
    proxy: Name
    """The model that learns the weights; all models are retrained with them."""
    seeds: list[Seed] = Field([42], min_length=1)
    """Each seed is a repetition of all trainings; the report shows the spread."""
    mixtures: list[Mixture] = Field(["uniform", "curr", "top70"], min_length=1)
    """What to train with; `uniform` must be among them."""
    weights: dict[Name, LocalPath] = Field({})
    """Weights JSONs for `file-NAME` mixtures; each is relative to the working folder or to the project, and may weigh
    only tasks that are trained on."""
    soups: dict[Name, Soup] = Field({})
    """Averages of trained models, for `soup-NAME` and `averaged-NAME` under `mixtures`; a NAME has letters, digits and
    _."""
    jobs: Literal["each", "one"] = "each"
    """`each`: every task with `negatives: mined` is encoded in a job of its own, and every retriever evaluated on each
    test set in one; a cluster runs them side by side. `one`: one job encodes all tasks, and one job a retriever
    evaluates all test sets, so that small ones do not load Python and the model again and again, which takes 5 to 10 s
    on a laptop. The files are the same. But a change of one task or one benchmark makes all of that job's anew."""
    data: Data = Data()
    mining: Mining = Mining()
    dedup: Dedup = Dedup()
    encoding: Encoding = Encoding()
    evaluation: Evaluation = Evaluation()
    training: Training = Training()
    tdro: Tdro = Tdro()
    sweep: Sweep = Sweep()
    experts: Experts = Experts()
    report: Report = Report()

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for key, values in (
            ("tasks", self.tasks or []),
            ("benchmarks", self.benchmarks),
            ("dev", self.dev),
            ("seeds", self.seeds),
            ("mixtures", self.mixtures),
            ("models", [m.name for m in self.models]),
        ):
            twice = [v for i, v in enumerate(values) if v in values[:i]]
            if twice:
                raise ValueError(f"{key} names {twice[0]!r} twice")
        for key, folders in (
            ("models", [m.name for m in self.models]),
            ("weights", self.weights),
            ("soups", self.soups),
        ):
            if alike := same_folder(folders):
                raise ValueError(f"{key}: {alike}")
        if self.proxy not in [m.name for m in self.models]:
            names = [m.name for m in self.models]
            raise ValueError(f"proxy {self.proxy!r}{hint(self.proxy, names)} is none of the models: {', '.join(names)}")
        compared = [*self.benchmarks, *self.dev_benchmarks]
        for name in self.dedup.against or ():
            if name not in compared:
                meant, known = hint(name, compared), ", ".join(compared)
                raise ValueError(f"dedup.against: {name!r}{meant} is none of the benchmarks: {known}")
        variants = self.sweep.variants(self.tdro)
        named = [("mixtures", name) for name in self.mixtures]
        named += [(f"soups.{soup}.of", name) for soup, made in self.soups.items() for name in made.of]
        for key, name in [*named, ("tdro.sampling", self.tdro.sampling), ("tdro.initial", self.tdro.initial)]:
            mixture = mixturenames.parse(name)
            if mixture.of_others and mixture.name not in self.soups:
                meant, known = hint(mixture.name, self.soups), ", ".join(self.soups) or "none"
                raise ValueError(f"{key} names {name!r}, but soups has no {mixture.name!r}{meant}; it has {known}")
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
    def _choices_are_made_elsewhere(self) -> Self:
        if both := [name for name in self.dev if name in (*self.benchmarks, IN_DOMAIN)]:
            raise ValueError(
                f"dev names {both[0]!r}, which is reported: what is chosen on a benchmark is not measured by it; name "
                "another under `dev`, or take it out of `benchmarks`"
            )
        return self

    @property
    def dev_benchmarks(self) -> list[str]:
        """The benchmarks that choices are made on."""
        return [name for name in self.dev if name != DEV_ROWS]

    @model_validator(mode="after")
    def _soups_can_be_made(self) -> Self:
        span = max(self.seeds) - min(self.seeds) + 1
        for name, soup in self.soups.items():
            if nested := [m for m in soup.of if mixturenames.parse(m).of_others]:
                raise ValueError(f"soups.{name}.of names {nested[0]!r}; a soup is made of trainings on other mixtures")
            if twice := [m for i, m in enumerate(soup.of) if m in soup.of[:i]]:
                raise ValueError(f"soups.{name}.of names {twice[0]!r} twice")
            if max(self.seeds) + (soup.seeds - 1) * span >= 2**32:
                raise ValueError(f"soups.{name}.seeds: its last seed is above {2**32 - 1}; lower `seeds`")
        for name in self.mixtures:
            mixture = mixturenames.parse(name)
            soup = self.soups.get(mixture.name) if mixture.of_others else None
            if soup and name == f"soup-{mixture.name}" and soup.base == ON_DEV and not self.dev:
                raise ValueError(
                    f"soups.{mixture.name}.base: dev chooses a share on dev queries, and `dev` names none; set "
                    "dev: [dev_rows], or give `base` a number"
                )
            alone = soup and len(soup.of) == 1 and (mixture.kind == "averaged" or soup.seeds == 1)
            if alone and not (mixture.kind == "soup" and (mixture.share or soup.base)):
                raise ValueError(
                    f"mixture {name!r} is of {soup.of[0]!r} alone; name more mixtures under soups.{mixture.name}.of"
                    + (", or set its `seeds` or `base`" if mixture.kind == "soup" else "")
                )
            if soup and mixture.kind == "averaged" and any(mixturenames.parse(m).reweights for m in soup.of):
                raise ValueError(f"mixture {name!r}: 'loss' scales the loss and draws all tasks alike; take it out")
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
        UserError: for a name the registry does not hold, or in-domain evaluation without held-out rows or choices on
            dev rows without any.
    """
    for kind, key, wanted, known in (
        ("task", "tasks", config.tasks or [], registry.tasks),
        ("benchmark", "benchmarks", [b for b in config.benchmarks if b != IN_DOMAIN], registry.benchmarks),
        ("benchmark", "dev", config.dev_benchmarks, registry.benchmarks),
    ):
        for name in wanted:
            if name not in known:
                raise UserError(
                    f"{config.registry} has no {kind} {name!r}{hint(name, known)}; "
                    f"it has {', '.join(known) or 'none'}. "
                    f"Correct the name under `{key}` of the config or add an entry to the registry."
                )
    tasks = {n: t for n, t in sorted(registry.tasks.items()) if config.tasks is None or n in config.tasks}
    if IN_DOMAIN in config.benchmarks and not any(t.held_out for t in tasks.values()):
        raise UserError(
            f"benchmark {IN_DOMAIN!r} needs held-out rows, but no task of {config.registry} sets `held_out`."
        )
    if DEV_ROWS in config.dev and not any(t.dev for t in tasks.values()):
        raise UserError(
            f"dev names {DEV_ROWS!r}, but no task of {config.registry} sets `dev`; set it, or name benchmarks."
        )
    named = [*config.benchmarks, *config.dev_benchmarks]
    return tasks, {n: b for n, b in registry.benchmarks.items() if n in named}


def schema() -> str:
    """The JSON schema of :class:`Config`, as ``workflow/schemas/config.schema.json`` holds it."""
    return json.dumps(Config.model_json_schema(), indent=2, ensure_ascii=False) + "\n"

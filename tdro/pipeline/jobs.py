"""The jobs of a configuration: what each rule hands its command (:mod:`tdro.config.commands`), cut out of the whole."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tdro.artifacts import strictyaml
from tdro.artifacts.filestates import nameable
from tdro.artifacts.layout import IN_DOMAIN, Layout
from tdro.artifacts.strictyaml import Place
from tdro.cli.launch import AUTO, configurations, uses_cpu
from tdro.config import mixturenames
from tdro.config.commands import (
    Content,
    CorpusJob,
    EncodeCorpusJob,
    EvalDataset,
    EvaluateJob,
    Miner,
    OptimizeJob,
    PlanJob,
    PrepareJob,
    QueriesJob,
    ReferenceJob,
    Retriever,
    TablesJob,
    TrainJob,
)
from tdro.config.data import Dedup
from tdro.config.mining import Encode
from tdro.config.models import Model
from tdro.config.nearest import hint
from tdro.config.registry import Benchmark, BenchmarkRows, Prompted, Registry, Task, TaskRows
from tdro.config.schema import Config, select
from tdro.config.sections import Section, load, parse
from tdro.config.training import Tdro
from tdro.errors import UserError
from tdro.mixtures.weights import read_weights
from tdro.models.kinds import is_embedder
from tdro.pipeline import firstlook
from tdro.pipeline.project import check_claim, claim, located, located_models, same_sources
from tdro.readers.base import check_source
from tdro.readers.fetch import FetchJob, dataset_job, model_job
from tdro.readers.testsets.base import SHARED_CORPUS, check_testset, is_testset
from tdro.retrieval.indices import check_index

#: What DoReMi (Xie et al. 2023) does otherwise: it climbs the mean excess loss, unclipped and with a step size of 1,
#: and mixes in a little of the uniform weights; its result is the mean over the steps.
DOREMI = {
    "measure": "excess",
    "step_size": 1.0,
    "weight_optimizer": "sgd",
    "weight_clip": "none",
    "weight_schedule": "constant",
    "smoothing": 1e-3,
}


class TestSet(NamedTuple):
    """A benchmark or a part of it: what is prepared and evaluated as one."""

    name: str
    benchmark: str
    part: str | None
    entry: Benchmark
    corpus: str


class Jobs:
    """The jobs of one configuration."""

    def __init__(self, config: Config, registry: Registry, root: Path | None = None) -> None:
        self.config = config
        self._root, self._registry = root or Path(), registry
        self.tasks, self.benchmarks = select(config, registry)
        self._all_test_sets = test_sets(registry)
        for mixture in config.mixtures:
            parsed = mixturenames.parse(mixture)
            if parsed.kind in ("top", "bottom") and not mixturenames.kept(parsed, len(self.tasks)):
                raise UserError(
                    f"config: mixture {mixture!r} keeps none of {len(self.tasks)} tasks; raise its percentage."
                )
        self._prompts = {
            name: Prompted(instruction=t.instruction, symmetric=t.symmetric) for name, t in self.tasks.items()
        }

    @classmethod
    def read(cls, values: Mapping[str, Any], root: Path, files: Iterable[Path] = ()) -> "Jobs":
        """The jobs of a configuration that is not validated yet.

        Args:
            values: Content of a configuration file, or of several with what the command line changes.
            root: Where its registry is looked for when the working folder has none of that path.
            files: The files that the values come from. They are read again for what the values do not show: a key
                that stands twice, and how a word was written.

        Raises:
            UserError: for anything wrong in the configuration or its registry, with a line each.
        """
        config, registry = _all_of(
            lambda: parse(Config, dict(values), "config", _written(files)), lambda: _registry(values, root)
        )
        jobs = cls(located_models(config, root), located(registry, root), root)
        jobs._check_names(root)
        return jobs

    def _check_names(self, root: Path) -> None:
        """Names that only a job would miss, after hours perhaps."""
        check_index(self.config.mining.search)
        self._check_negatives()
        self._check_losses()
        for model in self.config.models:
            if model.accelerate not in (known := configurations(root)):
                raise UserError(
                    f"config: model {model.name!r}: no launch configuration {model.accelerate!r}; there are "
                    f"{', '.join(known)}."
                )
        for name, file in self.config.weights.items():
            if not self.weights_file(name).is_file():
                raise UserError(f"config: `weights.{name}`: {file} is no file; correct the path or take it out.")
            if not nameable([file]):
                raise UserError(
                    f"config: `weights.{name}`: {file} has braces, Snakemake's sign for wildcards; rename it."
                )
            weighted = {task for task, weight in read_weights(self.weights_file(name)).weights.items() if weight}
            if unknown := sorted(weighted - set(self.tasks)):
                meant = hint(unknown[0], self.tasks)
                raise UserError(
                    f"config: `weights.{name}`: {file} weighs {unknown[0]!r}{meant}, which is none of the tasks "
                    f"({', '.join(self.tasks)}); rename it in the file or add the task."
                )
        for file in self.config.dedup.queries:
            if not Path(file).is_file():
                raise UserError(f"config: `dedup.queries`: {file} is no file; correct the path or take it out.")
        for name, dataset in {**self.tasks, **self.benchmarks}.items():
            try:
                _check_dataset(dataset)
            except UserError as error:
                raise UserError(f"{self.config.registry}: {name}: {error}") from None
        for test_set in self.test_sets.values():
            self.corpus(test_set.corpus)

    def _check_negatives(self) -> None:
        """Raises UserError: when a training wants more hard negatives than mining leaves a query."""
        config, mined = self.config, [name for name, task in self.tasks.items() if task.negatives == "mined"]
        for key, negatives in (("training", config.training.negatives), ("tdro", config.tdro.negatives)):
            if mined and negatives > config.mining.select.samples:
                raise UserError(
                    f"config: `{key}.negatives` {negatives} is more than `mining.select.samples` "
                    f"{config.mining.select.samples}, so that rows of {mined[0]!r} would name a negative twice; raise "
                    "the samples or lower the negatives."
                )

    def _check_losses(self) -> None:
        """Raises UserError: where a task would have no negative, or no task anything to distil."""
        training, alone = self.config.training, self._own_negatives
        if alone and not training.negatives:
            raise UserError(
                f"{self.config.registry}: {alone[0]}: `in_batch: false` leaves its rows their own hard negatives, and "
                "`training.negatives` is 0; raise that, or remove `in_batch`."
            )
        if training.distill and not any(task.negatives == "mined" for task in self.tasks.values()):
            raise UserError(
                "config: `training.distill` learns the scores of mined negatives, and all tasks have `negatives: "
                "provided`; remove `training.distill`."
            )

    @property
    def _own_negatives(self) -> list[str]:
        """Tasks whose rows are compared with no passage of other rows."""
        return [name for name, task in self.tasks.items() if not task.in_batch]

    def _undistilled(self) -> Iterator[str]:
        """A sentence on the tasks that `training.distill` finds no scores for."""
        provided = [name for name, task in self.tasks.items() if task.negatives == "provided"]
        if self.config.training.distill and provided:
            yield (
                f"config: `training.distill`: no cross-encoder scores the provided negatives of {', '.join(provided)}; "
                "the rows of such a task are trained without"
            )

    def claim(self, note: Path) -> None:
        """Note at the start of a run that the results are this registry's; see :func:`tdro.pipeline.project.claim`."""
        claim(note, registry_file(self.config.registry, self._root), self._registry)

    @cached_property
    def unusable(self) -> tuple[list[str], list[str]]:
        """Sentences on local files that cannot be used, and on those that may be still to come; looked for once."""
        found = list(firstlook.complaints(self.config.registry, self.tasks, self.benchmarks, self.config))
        wrong = [*firstlook.of_settings(self._root), *(line for line, to_come in found if not to_come)]
        return wrong, [line for line, to_come in found if to_come]

    def remarks(self, note: Path) -> list[str]:
        """What is odd, though the run can go on, and whose results would be replaced, if it is another's."""
        found = [
            *mixturenames.remarks(self.config.mixtures, len(self.tasks)),
            *same_sources(self.tasks, self.benchmarks),
        ]
        found += [*firstlook.echoing(self.config.registry, self.tasks), *self._undistilled()]
        try:
            check_claim(note, registry_file(self.config.registry, self._root), self._registry)
        except UserError as error:
            found.append(str(error))
        return found

    def model(self, name: str) -> Model:
        """The model of that name."""
        return next(m for m in self.config.models if m.name == name)

    def inference_launch(self, model: str | None = None, untrained: str | None = None) -> str:
        """Launch configuration of what only reads texts with a model, or with an untrained retriever of that name.

        A model that leaves GPUs alone does so there too; anything else needs no more than `auto`.
        """
        retriever = self.untrained[untrained] if untrained else self.model(model)
        return "cpu" if isinstance(retriever, Model) and uses_cpu(retriever.accelerate, self._root) else AUTO

    @property
    def test_sets(self) -> dict[str, TestSet]:
        """What is evaluated, beside the in-domain benchmark, by name."""
        return {name: test for name, test in self._all_test_sets.items() if test.benchmark in self.benchmarks}

    def corpus(self, name: str) -> TestSet:
        """The test set that a corpus is named after, or, where parts share a corpus, one of them.

        Raises:
            UserError: when the registry has none of that name, or it has no corpus of its own.
        """
        for test_set in self._all_test_sets.values():
            if test_set.corpus == name and not test_set.entry.corpus:
                return test_set
        meant = hint(name, [test_set.corpus for test_set in self._all_test_sets.values()])
        raise UserError(
            f"{self.config.registry}: no benchmark has the corpus {name!r}{meant}; under `corpus` name a benchmark "
            "(of one with parts, a part: NAME-PART)."
        )

    def datasets(self, benchmark: str) -> Mapping[str, Task | Benchmark]:
        """The datasets of a benchmark: the tasks with held-out rows, the benchmark's parts, or itself."""
        if benchmark == IN_DOMAIN:
            return {name: task for name, task in self.tasks.items() if task.held_out}
        entry = self.benchmarks[benchmark]
        return dict.fromkeys(entry.datasets(benchmark), entry)

    @property
    def evaluated(self) -> list[str]:
        """What one job evaluates each: every test set, and the in-domain benchmark as a whole."""
        return [
            name for b in self.config.benchmarks for name in ([b] if b == IN_DOMAIN else self.benchmarks[b].datasets(b))
        ]

    @property
    def mines(self) -> bool:
        """Whether any task's hard negatives are mined."""
        return any(task.negatives == "mined" for task in self.tasks.values())

    @property
    def untrained(self) -> dict[str, Retriever]:
        """Retrievers that nothing is trained for, by name; a base that is also the miner stands here once.

        Where no task is mined, nobody has chosen the miner: it is here only if the configuration names it.
        """
        evaluation, encode = self.config.evaluation, self.config.mining.encode
        kinds = set(evaluation.untrained)
        if "untrained" not in evaluation.model_fields_set and not self.mines:
            kinds.discard("miner")
        bases = [model for model in self.config.models if is_embedder(model)] if "base" in kinds else []
        found: dict[str, Retriever] = {"bm25": "bm25"} if "bm25" in kinds else {}
        if "miner" in kinds and not any(_is_miner(model, encode) for model in bases):
            found["miner"] = _part(encode, Miner)
        return found | {f"base-{model.name}": model for model in bases}

    def prepare_corpus(self, corpus: str) -> CorpusJob:
        """Job that prepares the corpus of a benchmark in its own format."""
        test_set = self.corpus(corpus)
        part = None if corpus == test_set.benchmark else test_set.part  # none where the parts share the corpus
        return CorpusJob(source=test_set.entry.source, part=part, data=self.config.data)

    def prepare_queries(self, dataset: str) -> QueriesJob:
        """Job that prepares a query set of a benchmark in its own format."""
        test_set = self._all_test_sets[dataset]
        entry = test_set.entry
        return QueriesJob(source=entry.source, part=test_set.part, data=self.config.data, queries=entry.queries)

    def prepare(self, dataset: str) -> PrepareJob:
        """Job that prepares a task, or a benchmark of rows."""
        if dataset in self.tasks:
            return PrepareJob(task=_part(self.tasks[dataset], TaskRows), data=self.config.data)
        return PrepareJob(benchmark=_part(self._all_test_sets[dataset].entry, BenchmarkRows), data=self.config.data)

    def dedup(self) -> Dedup:
        """Job that deduplicates a task; another order of the files to compare with is the same job."""
        dedup = self.config.dedup
        return dedup.model_copy(update={"queries": sorted(dedup.queries)})

    def dataset_fetch(self, name: str) -> FetchJob | None:
        """What a task or benchmark needs fetched; None for local data."""
        return dataset_job({**self.tasks, **self.benchmarks}[name].source)

    def model_fetch(self, name: str) -> FetchJob | None:
        """What a model's base needs fetched; None for a local folder."""
        model = self.model(name)
        return model_job(model.base, model.revision, model.sha256)

    def miner_fetch(self) -> FetchJob | None:
        """What the miner needs fetched; None for a local folder."""
        encode = self.config.mining.encode
        return model_job(encode.model, encode.revision, encode.sha256)

    def rescorer_fetch(self) -> FetchJob | None:
        """What the cross-encoder needs fetched; None for a local folder, or without one."""
        rescore = self.config.mining.rescore
        return model_job(rescore.model, rescore.revision, rescore.sha256) if rescore else None

    def untrained_fetch(self, name: str) -> FetchJob | None:
        """What a retriever of :attr:`untrained` needs fetched; None for BM25 and for a local folder."""
        retriever = self.untrained[name]
        if retriever == "bm25":
            return None
        return self.miner_fetch() if isinstance(retriever, Miner) else self.model_fetch(retriever.name)

    def fetches(self) -> dict[str, FetchJob]:
        """Everything to fetch, by key: what several datasets or models share stands here once."""
        jobs = [self.dataset_fetch(name) for name in (*self.tasks, *self.benchmarks)]
        jobs += [self.model_fetch(model.name) for model in self.config.models]
        if self.mines:
            jobs += [self.miner_fetch(), self.rescorer_fetch()]
        jobs += [self.untrained_fetch(name) for name in self.untrained]
        return {job.key: job for job in jobs if job}

    def weights_file(self, name: str) -> Path:
        """A file of ``weights``; relative to the working folder or to the project."""
        file = Path(self.config.weights[name])
        return file if file.exists() else self._root / file

    def plan(self, mixture: str | None, seed: int) -> PlanJob:
        """Job that plans the training on a mixture, or, for None, tDRO."""
        source, layout = (self.config.training, "homogeneous") if mixture else (self.config.tdro, "mixed")
        shape = {key: getattr(source, key) for key in ("steps", "batch_size", "negatives")}
        return PlanJob(layout=layout, seed=seed, rows="same" if mixture else self.config.tdro.rows, **shape)

    @property
    def training_rows(self) -> int:
        """Rows that one training draws."""
        return self.config.training.steps * self.config.training.batch_size

    def train(self, model: str, seed: int) -> TrainJob:
        """Job that trains a retriever."""
        config = self.config
        return TrainJob(
            model=self.model(model),
            encoding=config.encoding,
            training=config.training,
            tasks=self._prompts,
            own_negatives=self._own_negatives,
            seed=seed,
        )

    def reference(self, seed: int) -> ReferenceJob:
        """Job that computes the reference losses."""
        config = self.config
        return ReferenceJob(
            encoding=config.encoding, temperature=config.tdro.temperature, tasks=self._prompts, seed=seed
        )

    def optimize(self, model: str, seed: int, course: str = "tdro") -> OptimizeJob:
        """Job that learns the weights, in one of :attr:`courses`."""
        tdro = self.courses[course]
        return OptimizeJob(
            model=self.model(model), encoding=self.config.encoding, tdro=tdro, tasks=self._prompts, seed=seed
        )

    @property
    def courses(self) -> dict[str, Tdro]:
        """The runs of tDRO that there may be, by the name of their folder; all share plan and reference losses."""
        tdro = self.config.tdro
        variants = {f"tdro-{name}": changed for name, changed in self.config.sweep.variants(tdro).items()}
        return {"tdro": tdro, "tdro-doremi": tdro.model_copy(update=DOREMI), **variants}

    @property
    def run_courses(self) -> list[str]:
        """Those that a mixture or the sweep asks for."""
        parsed = map(mixturenames.parse, self.config.mixtures)
        asked = {mixture.course for mixture in parsed if mixture.learnt}
        asked |= {f"tdro-{name}" for name in self.config.sweep.variants(self.config.tdro)}
        return [course for course in self.courses if course in asked]

    @property
    def shared_corpora(self) -> set[str]:
        """Corpora that several test sets search whose passages carry no instruction: each is encoded once."""
        named = [test.corpus for test in self.test_sets.values() if not test.entry.symmetric]
        return {name for name in named if named.count(name) > 1}

    def reads_shared(self, dataset: str) -> bool:
        """Whether a test set reads the embeddings that were made for several."""
        test = self.test_sets.get(dataset)
        apart = [model.prompts.tasks[dataset] for model in self.config.models if dataset in model.prompts.tasks]
        if test is None or test.entry.symmetric or any(prompts.passage is not None for prompts in apart):
            return False
        return test.corpus in self.shared_corpora

    def encode_corpus(self, untrained: str | None = None) -> EncodeCorpusJob:
        """Job that embeds a corpus with a trained retriever, or the untrained one of that name."""
        return EncodeCorpusJob(
            encoding=self.config.encoding, retriever=self.untrained[untrained] if untrained else None
        )

    def evaluate(
        self, evaluated: Iterable[str], layout: Layout, embeddings: Mapping[str, str], untrained: str | None = None
    ) -> EvaluateJob:
        """Job that scores a trained retriever, or the untrained one of that name, on test sets or in-domain.

        Args:
            evaluated: Some of :attr:`evaluated`.
            layout: Where their files are.
            embeddings: Folders of those corpora that are embedded once for several test sets, by corpus.
            untrained: One of :attr:`untrained`.
        """
        return EvaluateJob(
            benchmarks={name: self._eval_datasets(name, layout, embeddings) for name in evaluated},
            encoding=self.config.encoding,
            retriever=self.untrained[untrained] if untrained else None,
            dimensions=[] if untrained == "bm25" else self.config.evaluation.dimensions,
        )

    def _eval_datasets(self, name: str, layout: Layout, embeddings: Mapping[str, str]) -> dict[str, EvalDataset]:
        if name == IN_DOMAIN:
            return {task: self._eval_dataset(True, task, layout) for task in self.datasets(IN_DOMAIN)}
        stored = embeddings.get(self._all_test_sets[name].corpus) if self.reads_shared(name) else None
        return {name: self._eval_dataset(False, name, layout, stored)}

    def _eval_dataset(self, held_out: bool, name: str, layout: Layout, embeddings: str | None = None) -> EvalDataset:
        entry = self.tasks[name] if held_out else self._all_test_sets[name].entry
        corpus, queries = self.files(IN_DOMAIN if held_out else name, name, layout)
        read = {"instruction": entry.instruction[:1], "symmetric": entry.symmetric, "embeddings": embeddings}
        return EvalDataset(corpus=corpus, queries=queries, max_words=self.config.data.max_words, **read)

    def files(self, benchmark: str, dataset: str, layout: Layout) -> tuple[str, str]:
        """Corpus and queries of a dataset."""
        if benchmark == IN_DOMAIN:
            return layout.held_out(dataset, "corpus.parquet"), layout.held_out(dataset, "queries.parquet")
        corpus = self._all_test_sets[dataset].corpus
        return layout.benchmark(corpus, "corpus.parquet"), layout.benchmark(dataset, "queries.parquet")

    def report(self) -> Content:
        """Job that writes the report."""
        config = self.config
        return Content(
            models=[m.name for m in config.models],
            proxy=config.proxy,
            seeds=config.seeds,
            mixtures=config.mixtures,
            tasks=list(self.tasks),
            kinds={name: f"{task.category}, {task.language}" for name, task in self.tasks.items()},
            benchmarks={b: list(self.datasets(b)) for b in config.benchmarks},
            training_rows=self.training_rows,
            courses=self.run_courses,
            suites=self._suites(),
            untrained=list(self.untrained),
            dimensions=config.evaluation.dimensions,
            report=config.report,
        )

    def paper_tables(self) -> TablesJob:
        """Job that prints the paper's tables; a suite of one benchmark counts its parts."""
        sizes = {
            suite: len(members) if len(members) > 1 else len(self.datasets(members[0]))
            for suite, members in self._suites().items()
        }
        return TablesJob(measure=self.config.tdro.measure, evaluated=sizes)

    def _suites(self) -> dict[str, list[str]]:
        """Benchmarks that are averaged under one name."""
        found: dict[str, list[str]] = {}
        for benchmark in self.config.benchmarks:
            if benchmark != IN_DOMAIN and (suite := self.benchmarks[benchmark].suite):
                found.setdefault(suite, []).append(benchmark)
        return found


def _all_of(*steps: Callable[[], Any]) -> list[Any]:
    """What each step gives, or, where some refuse, all of their sentences."""
    results, sentences = [], []
    for step in steps:
        try:
            results.append(step())
        except UserError as error:
            sentences.append(str(error))
    if sentences:
        raise UserError("\n".join(sentences))
    return results


def _written(files: Iterable[Path]) -> dict[Place, str]:
    """How the words of the files were written that YAML does not read as text; of several files the last one counts."""
    documents = _all_of(*(partial(strictyaml.read_file, file) for file in files))
    return {place: word for document in documents for place, word in document.written.items()}


def _registry(values: Mapping[str, Any], root: Path) -> Registry | None:
    """The registry that a configuration names; None where it names none, which its own validation says."""
    name = values.get("registry")
    return load(registry_file(name, root), Registry) if isinstance(name, str) and name.strip() else None


def registry_file(name: str, root: Path) -> Path:
    """The file of datasets; relative to the working folder or to the project."""
    path = Path(name).expanduser()
    return path if path.exists() else root / name


def test_sets(registry: Registry) -> dict[str, TestSet]:
    """Every benchmark and part of the registry, with the name of the corpus that it searches."""
    found = {}
    for benchmark, entry in registry.benchmarks.items():
        shared = SHARED_CORPUS.get(entry.source.reader, False)
        for name, part in entry.datasets(benchmark).items():
            corpus = entry.corpus or (benchmark if shared else name)
            found[name] = TestSet(name, benchmark, part, entry, corpus)
    return found


def _check_dataset(dataset: Task | Benchmark) -> None:
    """Raises UserError: for a source that cannot be read, or keys that only a benchmark in its own format has."""
    if isinstance(dataset, Benchmark) and is_testset(dataset.source):
        return check_testset(dataset.source, dataset.parts)
    check_source(dataset.source)
    if isinstance(dataset, Benchmark) and (dataset.parts or dataset.corpus):
        raise UserError(f"`parts` and `corpus` are for the readers {', '.join(SHARED_CORPUS)}; remove them.")


def _is_miner(model: Model, encode: Encode) -> bool:
    """Whether a base before training is the miner, so that a table need not name it twice."""
    same = all(getattr(model, key) == getattr(encode, key) for key in ("revision", "sha256"))
    asked = {(p.query, p.passage) for p in (model.prompts, encode.prompts)}
    return same and model.base == encode.model and len(asked) == 1 and not (model.static or model.prompts.tasks)


Part = TypeVar("Part", bound=Section)


def _part(entry: Section, section: type[Part]) -> Part:
    """The keys of a registry's entry that ``section`` has."""
    return section(**{key: getattr(entry, key) for key in section.model_fields})

"""The settings that each rule hands its command (:mod:`tdro.config.commands`), cut out of a configuration.

A method is named after the command whose settings it gives. `encode`, `search`, `rescore` and `select` have none: they
take their section of ``mining`` as it is.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tdro.artifacts.layout import IN_DOMAIN, Layout, whole
from tdro.config import mixturenames
from tdro.config.commands import (
    BASELINE,
    Bag,
    BaseJob,
    Content,
    CorpusJob,
    DevDataset,
    DevPoolJob,
    DevScoresJob,
    EvalDataset,
    EvaluateJob,
    ExpertScoresJob,
    ExportDataJob,
    ExportJob,
    FitLawJob,
    OptimizeJob,
    PlanJob,
    PrepareJob,
    PruneJob,
    QueriesJob,
    RecommendJob,
    ReferenceJob,
    SearchCorpusJob,
    SoupScoresJob,
    TablesJob,
    TrainedOn,
    TrainJob,
)
from tdro.config.data import Dedup
from tdro.config.launchfiles import AUTO, uses_cpu
from tdro.config.models import Model
from tdro.config.registry import Benchmark, BenchmarkRows, Prompted, Registry, Task, TaskRows
from tdro.config.schema import Config, select
from tdro.config.sections import cut
from tdro.config.training import Training
from tdro.errors import UserError
from tdro.pipeline import courses, equalcompute, experts
from tdro.pipeline.fetches import fetches
from tdro.pipeline.project import registry_file
from tdro.pipeline.soups import Soups, weighed
from tdro.pipeline.testsets import TestSets
from tdro.pipeline.trainings import Costs
from tdro.pipeline.untrained import untrained


class Jobs:
    """The jobs of one configuration.

    Attributes:
        config: The configuration.
        registry: Its file of datasets, as a whole.
        tasks: The tasks that it trains on, by name.
        benchmarks: The benchmarks that it evaluates or makes choices on, by name, without ``in_domain``.
        mined: Names of the tasks whose hard negatives are mined.
        dev_tasks: Names of the tasks with queries that choices are made on.
        own_negatives: Names of the tasks whose rows are compared with no passage of other rows.
        untrained: Retrievers that nothing is trained for, by name.
        courses: Settings of the runs of tDRO that there may be, by the name of their folder.
        run_courses: Names of those that are asked for.
        soups: Which models are averages of which trainings.
        experts: The warm-up and the experts of the tasks, as mixtures of the proxy, where they are needed.
        tests: What is evaluated.
        costs: What has to be trained for each mixture.
        fetches: What is fetched, by its kind and name.
    """

    def __init__(self, config: Config, registry: Registry, root: Path | None = None) -> None:
        self.config, self.registry, self._root = config, registry, root or Path()
        self.tasks, self.benchmarks = select(config, registry)
        self.mined = [name for name, task in self.tasks.items() if task.negatives == "mined"]
        self.dev_tasks = [name for name, task in self.tasks.items() if task.dev]
        self.own_negatives = [name for name, task in self.tasks.items() if not task.in_batch]
        self.untrained = untrained(config, bool(self.mined))
        self.courses, self.run_courses = courses.courses(config), courses.asked_for(config)
        self.soups, self.experts = Soups(config), experts.trainings(config, self.tasks)
        self.costs = Costs(self.soups, self.experts, self.courses, self.training)
        self.tests = TestSets(config, registry, self.tasks, self.benchmarks)
        datasets: dict[str, Task | Benchmark] = {**self.tasks, **self.benchmarks}
        sources = {name: entry.source for name, entry in datasets.items()}
        self.fetches = fetches(config, sources, bool(self.mined), self.untrained)
        self._prompts = {name: cut(task, Prompted) for name, task in self.tasks.items()}

    @property
    def registry_file(self) -> Path:
        """The file of datasets."""
        return registry_file(self.config.registry, self._root)

    def weights_file(self, name: str) -> Path:
        """A file of ``weights``; relative to the working folder or to the project."""
        file = Path(self.config.weights[name])
        return file if file.exists() else self._root / file

    def model(self, name: str) -> Model:
        """The model of that name."""
        return next(m for m in self.config.models if m.name == name)

    def asks_for(self, mixture: str) -> bool:
        """Whether a mixture is trained on, or tDRO samples by it or starts from it."""
        return mixture in (*weighed(self.config), self.config.tdro.sampling, self.config.tdro.initial)

    def training(self, mixture: str) -> Training:
        """How a mixture is trained: `longer` over more steps than all others, experts over fewer."""
        training, parsed = self.config.training, mixturenames.parse(mixture)
        if parsed.unlisted:
            return experts.shortened(training, self.config.experts, parsed)
        if parsed.kind != "longer":
            return training
        return equalcompute.lengthened(training, equalcompute.steps_of_longer(training, self.config.tdro))

    def training_rows(self, mixture: str = BASELINE) -> int:
        """Rows that the training of a mixture draws."""
        training = self.training(mixture)
        return training.steps * training.batch_size

    def inference_launch(self, model: str | None = None, untrained: str | None = None) -> str:
        """Launch configuration of what only reads texts with a model, or with an untrained retriever of that name.

        A model that leaves GPUs alone does so there too; anything else needs no more than `auto`.
        """
        retriever = self.untrained[untrained] if untrained else self.model(model)
        return "cpu" if isinstance(retriever, Model) and uses_cpu(retriever.accelerate, self._root) else AUTO

    def prepare(self, dataset: str) -> PrepareJob:
        """Of a task, or a benchmark of rows."""
        if dataset in self.tasks:
            return PrepareJob(task=cut(self.tasks[dataset], TaskRows), data=self.config.data)
        return PrepareJob(benchmark=cut(self.tests.known[dataset].entry, BenchmarkRows), data=self.config.data)

    def prepare_corpus(self, corpus: str) -> CorpusJob:
        """Of the corpus of a benchmark in its own format."""
        test_set = self.tests.corpus(corpus)
        part = None if corpus == test_set.benchmark else test_set.part  # none where the parts share the corpus
        return CorpusJob(source=test_set.entry.source, part=part, data=self.config.data)

    def prepare_queries(self, dataset: str) -> QueriesJob:
        """Of a query set of a benchmark in its own format."""
        test_set = self.tests.known[dataset]
        entry = test_set.entry
        return QueriesJob(source=entry.source, part=test_set.part, data=self.config.data, queries=entry.queries)

    def dedup(self) -> Dedup:
        """Of any task, and of the leak check; another order of what to compare with is the same job."""
        dedup = self.config.dedup
        return dedup.model_copy(update={"queries": sorted(dedup.queries), "against": None})

    @property
    def compared(self) -> list[str]:
        """Benchmarks whose queries training must not repeat."""
        against = self.config.dedup.against
        return sorted([*self.config.benchmarks, *self.config.dev_benchmarks] if against is None else against)

    def plan(self, mixture: str | None, seed: int) -> PlanJob:
        """Of the training on a mixture, or, for None, of tDRO."""
        source, layout = (self.training(mixture), "homogeneous") if mixture else (self.config.tdro, "mixed")
        shape = {key: getattr(source, key) for key in ("steps", "batch_size", "negatives")}
        rows = self.config.tdro.rows
        if mixture:
            # An expert learns from rows that the warm-up has not seen, all experts from a task's rows in one order.
            rows = "fresh" if mixturenames.parse(mixture).kind == "expert" else "same"
        return PlanJob(layout=layout, seed=seed, rows=rows, bag=_bag(mixture) if mixture else None, **shape)

    def export_data(self) -> ExportDataJob:
        """Of training rows that leave: the wordings are those of the first seed."""
        return ExportDataJob(tasks=self._prompts, seed=self.config.seeds[0])

    def train(self, model: str, seed: int, mixture: str = BASELINE) -> TrainJob:
        """Of a retriever on a mixture."""
        config = self.config
        return TrainJob(
            model=self.model(model),
            encoding=config.encoding,
            training=self.training(mixture),
            tasks=self._prompts,
            own_negatives=self.own_negatives,
            seed=seed,
        )

    def export(self, model: str) -> ExportJob:
        """Of the archive of a retriever."""
        tasks = {
            name: TrainedOn(language=task.language, licence=task.licence, mteb=task.mteb, hub=task.source.hub)
            for name, task in self.tasks.items()
        }
        return ExportJob(licence=self.model(model).licence, tasks=tasks)

    def base(self, model: str) -> BaseJob:
        """Of a base that trained models are averaged with."""
        return BaseJob(model=self.model(model), encoding=self.config.encoding)

    def reference(self, seed: int) -> ReferenceJob:
        """Of the reference losses."""
        config = self.config
        return ReferenceJob(
            encoding=config.encoding, temperature=config.tdro.temperature, tasks=self._prompts, seed=seed
        )

    def optimize(self, model: str, seed: int, course: str = "tdro") -> OptimizeJob:
        """Of the learning of weights, in one of :attr:`courses`."""
        tdro = self.courses[course]
        return OptimizeJob(
            model=self.model(model), encoding=self.config.encoding, tdro=tdro, tasks=self._prompts, seed=seed
        )

    def search_corpus(self, corpus: str, layout: Layout, untrained: str | None = None) -> SearchCorpusJob:
        """Of one of :attr:`TestSets.searched`, with a trained retriever or the untrained one of that name."""
        return SearchCorpusJob(
            tests={name: self._eval_dataset(name, name, layout) for name in self.tests.searching(corpus)},
            encoding=self.config.encoding,
            retriever=self.untrained[untrained] if untrained else None,
            dimensions=self.config.evaluation.dimensions,
        )

    def evaluate(
        self, evaluated: Iterable[str], layout: Layout, rankings: Mapping[str, str], untrained: str | None = None
    ) -> EvaluateJob:
        """Of a trained retriever, or the untrained one of that name, on test sets or in-domain.

        Args:
            evaluated: Some of :attr:`TestSets.evaluated`.
            layout: Where their files are.
            rankings: What was found in those corpora that are searched ahead, by corpus.
            untrained: One of :attr:`untrained`.
        """
        return EvaluateJob(
            benchmarks={name: self._eval_datasets(name, layout, rankings) for name in evaluated},
            encoding=self.config.encoding,
            retriever=self.untrained[untrained] if untrained else None,
            dimensions=[] if untrained == "bm25" else self.config.evaluation.dimensions,
        )

    def dev_pool(self) -> DevPoolJob:
        """Of any dataset that choices are made on."""
        return DevPoolJob(seed=self.config.data.seed)

    def dev_scores(self, layout: Layout) -> DevScoresJob:
        """Of any retriever; another order of the datasets is no reason to rerun.

        Raises:
            UserError: where nothing is named that choices could be made on.
        """
        self._require_dev()
        return DevScoresJob(
            datasets={name: self._dev_dataset(name, layout) for name in sorted(self.tests.dev)},
            encoding=self.config.encoding,
            temperature=self.config.training.temperature,
        )

    def expert_scores(self, seed: int, layout: Layout) -> ExpertScoresJob:
        """Of the experts, added up in many ways."""
        asked, measured = self.config.experts, dict(self.dev_scores(layout))
        return ExpertScoresJob(
            **measured, tasks=list(self.tasks), rho=asked.rho, candidates=asked.candidates, seed=seed
        )

    def fit_law(self, seed: int) -> FitLawJob:
        """Of what they score."""
        return FitLawJob(rho=self.config.experts.rho, seed=seed)

    def prune(self, seed: int) -> PruneJob:
        """Of which tasks may harm, and which go."""
        return PruneJob(seed=seed)

    @property
    def candidates(self) -> int:
        """How many mixtures are measured by merged experts: the uniform one, each expert, all but each, and others."""
        tasks = len(self.tasks)
        return max(1 + 2 * tasks, self.config.experts.candidates or max(40, 4 * tasks))

    @property
    def prunes(self) -> bool:
        """Whether tasks are looked for that a training is better off without."""
        return "prune" in experts.asked_for(self.config)

    @property
    def told_by(self) -> list[str]:
        """Files of what experts tell that the report shows."""
        return [*(["law.json"] if self.experts else []), *(["prune.json"] if self.prunes else [])]

    @property
    def told(self) -> list[str]:
        """Mixtures whose trainings of the proxy are measured on dev queries, beside what experts foretell."""
        if not self.experts:
            return []
        return [name for name in self.config.mixtures if mixturenames.parse(name).kind not in _UNTOLD]

    def soup_scores(self, mixture: str, layout: Layout) -> SoupScoresJob:
        """Of a soup and of what it is made of."""
        measured = dict(self.dev_scores(layout))
        return SoupScoresJob(**measured, shares=self.soups.shares(mixture), method=self.soups.method(mixture))

    @property
    def measured_soups(self) -> list[str]:
        """The soups that are compared with their ingredients on dev queries: all, where there are such queries."""
        return [name for name in self.config.mixtures if self.tests.dev and mixturenames.parse(name).kind == "soup"]

    def _require_dev(self) -> None:
        if not self.tests.dev:
            raise UserError(
                "config: `dev` names nothing that choices could be made on; write `dev: [dev_rows]` there and "
                f"`dev: 100` for each task of {self.config.registry}, or name benchmarks that are not reported."
            )

    def _dev_dataset(self, name: str, layout: Layout) -> DevDataset:
        corpus, queries = self.tests.files(self.tests.dev[name], name, layout)
        entry = self.tasks[name] if name in self.tasks else self.tests.known[name].entry
        asked = {"corpus": corpus, "queries": queries, "candidates": layout.dev_pool(name)}
        return DevDataset(**asked, instruction=entry.instruction, symmetric=entry.symmetric)

    def _eval_datasets(self, name: str, layout: Layout, rankings: Mapping[str, str]) -> dict[str, EvalDataset]:
        if name == IN_DOMAIN:
            return {task: self._eval_dataset(IN_DOMAIN, task, layout) for task in self.tests.datasets(IN_DOMAIN)}
        return {whole(name): self._eval_dataset(name, whole(name), layout, rankings.get(self.tests.corpus_of(name)))}

    def _eval_dataset(self, benchmark: str, name: str, layout: Layout, rankings: str | None = None) -> EvalDataset:
        entry = self.tasks[name] if benchmark == IN_DOMAIN else self.tests.known[name].entry
        corpus, queries = self.tests.files(benchmark, name, layout)
        if benchmark != IN_DOMAIN and self.tests.is_sampled(name):
            corpus = layout.benchmark(self.tests.corpus_of(name), "corpus.parquet")
        read = {"instruction": entry.instruction[:1], "symmetric": entry.symmetric, "rankings": rankings}
        return EvalDataset(corpus=corpus, queries=queries, max_words=self.config.data.max_words, **read)

    def report(self) -> Content:
        """Of the report."""
        config = self.config
        return Content(
            models=[m.name for m in config.models],
            proxy=config.proxy,
            seeds=config.seeds,
            mixtures=config.mixtures,
            tasks=list(self.tasks),
            kinds={name: f"{task.category}, {task.language}" for name, task in self.tasks.items()},
            benchmarks={b: self.tests.datasets(b) for b in config.benchmarks},
            training_rows=self.training_rows(),
            other_rows={m: rows for m in config.mixtures if (rows := self.training_rows(m)) != self.training_rows()},
            courses=self.run_courses,
            suites=self.tests.suites(),
            untrained=list(self.untrained),
            dimensions=config.evaluation.dimensions,
            sampled=[name for name in self.tests.chosen if self.tests.is_sampled(name)],
            corpora={whole(n): self.tests.corpus_of(n) for n in self.tests.evaluated if n != IN_DOMAIN},
            told=self.told,
            pruned=self.prunes,
            measured_soups=self.measured_soups,
            curves=self.soups.curves(),
            trainings=self.trainings(),
            report=config.report,
        )

    def recommend(self) -> RecommendJob:
        """Of the choice between the mixtures.

        Raises:
            UserError: where nothing is named that choices could be made on.
        """
        self._require_dev()
        config = self.config
        return RecommendJob(
            models=[m.name for m in config.models],
            seeds=config.seeds,
            mixtures=config.mixtures,
            trainings=self.trainings(),
            dev={name: self.tests.datasets(name) for name in config.dev},
            report=config.report,
        )

    def trainings(self) -> dict[str, float]:
        """What each mixture costs, in trainings on `uniform`."""
        return {name: round(self.costs.trainings(name, self.config.seeds[0]), 3) for name in self.config.mixtures}

    def tables(self) -> TablesJob:
        """Of the paper's tables; a suite of one benchmark counts its parts."""
        sizes = {
            suite: len(members) if len(members) > 1 else len(self.tests.datasets(members[0]))
            for suite, members in self.tests.suites().items()
        }
        return TablesJob(measure=self.config.tdro.measure, evaluated=sizes)


#: Mixtures that experts foretell nothing of: averages of models, scaled losses, and another number of steps.
_UNTOLD = ("soup", "loss", "longer")


def _bag(mixture: str) -> Bag | None:
    """The rows of each task that a training sees; None: all."""
    parsed = mixturenames.parse(mixture)
    return Bag(percent=int(parsed.number), number=int(parsed.name)) if parsed.kind == "bag" else None

# What the rules read: functions of a job's wildcards to its files and its parameters.
import functools
import json

from tdro.artifacts.layout import IN_DOMAIN
from tdro.config.commands import Miner
from tdro.models.modelfiles import model_files
from tdro.readers.parts import local_files
from tdro.readers.testsets.base import is_testset, open_testset


def local_data(name):
    """Files that a dataset is read from, where they are local: a change of them prepares it anew."""
    entry = JOBS.tasks[name] if name in JOBS.tasks else TESTS.corpora[name].entry
    source = entry.source
    return [] if source.hub else local_files(source.path)


def task_data(wildcards):
    """Local files of a task."""
    return local_data(wildcards.task)


def benchmark_data(wildcards):
    """Local files of a benchmark of rows."""
    return local_data(wildcards.benchmark)


def base_data(wildcards):
    """Files of a model's base that lies in a folder."""
    return model_files(JOBS.model(wildcards.model).base)


def miner_data(wildcards):
    """Files of a miner that lies in a folder."""
    return model_files(JOBS.config.mining.encode.model)


def rescorer_data(wildcards):
    """Files of a cross-encoder that lies in a folder."""
    return model_files(JOBS.config.mining.rescore.model)


def untrained_data(wildcards):
    """Files of a retriever that nothing is trained for, where it lies in a folder."""
    retriever = JOBS.untrained[wildcards.untrained]
    if retriever == "bm25":
        return []
    return model_files(
        retriever.model if isinstance(retriever, Miner) else retriever.base
    )


def dedup_data(wildcards):
    """Files of queries that are removed from the training data."""
    return JOBS.config.dedup.queries


def manifest(kind, name):
    """The manifest that a job reads what was fetched through; nothing where all is local."""
    job = JOBS.fetches.get((kind, name))
    return PATHS.fetched(job.key) if job else []


def option(name):
    """A parameter: an input as its command takes it; nothing where a job has none."""
    flag = name.replace("_", "-")
    return lambda wildcards, input: (
        f"--{flag} {getattr(input, name)}" if getattr(input, name) else ""
    )


def corpus_data(wildcards):
    """Local files of a benchmark's corpus."""
    job = JOBS.prepare_corpus(wildcards.corpus)
    return open_testset(job.source, job.part).corpus_files()


def queries_data(wildcards):
    """Local files of a query set."""
    job = JOBS.prepare_queries(wildcards.dataset)
    return open_testset(job.source, job.part).query_files()


def filled(files, wildcards):
    """Paths, or those that a function makes of the wildcards, with the wildcards' values in them."""
    found = files(wildcards) if callable(files) else files
    return [str(file).format(**dict(wildcards.items())) for file in found]


def kept(files):
    """Inputs whose content counts, not their time: `past` watches the digests beside them."""
    return lambda wildcards: [ancient(file) for file in filled(files, wildcards)]


def past(*gates, files=()):
    """Digests of `files` as inputs, looked at anew when the `gates` before them have been passed.

    A gate is a checkpoint: all data are `prepared`, or all are `deduplicated`. Where a run has passed it before and has to
    pass it again, Snakemake decides only then what has to be done behind it, and a job whose data were made again with
    the same content is not done again. In a new project no gate has been passed, and a dry run lists every job.
    """

    def look(wildcards):
        for gate in gates:
            if Path(PATHS.passed(gate)).exists():
                getattr(checkpoints, gate).get()
        return [PATHS.digest(file) for file in filled(files, wildcards)]

    return look


def prepared_files():
    """All that is prepared: of the tasks, their held-out rows and the benchmarks."""
    own = [
        place(task, file)
        for task in JOBS.tasks
        for place in (PATHS.task, PATHS.held_out)
        for file in TEXTS
    ]
    tests = [*evaluation_files().values(), *dev_texts().values()]
    others = [file for files in tests for file in files]
    return list(dict.fromkeys([*own, *dev_queries().values(), *others]))


def dev_queries():
    """The queries that choices are made on, of every task that has some."""
    return {task: PATHS.dev_queries(task) for task in JOBS.dev_tasks}


def dev_rows(wildcards):
    """Rows of those queries."""
    return [PATHS.task(task, "dev.parquet") for task in JOBS.dev_tasks]


@functools.cache
def dev_texts():
    """Corpus and queries of every dataset that choices are made on, by its name."""
    return {
        name: TESTS.files(benchmark, name, PATHS)
        for name, benchmark in TESTS.dev.items()
    }


def dev_pool_files(wildcards):
    """What the candidates of a dataset are chosen from."""
    own = wildcards.chosen_on in JOBS.tasks
    rows = [PATHS.task(wildcards.chosen_on, "dev.parquet")] if own else []
    return [*dev_texts()[wildcards.chosen_on], *rows]


def dev_scores_files(wildcards):
    """Texts of all datasets that choices are made on."""
    return [file for files in dev_texts().values() for file in files]


def dev_pools(wildcards):
    """What their queries are ranked among."""
    JOBS.dev_scores(PATHS)  # says what is missing where there are none
    return [PATHS.dev_pool(name) for name in TESTS.dev]


def all_dev_scores(wildcards):
    """The dev scores of every retriever that is evaluated."""
    JOBS.recommend()  # says what is missing where there are none
    return [
        PATHS.dev_scores(model.name, seed, mixture)
        for model in JOBS.config.models
        for seed in JOBS.config.seeds
        for mixture in JOBS.config.mixtures
    ]


def train_files(wildcards):
    """Training rows of every task."""
    return [PATHS.task(task, "train.parquet") for task in JOBS.tasks]


def measured_files(wildcards):
    """Rows that tDRO draws from."""
    rows = JOBS.config.tdro.rows == "dev"
    return dev_rows(wildcards) if rows else train_files(wildcards)


def scored_files(wildcards):
    """Training rows with a cross-encoder's scores, where a training distils."""
    return train_files(wildcards) if JOBS.config.training.distill else []


def task_texts(wildcards):
    """Corpus and queries of every task."""
    return [PATHS.task(task, file) for task in JOBS.tasks for file in TEXTS]


def trained_files(wildcards):
    """Everything of the tasks that a training reads."""
    return [*task_texts(wildcards), *scored_files(wildcards)]


def negatives(wildcards):
    """The mined negatives of a task; nothing where its source provides them."""
    mined = wildcards.task in JOBS.mined
    return PATHS.task(wildcards.task, "negatives.parquet") if mined else []


def mined_files(wildcards):
    """The mined negatives of every task that has some, with their scores."""
    return [PATHS.task(task, "negatives.parquet") for task in JOBS.mined]


@functools.cache
def evaluation_files():
    """Corpus and queries of every dataset that is evaluated on, by its name."""
    return {
        name: TESTS.files(benchmark, name, PATHS)
        for benchmark in JOBS.config.benchmarks
        for name in TESTS.datasets(benchmark)
    }


def trained_texts(wildcards):
    """Training rows of every task, with corpus and queries."""
    return [*train_files(wildcards), *task_texts(wildcards)]


def reported_files(wildcards):
    """Corpus and queries of every dataset that is evaluated on."""
    files = [file for pair in evaluation_files().values() for file in pair]
    return list(dict.fromkeys(files))


def compared_queries(wildcards):
    """A task's queries and those that they are compared with."""
    own = PATHS.task(wildcards.task, "queries.parquet")
    others = [evaluation_queries(JOBS.compared), dev_queries()]
    return [own, *(file for files in others for file in files.values())]


def evaluation_queries(benchmarks):
    """The queries of some benchmarks; another order of these is no reason to rerun."""
    files = dev_texts() | evaluation_files()  # of a task, those that are held out
    names = [name for b in sorted(benchmarks) for name in sorted(TESTS.datasets(b))]
    return {name: files[name][1] for name in names}


def evaluation_corpora():
    """The corpora; several datasets may share one."""
    return {name: corpus for name, (corpus, _) in evaluation_files().items()}


def of_datasets(path):
    """A path for each dataset that a job evaluates; `path` makes it of the dataset's name."""
    return [path(dataset) for dataset in EVALUATED]


def evaluated(wildcards):
    """Names of those datasets."""
    return EVALUATED if ONE else [wildcards.dataset]


def test_files(wildcards):
    """Corpora, whole or sampled, and queries of what a job evaluates."""
    return files_of(evaluation(wildcards))


def files_of(job):
    """Corpora, whole or sampled, and queries of an evaluation, each once."""
    found = [
        file
        for of in job.benchmarks.values()
        for test in of.values()
        for file in (test.corpus, test.queries)
    ]
    return list(dict.fromkeys(found))


def whole_files(wildcards):
    """The corpus that a sample is taken of, and the queries of all test sets that search it."""
    names = TESTS.searching(wildcards.sampled)
    files = evaluation_files()
    return [files[names[0]][0], *(files[name][1] for name in names)]


def searching(wildcards):
    """Settings of a search of a corpus ahead of the evaluations."""
    return JOBS.search_corpus(wildcards.searched, PATHS, wildcards.get("untrained"))


def searched_files(wildcards):
    """The corpus, and the queries of all test sets that search it."""
    tests = searching(wildcards).tests.values()
    return [next(iter(tests)).corpus, *(test.queries for test in tests)]


def parts_of_corpus(wildcards):
    """What was found in each part of a corpus."""
    number = TESTS.searched[wildcards.searched]
    whole = (
        f"{PATHS.results}/{wildcards.retriever}/rankings/{wildcards.searched}.parquet"
    )
    return [PATHS.part(whole, f"{n}of{number}") for n in range(1, number + 1)]


def rankings(wildcards):
    """What was found ahead of an evaluation, by corpus; BM25 finds all itself."""
    if wildcards.get("untrained") == "bm25":
        return {}
    names = filter(TESTS.is_searched, evaluated(wildcards))
    corpora, w = dict.fromkeys(map(TESTS.corpus_of, names)), wildcards
    if "untrained" in w.keys():
        return {c: PATHS.untrained_rankings(w.untrained, c) for c in corpora}
    return {c: PATHS.rankings(w.model, w.seed, w.mixture, c) for c in corpora}


def found_ahead(wildcards):
    """The same as inputs."""
    return list(rankings(wildcards).values())


def evaluation(wildcards):
    """Settings of an evaluation."""
    names, untrained = evaluated(wildcards), wildcards.get("untrained")
    return JOBS.evaluate(names, PATHS, rankings(wildcards), untrained)


def run_files(path):
    """The rankings as further outputs of an evaluation, where they are asked for."""
    kept = JOBS.config.evaluation.run_files
    return {"runs": directory(of_datasets(path))} if kept else {}


# The option that keeps them.
KEEP_RUNS = "--runs" if JOBS.config.evaluation.run_files else ""


def mixture_weights(wildcards):
    """Weights that rows are sampled by: a retriever's own uniform ones, or those the proxy has learnt."""
    own = mixturenames.parse(wildcards.mixture)
    seed = JOBS.soups.weights_seed(wildcards.seed)
    if own.kind in ("uniform", experts.WARMUP) or own.reweights:
        return PATHS.weights(wildcards.model, seed, "uniform")
    return PATHS.weights(JOBS.config.proxy, seed, wildcards.mixture)


def drawn_before(wildcards):
    """The plan whose rows come last in a plan of an expert: that of the warm-up."""
    if mixturenames.parse(wildcards.mixture).kind != "expert":
        return []
    return PATHS.run(wildcards.model, wildcards.seed, f"{experts.WARMUP}/plan.parquet")


def going_on_from(wildcards):
    """The model that an expert starts from."""
    if mixturenames.parse(wildcards.mixture).kind != "expert":
        return []
    return PATHS.run(wildcards.model, wildcards.seed, f"{experts.WARMUP}/model")


def expert_models(wildcards):
    """The experts, in the order of the tasks."""
    names = [experts.expert(task) for task in JOBS.tasks]
    return [
        PATHS.run(wildcards.model, wildcards.seed, f"{name}/model") for name in names
    ]


def confirming(wildcards):
    """Dev scores of a training without each task that merged experts make doubtful."""
    found = checkpoints.prune_candidates.get(**wildcards).output.candidates
    asked = json.loads(Path(found).read_text(encoding="utf-8"))["asked"]
    return [
        PATHS.dev_scores(wildcards.model, wildcards.seed, experts.without(task))
        for task in asked
    ]


def tdro_weights(key):
    """Weights that tDRO's rows are sampled by (`sampling`) or that it starts from (`initial`)."""
    mixture = getattr(JOBS.config.tdro, key)
    return lambda wildcards: PATHS.weights(wildcards.model, wildcards.seed, mixture)


def loss_weights(wildcards):
    """Weights that the loss is scaled by; nothing for a mixture that is sampled."""
    if not mixturenames.parse(wildcards.mixture).reweights:
        return []
    seed = JOBS.soups.weights_seed(wildcards.seed)
    return PATHS.weights(JOBS.config.proxy, seed, wildcards.mixture)


def averaged_models(wildcards):
    """The trained models that a soup is the average of."""
    made_of = JOBS.soups.made_of(wildcards.mixture, int(wildcards.seed))
    return [
        PATHS.run(wildcards.model, seed, f"{mixture}/model")
        for mixture, seed in made_of
    ]


def averaged_base(wildcards):
    """The base that they are averaged with, where there is one."""
    return PATHS.base(wildcards.model) if JOBS.soups.has_base(wildcards.mixture) else []


def chosen_share(wildcards):
    """What says which share they have beside the base, where dev queries choose it."""
    if not JOBS.soups.is_chosen(wildcards.mixture):
        return []
    return PATHS.soup_scores(wildcards.model, wildcards.seed, wildcards.mixture)


def trained_with(wildcards):
    """The weights that make a retriever what it is: those of its loss, or those its rows are sampled by."""
    return loss_weights(wildcards) or mixture_weights(wildcards)


def mixture_source(wildcards):
    """What a mixture is derived from: the course of tDRO, or the sizes that the uniform weights list and, for some, what
    the miner knows of the tasks or a file."""
    model, seed = wildcards.model, wildcards.seed
    mixture = mixturenames.parse(wildcards.mixture)
    if mixture.of_others:
        return [PATHS.weights(model, seed, m) for m in JOBS.soups[mixture.name].of]
    if mixture.learnt:
        return PATHS.run(model, seed, f"{mixture.course}/trajectory.parquet")
    if mixture.of_experts:
        told = PATHS.experts(
            model, seed, "prune.json" if mixture.kind == "prune" else "law.json"
        )
        return [told, PATHS.weights(model, seed, "uniform")]
    embedded = [PATHS.task_means] if mixture.kind == "chameleon" else []
    return [*embedded, *mixture_data(wildcards), PATHS.weights(model, seed, "uniform")]


def mixture_data(wildcards):
    """A file of weights that a mixture is taken from."""
    mixture = mixturenames.parse(wildcards.mixture)
    return [JOBS.weights_file(mixture.name)] if mixture.kind == "file" else []


def mixture_options(wildcards):
    """What some mixtures depend on beside their source: the rows of a training, or the seed."""
    mixture, asked = mixturenames.parse(wildcards.mixture), JOBS.config.experts
    read = {"expert": {"rho"}, "mergemix": {"passes", "penalty"}, "transfer": {"eta"}}
    if mixture.kind in read:
        keys = asked.model_dump_json(include=read[mixture.kind])
        rows = f" --rows {JOBS.training_rows()}" if mixture.kind == "mergemix" else ""
        return f"--experts {quote(keys)}{rows}"
    if mixture.kind == "unimax":
        return f"--rows {JOBS.training_rows(wildcards.mixture)}"
    return f"--seed {wildcards.seed}" if mixture.drawn else ""


def shown_texts(wildcards):
    """Texts that the report shows: of queries won and lost, and of the rows of tasks that moved the weights."""
    tests = files_of(JOBS.evaluate(TESTS.evaluated, PATHS, rankings={}))
    return [*(task_texts(wildcards) if JOBS.run_courses else []), *tests]


def report_inputs(wildcards):
    """Everything the report reads."""
    c = JOBS.config
    runs = [(m.name, seed) for m in c.models for seed in c.seeds]
    files = [
        file(model, seed, mixture, dataset)
        for model, seed in runs
        for mixture in c.mixtures
        for dataset in TESTS.evaluated
        for file in (PATHS.scores, PATHS.query_scores)
    ]
    files += [
        file(name, dataset)
        for name in JOBS.untrained
        for dataset in TESTS.evaluated
        for file in (PATHS.untrained_scores, PATHS.untrained_query_scores)
    ]
    files += [
        PATHS.weights(c.proxy, seed, mixture)
        for seed in c.seeds
        for mixture in c.mixtures
    ]
    files += [
        PATHS.run(c.proxy, seed, f"{course}/{file}")
        for course in JOBS.run_courses
        for seed in c.seeds
        for file in ("trajectory.parquet", "heaviest_rows.parquet")
    ]
    for seed in c.seeds:
        files += [PATHS.dev_scores(c.proxy, seed, name) for name in JOBS.told]
        files += [PATHS.experts(c.proxy, seed, file) for file in JOBS.told_by]
    files += [
        PATHS.soup_scores(model, seed, mixture)
        for model, seed in runs
        for mixture in JOBS.measured_soups
    ]
    plans = ("tdro", "uniform") if JOBS.run_courses else ()
    files += [
        PATHS.run(c.proxy, seed, f"{plan}/plan.parquet")
        for plan in plans
        for seed in c.seeds
    ]
    return [
        *files,
        PATHS.leaks,
        *(
            PATHS.task(task, f)
            for task in JOBS.tasks
            for f in ("train.parquet", "duplicates.parquet")
        ),
    ]

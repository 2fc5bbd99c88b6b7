"""Raw datasets to training rows."""

import os
from pathlib import Path

from tdro.artifacts.layout import ROW_FORMS
from tdro.cli.arguments import FETCHED, RESULTS, argument, command, count, named_path, paths, read_settings
from tdro.errors import UserError


@command(
    "fetch",
    argument("name", help="what to call it"),
    argument("--output", type=Path, required=True, help="manifest to write"),
    made=lambda options: None,
)
def _fetch(options) -> None:
    """Download a dataset, model or pip package ahead, pinned and verified.

    output   a manifest: the commit, where the files lie, their sizes and hashes; NAME stands in the log

    tdro fetch nq --output nq.json --settings '{kind: dataset, name: BeIR/nq, patterns: ["corpus/*"]}'
    """
    from tdro.readers.fetch import FetchJob, write

    write(read_settings(options, FetchJob), options.output)


@command(
    "prepare",
    argument("name", help="name of the task or benchmark"),
    argument("--output", type=Path, required=True, help="folder to write to"),
    FETCHED,
    made=lambda options: options.output / "corpus.parquet",
)
def _prepare(options) -> None:
    r"""Read one dataset into a corpus and queries.

    input    what `dataset.source` of the settings names
    output   OUTPUT/corpus.parquet, OUTPUT/queries.parquet, and of a task the same in OUTPUT/heldout/ and
             OUTPUT/dev/queries.parquet

    tdro prepare mine --output results/data/mine --settings \
      '{task: {source: {reader: jsonl, path: rows.jsonl}, held_out: 100}}'
    """
    from tdro.config.commands import PrepareJob
    from tdro.data.contrast import check_prepared
    from tdro.data.prepare import prepare_benchmark, prepare_task

    job = read_settings(options, PrepareJob)
    if job.task:
        prepare_task(options.name, job.task, job.data, options.output, options.fetched)
        check_prepared(options.name, options.output)
    else:
        prepare_benchmark(options.name, job.benchmark, job.data, options.output, options.fetched)


@command("prepare-corpus", argument("name", help="name of the benchmark"), paths("output"))
def _prepare_corpus(options) -> None:
    r"""Read the corpus of a benchmark in its own format.

    input    what `source` of the settings names: reader beir, miracl, mkqa or mteb
    output   corpus.parquet

    tdro prepare-corpus nq --output results/benchmarks/nq/corpus.parquet --settings \
      '{source: {reader: beir, path: data/beir/nq}}'
    """
    from tdro.config.commands import CorpusJob
    from tdro.data.prepare_corpus import prepare_corpus

    job = read_settings(options, CorpusJob)
    prepare_corpus(options.name, job.source, job.part, job.data, options.output)


@command("prepare-queries", argument("name", help="name of the benchmark or part"), paths("corpus", "output"))
def _prepare_queries(options) -> None:
    r"""Read a query set of a benchmark in its own format.

    input    what `source` of the settings names, and the corpus.parquet that is searched
    output   queries.parquet, with relevant passages and their grades, or with answers

    tdro prepare-queries mkqa-ar --corpus results/benchmarks/nq/corpus.parquet \
      --output results/benchmarks/mkqa-ar/queries.parquet --settings \
      '{source: {reader: mkqa, path: data/mkqa}, part: ar}'
    """
    from tdro.config.commands import QueriesJob
    from tdro.data.prepare_queries import prepare_queries

    job = read_settings(options, QueriesJob)
    prepare_queries(options.name, job.source, job.part, job.queries, job.data, options.corpus, options.output)


@command(
    "dedup",
    paths("queries"),
    argument("--negatives", type=Path),
    argument("--evaluation", type=named_path, nargs="*", default=[], metavar="NAME=PATH"),
    argument("--train", type=Path, required=True, help="train.parquet to write"),
    argument("--duplicates", type=Path, required=True, help="duplicates.parquet to write"),
    argument("--dev", type=named_path, nargs="*", default=[], metavar="TASK=PATH"),
    argument("--own-dev", type=Path, help="dev/queries.parquet of this task; its rows are not trained on"),
    argument("--dev-rows", type=Path, help="dev.parquet to write"),
    argument("--scores", action="store_true", help="write the scores of positives and negatives, too"),
    made=lambda options: options.train,
)
def _dedup(options) -> None:
    r"""Remove training queries that nearly equal an evaluation query (64-bit SimHash).

    input    queries.parquet, negatives.parquet (without it, the negatives that the source provides),
             the queries.parquet of every benchmark as NAME=PATH, the dev/queries.parquet of every task that has
             one as TASK=PATH, and the files that the settings name
    output   train.parquet, duplicates.parquet; with --dev-rows the rows of --own-dev, of the same columns
    settings section `dedup` of the config

    With --scores, train.parquet also has the scores of negatives.parquet, which a training that distils reads.

    tdro dedup --queries results/data/nq/queries.parquet --negatives results/data/nq/negatives.parquet \
      --evaluation beir-nq=results/benchmarks/beir-nq/queries.parquet \
      --train results/data/nq/train.parquet --duplicates results/data/nq/duplicates.parquet
    """
    from tdro.config.data import Dedup
    from tdro.data.contrast import check_training_rows
    from tdro.data.dedup import Dev, dedup

    evaluation = _named(options.evaluation, "--evaluation")
    settings = read_settings(options, Dedup)
    threads = options.threads or len(os.sched_getaffinity(0))
    outputs = (options.train, options.duplicates)
    dev = Dev(options.dev_rows, options.own_dev, _named(options.dev, "--dev"))
    dedup(options.queries, options.negatives, evaluation, *outputs, settings, threads, options.scores, dev)
    check_training_rows(options.train)


@command(
    "leaks",
    RESULTS,
    argument("--tasks", nargs="+", required=True),
    argument("--evaluation", type=named_path, nargs="*", default=[], metavar="NAME=PATH"),
    argument("--corpora", type=named_path, nargs="*", default=[], metavar="NAME=PATH"),
    paths("output"),
)
def _leaks(options) -> None:
    r"""Count evaluation queries and relevant passages that stand in the training data.

    input    RESULTS/data/{task}/{queries,corpus,train}.parquet of each --tasks; of every dataset that is evaluated
             on the queries.parquet as NAME=PATH and, for its relevant passages, the corpus; the files of queries
             that the settings name
    output   leaks.parquet: a row a dataset, with examples
    settings section `dedup` of the config, of which `queries` counts

    tdro leaks --tasks nq msmarco --evaluation beir-nq=results/benchmarks/beir-nq/queries.parquet \
      --corpora beir-nq=results/benchmarks/beir-nq/corpus.parquet --output results/leaks.parquet
    """
    from tdro.artifacts.layout import Layout
    from tdro.config.data import Dedup
    from tdro.data.leaks import Evaluated, Trained, leaks

    layout = Layout(options.results)
    files = ("queries.parquet", "corpus.parquet", "train.parquet")
    training = {task: Trained(*(Path(layout.task(task, file)) for file in files)) for task in options.tasks}
    queries, corpora = _named(options.evaluation, "--evaluation"), _named(options.corpora, "--corpora")
    evaluation = {name: Evaluated(path, corpora.get(name)) for name, path in queries.items()}
    leaks(evaluation, training, options.output, read_settings(options, Dedup).queries)


@command(
    "export-data",
    RESULTS,
    argument("--form", choices=ROW_FORMS, required=True),
    argument("--tasks", nargs="+", default=[], metavar="TASK", help="default: all that have training rows"),
    argument("--negatives", type=count, metavar="N", help="the N negatives with the highest scores; default: all"),
    paths("output"),
)
def _export_data(options) -> None:
    r"""Write training rows in the form of another program: mined, without near-duplicates, with their scores.

    input    RESULTS/data/{task}/{train,negatives,corpus,queries}.parquet of each task
    output   a folder: of sentence-transformers a DatasetDict that load_from_disk reads, of the others a file of
             JSON lines a task
    settings `tasks`, the instruction of each (for flagembedding, which has a place for them), and `seed`

    tdro export-data --form sentence-transformers --output rows
    """
    from tdro.config.commands import ExportDataJob
    from tdro.data.export_data import export_data

    job = read_settings(options, ExportDataJob)
    export_data(options.results, options.form, options.output, job, options.tasks, options.negatives)


def _named(pairs: list[tuple[str, Path]], option: str) -> dict[str, Path]:
    """Paths by their names, which must differ."""
    named = dict(pairs)
    if len(named) < len(pairs):
        raise UserError(f"{option} gives two files one name; every NAME must differ.")
    return named


COMMANDS = (_fetch, _prepare, _prepare_corpus, _prepare_queries, _dedup, _leaks, _export_data)

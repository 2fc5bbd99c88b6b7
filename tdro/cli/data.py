"""Raw datasets to training rows."""

import os
from pathlib import Path

from tdro.cli.arguments import add_command, add_fetched, add_results, named_path, read_settings
from tdro.errors import UserError


def _fetch(commands) -> None:
    command = add_command(
        commands,
        "fetch",
        "Download a dataset, model or pip package ahead, pinned and verified.",
        """
        output   a manifest: the commit, where the files lie, their sizes and hashes; NAME stands in the log

        tdro fetch nq --output nq.json --settings '{kind: dataset, name: BeIR/nq, patterns: ["corpus/*"]}'
        """,
        _run_fetch,
        made=lambda options: None,  # what others have made, verified
    )
    command.add_argument("name", help="what to call it")
    command.add_argument("--output", type=Path, required=True, help="manifest to write")


def _run_fetch(options) -> None:
    from tdro.readers.fetch import FetchJob, write

    write(read_settings(options, FetchJob), options.output)


def _prepare(commands) -> None:
    command = add_command(
        commands,
        "prepare",
        "Read one dataset into a corpus and queries.",
        """
        input    what `dataset.source` of the settings names
        output   OUTPUT/corpus.parquet, OUTPUT/queries.parquet, and of a task the same in OUTPUT/heldout/

        tdro prepare mine --output results/data/mine --settings \\
          '{task: {source: {reader: jsonl, path: rows.jsonl}, held_out: 100}}'
        """,
        _run_prepare,
        made=lambda options: options.output / "corpus.parquet",
    )
    command.add_argument("name", help="name of the task or benchmark")
    command.add_argument("--output", type=Path, required=True, help="folder to write to")
    add_fetched(command)


def _run_prepare(options) -> None:
    from tdro.config.commands import PrepareJob
    from tdro.data.contrast import check_prepared
    from tdro.data.prepare import prepare_benchmark, prepare_task

    job = read_settings(options, PrepareJob)
    if job.task:
        prepare_task(options.name, job.task, job.data, options.output, options.fetched)
        check_prepared(options.name, options.output)
    else:
        prepare_benchmark(options.name, job.benchmark, job.data, options.output, options.fetched)


def _prepare_corpus(commands) -> None:
    command = add_command(
        commands,
        "prepare-corpus",
        "Read the corpus of a benchmark in its own format.",
        """
        input    what `source` of the settings names: reader beir, miracl, mkqa or mteb
        output   corpus.parquet

        tdro prepare-corpus nq --output results/benchmarks/nq/corpus.parquet --settings \\
          '{source: {reader: beir, path: data/beir/nq}}'
        """,
        _run_prepare_corpus,
    )
    command.add_argument("name", help="name of the benchmark")
    command.add_argument("--output", type=Path, required=True)


def _run_prepare_corpus(options) -> None:
    from tdro.config.commands import CorpusJob
    from tdro.data.prepare_corpus import prepare_corpus

    job = read_settings(options, CorpusJob)
    prepare_corpus(options.name, job.source, job.part, job.data, options.output)


def _prepare_queries(commands) -> None:
    command = add_command(
        commands,
        "prepare-queries",
        "Read a query set of a benchmark in its own format.",
        """
        input    what `source` of the settings names, and the corpus.parquet that is searched
        output   queries.parquet, with relevant passages and their grades, or with answers

        tdro prepare-queries mkqa-ar --corpus results/benchmarks/nq/corpus.parquet \\
          --output results/benchmarks/mkqa-ar/queries.parquet --settings \\
          '{source: {reader: mkqa, path: data/mkqa}, part: ar}'
        """,
        _run_prepare_queries,
    )
    command.add_argument("name", help="name of the benchmark or part")
    command.add_argument("--corpus", type=Path, required=True)
    command.add_argument("--output", type=Path, required=True)


def _run_prepare_queries(options) -> None:
    from tdro.config.commands import QueriesJob
    from tdro.data.prepare_queries import prepare_queries

    job = read_settings(options, QueriesJob)
    prepare_queries(options.name, job.source, job.part, job.queries, job.data, options.corpus, options.output)


def _dedup(commands) -> None:
    command = add_command(
        commands,
        "dedup",
        "Remove training queries that nearly equal an evaluation query (64-bit SimHash).",
        """
        input    queries.parquet, negatives.parquet (without it, the negatives that the source provides),
                 the queries.parquet of every benchmark as NAME=PATH, and the files that the settings name
        output   train.parquet, duplicates.parquet
        settings section `dedup` of the config

        With --scores, train.parquet also has the scores of negatives.parquet, which a training that distils reads.

        tdro dedup --queries results/data/nq/queries.parquet --negatives results/data/nq/negatives.parquet \\
          --evaluation beir-nq=results/benchmarks/beir-nq/queries.parquet \\
          --train results/data/nq/train.parquet --duplicates results/data/nq/duplicates.parquet
        """,
        _run_dedup,
        made=lambda options: options.train,
    )
    command.add_argument("--queries", type=Path, required=True)
    command.add_argument("--negatives", type=Path)
    command.add_argument("--evaluation", type=named_path, nargs="*", default=[], metavar="NAME=PATH")
    command.add_argument("--train", type=Path, required=True, help="train.parquet to write")
    command.add_argument("--duplicates", type=Path, required=True, help="duplicates.parquet to write")
    command.add_argument("--scores", action="store_true", help="write the scores of positives and negatives, too")


def _run_dedup(options) -> None:
    from tdro.config.data import Dedup
    from tdro.data.contrast import check_training_rows
    from tdro.data.dedup import dedup

    evaluation = _named(options.evaluation, "--evaluation")
    settings = read_settings(options, Dedup)
    threads = options.threads or len(os.sched_getaffinity(0))
    outputs = (options.train, options.duplicates)
    dedup(options.queries, options.negatives, evaluation, *outputs, settings, threads, options.scores)
    check_training_rows(options.train)


def _leaks(commands) -> None:
    command = add_command(
        commands,
        "leaks",
        "Count evaluation queries and relevant passages that stand in the training data.",
        """
        input    RESULTS/data/{task}/{queries,corpus,train}.parquet of each --tasks; of every dataset that is evaluated
                 on the queries.parquet as NAME=PATH and, for its relevant passages, the corpus; the files of queries
                 that the settings name
        output   leaks.parquet: a row a dataset, with examples
        settings section `dedup` of the config, of which `queries` counts

        tdro leaks --tasks nq msmarco --evaluation beir-nq=results/benchmarks/beir-nq/queries.parquet \\
          --corpora beir-nq=results/benchmarks/beir-nq/corpus.parquet --output results/leaks.parquet
        """,
        _run_leaks,
    )
    add_results(command)
    command.add_argument("--tasks", nargs="+", required=True)
    command.add_argument("--evaluation", type=named_path, nargs="*", default=[], metavar="NAME=PATH")
    command.add_argument("--corpora", type=named_path, nargs="*", default=[], metavar="NAME=PATH")
    command.add_argument("--output", type=Path, required=True)


def _run_leaks(options) -> None:
    from tdro.artifacts.layout import Layout
    from tdro.config.data import Dedup
    from tdro.data.leaks import Evaluated, Trained, leaks

    layout = Layout(options.results)
    files = ("queries.parquet", "corpus.parquet", "train.parquet")
    training = {task: Trained(*(Path(layout.task(task, file)) for file in files)) for task in options.tasks}
    queries, corpora = _named(options.evaluation, "--evaluation"), _named(options.corpora, "--corpora")
    evaluation = {name: Evaluated(path, corpora.get(name)) for name, path in queries.items()}
    leaks(evaluation, training, options.output, read_settings(options, Dedup).queries)


def _named(pairs: list[tuple[str, Path]], option: str) -> dict[str, Path]:
    """Paths by their names, which must differ."""
    named = dict(pairs)
    if len(named) < len(pairs):
        raise UserError(f"{option} gives two files one name; every NAME must differ.")
    return named


COMMANDS = (
    _fetch,
    _prepare,
    _prepare_corpus,
    _prepare_queries,
    _dedup,
    _leaks,
)

"""Raw datasets to training rows."""

import os
from pathlib import Path

from tdro.commands.arguments import add_command, add_fetched, named_path, read_settings
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
    )
    command.add_argument("name", help="what to call it")
    command.add_argument("--output", type=Path, required=True, help="manifest to write")


def _run_fetch(options) -> None:
    from tdro.fetched import FetchJob, write

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
    )
    command.add_argument("name", help="name of the task or benchmark")
    command.add_argument("--output", type=Path, required=True, help="folder to write to")
    add_fetched(command)


def _run_prepare(options) -> None:
    from tdro.jobs import PrepareJob
    from tdro.prepare import prepare_benchmark, prepare_task

    job = read_settings(options, PrepareJob)
    if job.task:
        prepare_task(options.name, job.task, job.data, options.output, options.fetched)
    else:
        prepare_benchmark(options.name, job.benchmark, job.data, options.output, options.fetched)


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

        tdro dedup --queries results/data/nq/queries.parquet --negatives results/data/nq/negatives.parquet \\
          --evaluation beir-nq=results/benchmarks/beir-nq/queries.parquet \\
          --train results/data/nq/train.parquet --duplicates results/data/nq/duplicates.parquet
        """,
        _run_dedup,
    )
    command.add_argument("--queries", type=Path, required=True)
    command.add_argument("--negatives", type=Path)
    command.add_argument("--evaluation", type=named_path, nargs="*", default=[], metavar="NAME=PATH")
    command.add_argument("--train", type=Path, required=True, help="train.parquet to write")
    command.add_argument("--duplicates", type=Path, required=True, help="duplicates.parquet to write")


def _run_dedup(options) -> None:
    from tdro.config import Dedup
    from tdro.dedup import dedup

    evaluation = dict(options.evaluation)
    if len(evaluation) < len(options.evaluation):
        raise UserError("--evaluation gives two files one name; every NAME must differ.")
    settings = read_settings(options, Dedup)
    threads = options.threads or len(os.sched_getaffinity(0))
    dedup(options.queries, options.negatives, evaluation, options.train, options.duplicates, settings, threads)


COMMANDS = (
    _fetch,
    _prepare,
    _dedup,
)

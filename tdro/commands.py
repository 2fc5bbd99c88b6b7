"""The commands, one a stage, each with its arguments and help. The workflow's rules call these and nothing else.

A command's libraries are loaded when it runs, after its threads are set.
"""

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path

from tdro.errors import UserError


def _prepare(commands) -> None:
    command = _command(
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


def _run_prepare(options) -> None:
    from tdro.jobs import PrepareJob
    from tdro.prepare import prepare_benchmark, prepare_task

    job = _settings(options, PrepareJob)
    if job.task:
        prepare_task(options.name, job.task, job.data, options.output)
    else:
        prepare_benchmark(options.name, job.benchmark, job.data, options.output)


def _mine(commands) -> None:
    command = _command(
        commands,
        "mine",
        "Find hard negatives with an embedding model.",
        """
        input    corpus.parquet, queries.parquet
        output   negatives.parquet, with the miner's scores
        settings section `mining` of the config

        tdro mine --corpus results/data/nq/corpus.parquet --queries results/data/nq/queries.parquet \\
          --output results/data/nq/negatives.parquet --settings '{model: BAAI/bge-base-en-v1.5, margin: 0.05}'
        """,
        _run_mine,
    )
    _paths(command, "corpus", "queries", "output")


def _run_mine(options) -> None:
    from tdro.config import Mining
    from tdro.mine import mine

    mine(options.corpus, options.queries, options.output, _settings(options, Mining))


def _dedup(commands) -> None:
    command = _command(
        commands,
        "dedup",
        "Remove training queries that nearly equal an evaluation query (64-bit SimHash).",
        """
        input    queries.parquet, negatives.parquet (without it, the negatives that the source provides),
                 and the queries.parquet of every benchmark as NAME=PATH
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
    command.add_argument("--evaluation", type=_named_path, nargs="*", default=[], metavar="NAME=PATH")
    command.add_argument("--train", type=Path, required=True, help="train.parquet to write")
    command.add_argument("--duplicates", type=Path, required=True, help="duplicates.parquet to write")


def _run_dedup(options) -> None:
    from tdro.config import Dedup
    from tdro.dedup import dedup

    evaluation = dict(options.evaluation)
    if len(evaluation) < len(options.evaluation):
        raise UserError("--evaluation gives two files one name; every NAME must differ.")
    settings = _settings(options, Dedup)
    dedup(options.queries, options.negatives, evaluation, options.train, options.duplicates, settings)


def _plan(commands) -> None:
    command = _command(
        commands,
        "plan",
        "Decide every row of every batch.",
        """
        input    a weights JSON, and RESULTS/data/{task}/train.parquet of each weighted task
        output   plan.parquet: step, slot, task, query, positive, negatives

        tdro plan --weights resources/released_weights/curr.json --results results --output plan.parquet \\
          --settings '{layout: homogeneous, steps: 1000, batch_size: 2048, negatives: 1, seed: 42}'
        """,
        _run_plan,
    )
    command.add_argument("--weights", type=Path, required=True)
    _results(command)
    command.add_argument("--output", type=Path, required=True)


def _run_plan(options) -> None:
    from tdro.artifacts import PLAN, write_table
    from tdro.jobs import PlanJob
    from tdro.plan import make_plan, read_tasks
    from tdro.weights import read_weights

    job = _settings(options, PlanJob)
    weights = read_weights(options.weights).weights
    tasks = read_tasks(options.results, (task for task, weight in weights.items() if weight > 0))
    plan = make_plan(tasks, weights, **job.model_dump())
    write_table(options.output, plan, PLAN)


def _train(commands) -> None:
    command = _command(
        commands,
        "train",
        "Train a retriever on a homogeneous plan.",
        """
        input    plan.parquet, and RESULTS/data/{task}/{corpus,queries}.parquet
        output   a SentenceTransformer folder; a killed training resumes from CHECKPOINTS

        accelerate launch --config_file config/accelerate/ddp.yaml --num_processes 8 -m tdro train \\
          --plan plan.parquet --output model --checkpoints checkpoints/nq --tensorboard logs/nq --settings @train.yaml
        """,
        _run_train,
    )
    _paths(command, "plan", "output", "checkpoints", "tensorboard")
    _results(command)


def _run_train(options) -> None:
    from tdro.jobs import TrainJob
    from tdro.train import train

    folders = (options.results, options.output, options.checkpoints, options.tensorboard)
    train(options.plan, *folders, _settings(options, TrainJob))


def _reference(commands) -> None:
    command = _command(
        commands,
        "reference",
        "Compute the frozen reference model's loss on each row of a mixed plan.",
        """
        input    plan.parquet (mixed), a retriever, and RESULTS/data/{task}/{corpus,queries}.parquet
        output   reference.parquet: step, slot, task, loss

        tdro reference --plan tdro/plan.parquet --model uniform/model --output tdro/reference.parquet \\
          --settings '{temperature: 0.002, tasks: {nq: {instruction: Retrieve passages that answer the question.}}}'
        """,
        _run_reference,
    )
    _paths(command, "plan", "model", "output")
    _results(command)


def _run_reference(options) -> None:
    from tdro.jobs import ReferenceJob
    from tdro.reference import reference

    reference(options.plan, options.model, options.results, options.output, _settings(options, ReferenceJob))


def _optimize(commands) -> None:
    command = _command(
        commands,
        "optimize",
        "Learn the task weights with tDRO.",
        """
        input    plan.parquet (mixed), its reference.parquet, a weights JSON to start from,
                 and RESULTS/data/{task}/{corpus,queries}.parquet
        output   trajectory.parquet: losses, measurement and weights by step and task

        accelerate launch --config_file config/accelerate/ddp.yaml --num_processes 8 -m tdro optimize \\
          --plan tdro/plan.parquet --reference tdro/reference.parquet --initial weights/uniform.json \\
          --output tdro/trajectory.parquet --checkpoints checkpoints/tdro --tensorboard logs/tdro \\
          --settings @optimize.yaml
        """,
        _run_optimize,
    )
    _paths(command, "plan", "reference", "initial", "output", "checkpoints", "tensorboard")
    _results(command)


def _run_optimize(options) -> None:
    from tdro.jobs import OptimizeJob
    from tdro.optimize import optimize

    optimize(
        options.plan,
        options.reference,
        options.initial,
        options.results,
        options.output,
        options.checkpoints,
        options.tensorboard,
        _settings(options, OptimizeJob),
    )


def _derive(commands) -> None:
    command = _command(
        commands,
        "derive",
        "Make a mixture: uniform, curr, mean, ema or top1 to top100.",
        """
        input    a trajectory.parquet, or a weights JSON (also the released ones), or, for uniform,
                 the train.parquet of every task
        output   a weights JSON: domain_ids, domain_weights, size, epoch

        tdro derive resources/released_weights/curr.json --mixture top70 --output top70.json
        """,
        _run_derive,
        settings=False,
    )
    command.add_argument("source", type=Path, nargs="+")
    command.add_argument("--mixture", required=True)
    command.add_argument("--output", type=Path, required=True)


def _run_derive(options) -> None:
    from tdro.weights import derive, write_weights

    write_weights(options.output, derive(options.source, options.mixture))


def _evaluate(commands) -> None:
    command = _command(
        commands,
        "evaluate",
        "Score a retriever on a benchmark with mteb.",
        """
        input    a SentenceTransformer folder, and corpus.parquet and queries.parquet of each dataset
        output   mean scores as JSON, and the scores of each query as Parquet

        tdro evaluate --model uniform/model --benchmark web --scores web.json --query-scores web.queries.parquet \\
          --settings '{datasets: {web: {folder: results/benchmarks/web, language: en, instruction: Find pages.}}}'
        """,
        _run_evaluate,
    )
    command.add_argument("--benchmark", required=True)
    _paths(command, "model", "scores", "query-scores")


def _run_evaluate(options) -> None:
    from tdro.evaluate import evaluate
    from tdro.jobs import EvaluateJob

    job = _settings(options, EvaluateJob)
    evaluate(options.model, options.benchmark, job.datasets, job.encoding, options.scores, options.query_scores)


def _report(commands) -> None:
    command = _command(
        commands,
        "report",
        "Write the report and print its table.",
        """
        input    everything below RESULTS that the settings name, and Snakemake's benchmark files below LOGS
        output   a self-contained HTML page and a CSV

        tdro report --results results --logs logs --html report.html --csv results.csv --settings @report.yaml
        """,
        _run_report,
    )
    _results(command)
    command.add_argument("--logs", type=Path, default=Path("logs"))
    command.add_argument("--html", type=Path, required=True)
    command.add_argument("--csv", type=Path, required=True)


def _run_report(options) -> None:
    from tdro.layout import Layout
    from tdro.report.build import build
    from tdro.report.content import Content

    content = _settings(options, Content)
    print(build(content, Layout(options.results), str(options.logs), options.html, options.csv))


def _show(commands) -> None:
    command = _command(
        commands,
        "show",
        "Print weights as a sorted table with bars.",
        """
        input    one weights JSON, or two to compare
        output   task, weight, and the passes over its rows that the weight means

        tdro show results/smollm2/seed42/weights/curr.json resources/released_weights/curr.json
        """,
        _run_show,
        settings=False,
    )
    command.add_argument("weights", type=Path, nargs="+")
    command.add_argument("--rows", type=int, help="rows trained on (steps x batch size); default: all tasks' rows")


def _run_show(options) -> None:
    from tdro.show import show

    print(show(options.weights, options.rows))


def _command(
    commands, name: str, summary: str, details: str, run: Callable[..., None], *, settings: bool = True
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=textwrap.dedent(details).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--threads", type=int, help="CPU threads of this process; default: all")
    if settings:
        command.add_argument(
            "--settings", metavar="YAML", help="settings as YAML or JSON text, or @FILE; keys in config/README.md"
        )
    command.set_defaults(run=run)
    return command


def _paths(command: argparse.ArgumentParser, *names: str) -> None:
    for name in names:
        command.add_argument(f"--{name}", type=Path, required=True)


def _results(command: argparse.ArgumentParser) -> None:
    command.add_argument("--results", type=Path, default=Path("results"), help="folder of results; default: results")


def _named_path(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=PATH, not {text!r}")
    return name, Path(path)


def _settings(options, section):
    from tdro.config import settings

    return settings(section, options.settings)


#: Each adds its command to the parser.
COMMANDS = (_prepare, _mine, _dedup, _plan, _train, _reference, _optimize, _derive, _evaluate, _report, _show)

"""What a configuration and its data are, before anything runs."""

import sys
from pathlib import Path

from tdro.cli.arguments import RESULTS, argument, command, count
from tdro.formats import visible


@command(
    "check",
    argument("config", type=Path, nargs="?", default=None, metavar="CONFIG", help="default: config/config.yaml"),
    argument("--rows", type=count, default=5000, metavar="N", help="rows of each source to look at; default: 5000"),
    RESULTS,
    settings=False,
    made=lambda options: None,
)
def _check(options) -> None:
    """Look at a configuration and the first rows of its data, and say what is odd.

    input    a configuration; hub data and packages are fetched where they are not here
    output   tables of the datasets and of the mixtures, how long a run takes, and a line on whatever is odd

    Shown are empty cells, markup, languages, repeated texts, positives that equal queries, answers that nearly equal
    each other, texts that a model reads only in part, and what tasks share with benchmarks. Ends with 1 where the
    configuration cannot run, with 0 where there are warnings at most.

    tdro check config/mine.yaml
    """
    from tdro.artifacts.layout import Layout
    from tdro.checking.check import check
    from tdro.checking.table import text
    from tdro.cli.forecast import configured

    jobs, root = configured(options.config)
    checked = check(jobs, root, Layout(options.results), options.rows)
    print(visible(text(checked)))
    if checked.fatal:
        sys.stdout.flush()
        sys.exit(1)


@command(
    "add-task",
    argument("data", metavar="PATH|HUB", help="file, folder or pattern; or ORG/NAME of a hub dataset"),
    argument("--name", help="of the task; default: what the data are called"),
    argument("--query", metavar="COLUMN", help="column or template of the query; default: guessed"),
    argument("--positive", metavar="COLUMN", help="of the answer, likewise"),
    argument("--negatives", metavar="COLUMN", help="of hard negatives, likewise"),
    argument("--path", metavar="PATH", help="of a hub dataset: file or pattern in it; default: its training files"),
    argument("--append", type=Path, metavar="REGISTRY", help="add the entry to this file; default: print it"),
    argument("--rows", type=count, default=5000, metavar="N", help="rows to look at; default: 5000"),
    settings=False,
    made=lambda options: None,
)
def _add_task(options) -> None:
    """Guess what a file of data holds, and print or append its entry of the registry.

    input    data that a reader knows: JSON lines, Parquet, CSV, TSV, a folder in BEIR's layout, or a hub dataset
    output   the entry, as YAML that may stand below `tasks:`, and above it, as comments, what is odd about the data

    tdro add-task data/tickets.csv --query "{subject} {body}" --positive reply --append config/tasks/mine.yaml
    """
    from tdro.checking.newtask import append, new_task, notes, written

    told = {role: getattr(options, role) for role in ("query", "positive", "negatives") if getattr(options, role)}
    task = new_task(options.data, options.rows, options.name, told, options.path)
    if options.append:
        append(task, options.append)
        print(f"{options.append}: {task.name} is added.")
    print("".join(f"  # {line}\n" for line in notes(task)) + written(task), end="")


COMMANDS = (_check, _add_task)

"""What lies in a folder of results, as people read it: files, training examples, reasons for weights."""

from pathlib import Path

from tdro.cli.arguments import RESULTS, Argument, argument, command, count

_JSON = argument("--json", action="store_true", dest="as_json", help="print what is shown as JSON, for programs")
_PAGER = argument("--no-pager", action="store_false", dest="pager", help="print all at once on a terminal, too")
_MODEL = argument("--model", metavar="NAME", help="default: the first that has what is looked for")
_SEED = argument("--seed", type=int, metavar="N", help="seed of the run; default: the smallest")


def _rows(noun: str, number: int) -> Argument:
    return argument("--rows", type=count, metavar="N", help=f"{noun} to show; default: {number}")


def _nothing_made(options) -> None:
    """These commands print, and make no file."""


@command(
    "show",
    argument("files", type=Path, nargs="+", metavar="FILE", help="a file, or a folder such as weights/ or a model"),
    _rows("rows of a Parquet file", 10),
    argument("--row", type=int, metavar="K", help="show one row of a Parquet file and all that belongs to it, from 0"),
    argument(
        "--drawn", type=count, metavar="N", help="of weights: rows trained on (steps x batch size); default: all rows"
    ),
    _JSON,
    _PAGER,
    settings=False,
    made=_nothing_made,
)
def _show(options) -> None:
    """Show any file that a run leaves.

    input    files of results/: weights, corpora, queries, training rows, mined negatives, duplicates, plans,
             trajectories, scores, models and others, told by what they hold; several weights or scores stand beside
             each other, and so do those of a folder
    output   on a terminal colours and a pager, elsewhere plain text; --json for programs

    tdro show results/minilm/seed42/weights
    tdro show results/minilm/seed42/weights/curr.json resources/released_weights/curr.json --drawn 1920
    tdro show results/data/az_cli/train.parquet --row 7
    tdro show results/minilm/seed42/tdro/trajectory.parquet
    """
    from tdro.report.show.show import show

    _put(options, show(options.files, _asked(options, row=options.row, drawn=options.drawn)))


@command(
    "rows",
    argument("task", metavar="TASK", help="a training task, such as az_cli"),
    RESULTS,
    _MODEL,
    _SEED,
    argument("--mixture", metavar="NAME", help="default: uniform, else the first that is planned"),
    argument("--negatives", action="store_true", help="show the negatives, too"),
    _rows("examples", 10),
    argument("--row", type=int, metavar="K", help="show one example, from 0"),
    _JSON,
    _PAGER,
    settings=False,
    made=_nothing_made,
)
def _trained(options) -> None:
    """Show examples of a task as a training reads them.

    input    plan.parquet of a training below RESULTS, or train.parquet of the task where none is planned yet
    output   prompts, query, positives and negatives with the scores that mining or a cross-encoder gave them; the
             examples are spread evenly over all that the training reads of the task

    tdro rows az_cli --negatives
    """
    from tdro.report.show.trained import Which, rows

    which = Which(options.model, options.seed, options.mixture)
    asked = _asked(options, row=options.row)
    _put(options, rows(options.results, options.task, which, asked, negatives=options.negatives))


@command(
    "why",
    argument("task", metavar="TASK", nargs="?", help="a training task; default: a sentence on each"),
    RESULTS,
    _MODEL,
    _SEED,
    argument("--course", default="tdro", metavar="NAME", help="run of tDRO, such as tdro-doremi; default: tdro"),
    _rows("rows with their texts", 5),
    _JSON,
    _PAGER,
    settings=False,
    made=_nothing_made,
)
def _why(options) -> None:
    """Say why a task weighs what it does.

    input    trajectory, plan, reference losses and heaviest rows of a run of tDRO below RESULTS
    output   a sentence; its share from the start to the end, its losses and its measurement over the steps; the rows
             that moved its weight most, with their texts

    tdro why az_cli
    """
    from tdro.report.show.reasons import of_task

    where = options.results, options.task, options.course, options.model, options.seed
    _put(options, of_task(*where, _asked(options)))


def _asked(options, **more):
    from tdro.report.show.output import has_colours, is_terminal, width
    from tdro.report.show.view import Asked

    whole = options.as_json or more.get("row") is not None or not is_terminal()
    return Asked(rows=options.rows, whole=whole, width=width(), signs=not has_colours(), **more)


def _put(options, view) -> None:
    from tdro.report.show.output import put

    put(view, as_json=options.as_json, paged=options.pager)


COMMANDS = (_show, _trained, _why)

"""What the documents say of the code and follows from it: ``python docs/generated.py`` writes it (``make schema``).

The picture of which folder of tdro/ imports which stands in docs/architecture.md, the tables of the Parquet files in
docs/artifacts.md, every command in docs/commands.md, what the paper's configuration costs in docs/cluster.md, which
gain a study can show in docs/evaluation.md, each between two marks. tests/unit/test_house.py holds all of them, and the
order of the folders.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pyarrow as pa

from tdro.artifacts import strictyaml
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import EDGES, Edge
from tdro.cli.arguments import Command, Mixed
from tdro.cli.main import COMMANDS
from tdro.evaluation.power import Design, least_gain
from tdro.forecast.forecast import of_jobs
from tdro.forecast.rates import Asked
from tdro.forecast.sizes import Sizes
from tdro.forecast.table import cells, total
from tdro.forecast.works import Works
from tdro.pipeline.start import read

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "tdro"
#: Folders and single modules of the package, each of which imports only those before it.
ORDER = [
    *("formats", "errors", "progress", "artifacts", "config", "text", "readers", "data", "models", "retrieval"),
    *("mining", "mixtures", "training", "dro", "evaluation", "asking", "report", "export", "pipeline", "forecast"),
    *("checking", "setup", "cli", "__main__", "__init__"),
]
#: Sizes of studies whose least gains docs/evaluation.md has: queries, trainings of each mixture, mixtures compared.
QUERIES, SEEDS, MIXTURES = (100, 300, 500, 1000, 3000), (1, 3, 5, 8, 12, 20), (1, 5, 12, 24)


def imports() -> Iterator[tuple[Path, str]]:
    """Each module of the package with each module of the package that it imports, at its head or within a function."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            yield from ((path.relative_to(PACKAGE), name) for name in names if name.startswith("tdro."))


def part(path: Path) -> str:
    """The folder below tdro/ that a module lies in, or the module itself where it lies in tdro/."""
    return path.parts[0].removesuffix(".py")


def edges() -> set[tuple[str, str]]:
    """Pairs of a folder and another that it imports; ``tdro.__version__`` is no folder."""
    found = {(part(path), name.split(".")[1]) for path, name in imports()}
    return {(above, below) for above, below in found if above != below and below != "__version__"}


def picture() -> str:
    """One line a folder: behind its name, in the column of each folder that it imports, that one's number."""
    arrows, there = edges(), {part(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}
    names = [name for name in ORDER if name in there and name not in ("__main__", "__init__")]
    lines = []
    for number, name in enumerate(names):
        cells = (f"{column:2}" if (name, below) in arrows else " ." for column, below in enumerate(names[:number], 1))
        lines.append(" ".join([f"{number + 1:2} {name:10}", *cells]).rstrip())
    return "\n".join(lines) + "\n"


def tables() -> str:
    """What each Parquet file holds: its path, the rules beside it, a table of its columns."""
    return "\n".join(_table(edge) for edge in EDGES)


def _table(edge: Edge) -> str:
    rows = [f"| `{column.name}` | {_type(column.type)} | {column.says} |\n" for column in edge.columns]
    head = f"**{_code(edge.file)}** ({edge.rules}).\n{edge.says}\n\n| column | type | meaning |\n|---|---|---|\n"
    return head + "".join(rows)


def _code(text: str) -> str:
    """The paths and keys in a text, marked as such."""
    return re.sub(r"[\w{}/@]*[/.][\w{}/@.]*[\w}/]", r"`\g<0>`", text)


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_type(kind.value_type)}"
    return {"double": "float64", "float": "float32"}.get(str(kind), "struct" if pa.types.is_struct(kind) else str(kind))


def commands() -> str:
    """Every command with its arguments, as its parser has them, below a heading for each module of tdro/cli."""
    adder = argparse.ArgumentParser(prog="tdro").add_subparsers(parser_class=Mixed)
    for command in COMMANDS.values():
        command.add(adder)
    text = ""
    for module, group in groupby(COMMANDS.values(), key=lambda command: command.run.__module__):
        subject = sys.modules[module].__doc__.partition("\n")[0].removesuffix(".")
        text += f"## {subject}\n\n" + "".join(_command(command, adder.choices[command.name]) for command in group)
    return text


def _command(command: Command, parser: argparse.ArgumentParser) -> str:
    taken = [action for action in parser._actions if "--help" not in action.option_strings]
    taken.sort(key=lambda action: (bool(action.option_strings), not action.required))
    usage = " ".join(["tdro", command.name, *map(_asked, taken)])
    rows = "".join(f"| {_cell(f'`{_named(action)}`')} | {_cell(_meaning(action))} |\n" for action in taken)
    head = f"### `tdro {command.name}`\n\n{parser.description}\n\n```text\n{usage}\n```\n\n"
    details = f"\n```text\n{parser.epilog}\n```\n" if parser.epilog else ""
    return f"{head}| argument | meaning |\n|---|---|\n{rows}{details}\n"


def _asked(action: argparse.Action) -> str:
    """An argument in the line of usage: in brackets where it may be left out."""
    named = _named(action).split(", ")[-1]
    return named if action.required and action.nargs not in ("*", "?") else f"[{named}]"


def _named(action: argparse.Action) -> str:
    """Names and value of an argument: ``--top N``."""
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    value = " ".join(value) if isinstance(value, tuple) else value
    value = "" if action.nargs == 0 else f"{value} ..." if action.nargs in ("+", "*", argparse.REMAINDER) else value
    return " ".join(filter(None, [", ".join(action.option_strings), value]))


def _meaning(action: argparse.Action) -> str:
    """The help of an argument; what has none is a path that its details explain."""
    return (action.help or "see below") % {**vars(action), "prog": "tdro"}


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def cluster() -> str:
    """What config/paper.yaml costs, by ``tdro forecast`` and nothing that is on this machine."""
    file = PACKAGE.parent / "config/paper.yaml"
    jobs = read(strictyaml.read_file(file).values, PACKAGE.parent, [file])
    asked, nowhere = Asked("H800", 8), Layout("nowhere")
    forecast = of_jobs(jobs, nowhere, PACKAGE.parent, asked, local=False)
    rows = "".join(f"| {' | '.join(_marked(cells(line)))} |\n" for line in [*forecast.lines, total(forecast)])
    said = "".join(f"- {sentence}\n" for sentence in forecast.said if "tokenizer" not in sentence)
    head = "| rule | base | jobs | tokens | FLOP | time | GPU hours | disk | memory |\n"
    works = Works(jobs, Sizes(jobs, nowhere), nowhere, PACKAGE.parent, 8, local=False)
    return f"{head}|---|---|--:|--:|--:|--:|--:|--:|--:|\n{rows}\n{said}\n{_memory(works)}"


def _memory(works: Works) -> str:
    """Memory of a GPU in training, part by part: as config/paper.yaml has it, and where all weights learn."""
    rows = []
    for model in works.jobs.config.models:
        for named, one in (
            (model.name, model),
            (f"{model.name}, all weights", model.model_copy(update={"lora": None})),
        ):
            if one is model or model.lora:
                found = works.learning.memory(one, works.jobs.config.training)
                parts = (f"{part / 1e9:.1f}" for part in (*found, found.total))
                rows.append(f"| {named} | {model.accelerate} | {' | '.join(parts)} |\n")
    head = "| GB of a GPU | `accelerate` | weights | gradients | optimiser | activations | gathered | copies | all |\n"
    return f"{head}|---|---|--:|--:|--:|--:|--:|--:|--:|\n{''.join(rows)}"


def _marked(line: tuple[str, ...]) -> tuple[str, ...]:
    return (f"`{line[0]}`" if line[0] != "all" else "**all**", *line[1:])


def gains() -> str:
    """The gain that is found in 8 of 10 cases, by queries, seeds and mixtures."""
    numbers = "".join(f" {number:,} |" for number in QUERIES)
    text = f"| seeds | mixtures |{numbers}\n|--:|--:|{'--:|' * len(QUERIES)}\n"
    for seeds in SEEDS:
        for mixtures in MIXTURES:
            found = (least_gain(Design(queries, seeds, mixtures)) for queries in QUERIES)
            cells = " | ".join(f"{gain:.3f}" if gain < 1 else "none" for gain in found)
            text += f"| {seeds} | {mixtures} | {cells} |\n"
    return text


def pages() -> dict[Path, str]:
    """The documents, with what is between their marks made anew."""
    parts = {
        "architecture.md": f"```text\n{picture()}```\n",
        "artifacts.md": tables(),
        "cluster.md": cluster(),
        "commands.md": commands(),
        "evaluation.md": gains(),
    }
    return {DOCS / name: _filled((DOCS / name).read_text(encoding="utf-8"), part) for name, part in parts.items()}


def _filled(page: str, part: str) -> str:
    before, begin, rest = page.partition("<!-- made by docs/generated.py -->\n")
    _, end, after = rest.partition("<!-- end -->\n")
    return f"{before}{begin}\n{part}\n{end}{after}"


if __name__ == "__main__":
    for path, page in pages().items():
        path.write_text(page, encoding="utf-8")

"""The picture of which folder of tdro/ imports which: ``python docs/imports.py`` prints it.

It stands in docs/architecture.md, and tests/unit/test_house.py holds the order.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "tdro"
#: Folders and single modules of the package, each of which imports only those before it.
ORDER = [
    *("errors", "formats", "progress", "artifacts", "config", "text", "readers", "data", "models", "retrieval"),
    *("mining", "mixtures", "training", "dro", "evaluation", "asking", "report", "cli", "pipeline", "__main__"),
]


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
    names = [name for name in ORDER if name in there and name != "__main__"]
    lines = []
    for number, name in enumerate(names):
        cells = (f"{column:2}" if (name, below) in arrows else " ." for column, below in enumerate(names[:number], 1))
        lines.append(" ".join([f"{number + 1:2} {name:10}", *cells]).rstrip())
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(picture(), end="")

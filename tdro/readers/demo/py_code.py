"""Python's standard library: first paragraph of a docstring -> the function without it."""

import ast
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from tdro.readers.base import Passage, Row
from tdro.readers.demo.cleaning import tidy

_NOT_THE_LIBRARY = {"site-packages", "dist-packages", "test", "tests", "idle_test", "lib2to3", "__pycache__"}


def read() -> Iterator[Row]:
    """Yield a row a documented function of the running interpreter's standard library."""
    folder = Path(sysconfig.get_path("stdlib"))
    for path in sorted(folder.rglob("*.py")):
        if not _NOT_THE_LIBRARY & set(path.relative_to(folder).parts):
            try:
                yield from functions(path.read_text(encoding="utf-8"))
            except (SyntaxError, UnicodeDecodeError):
                continue  # some interpreters ship broken files on purpose, to test their own tools


def functions(source: str) -> Iterator[Row]:
    """Rows of one module, in the order of the source. Nested functions count as well."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or len(node.body) < 2:
            continue
        docstring = ast.get_docstring(node)
        if docstring:
            # Unparsing drops comments and keeps the code apart from its docstring.
            node.body = node.body[1:]
            yield Row(tidy(docstring.split("\n\n")[0]), [Passage(ast.unparse(node))])

"""Which code and libraries make a result: a digest of the modules that a stage imports, and versions.

A training that goes on compares them with those of its checkpoint. Of every finished output an empty file notes them,
whose place says which they are, so that the start of a run lists a few folders instead of opening every result:

    results/.versions/{command}/{version}/version.json        what {version} stands for
    results/.versions/{command}/{version}/made/{output}       one for each output
"""

import ast
import hashlib
import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from tdro.artifacts.files import read_note, write_json

#: Libraries that may change a result, by the name they are imported by, with the packages that provide them.
LIBRARIES = {
    "accelerate": ["accelerate"],
    "bm25s": ["bm25s"],
    "faiss": ["faiss-cpu", "faiss-gpu", "faiss-gpu-cu12"],
    "jieba": ["jieba"],
    "mteb": ["mteb"],
    "numpy": ["numpy"],
    "peft": ["peft"],
    "polars": ["polars"],
    "pytrec_eval": ["pytrec-eval-terrier"],
    "scipy": ["scipy"],
    "sentence_transformers": ["sentence-transformers"],
    "simhash": ["simhash"],
    "torch": ["torch"],
    "transformers": ["transformers"],
}
# What stands behind another.
_BEHIND = {"sentence_transformers": ("torch", "transformers"), "transformers": ("torch",), "accelerate": ("torch",)}

# What these say reaches a stage as settings and paths, which are compared as such; a new key must not end a training.
_SECTIONS = ("commands", "data", "mining", "models", "registry", "schema", "sections", "training")
_SETTINGS = {f"tdro.config.{name}" for name in _SECTIONS}
_SETTINGS |= {"tdro.errors", "tdro.artifacts.layout", "tdro.artifacts.versions"}
# What the package offers to other programs is no part of a stage, nor is the package's own number.
_SETTINGS.add("tdro")

_ROOT = Path(__file__).parents[2]


class Version(NamedTuple):
    """What made a result.

    Attributes:
        code: Digest of the modules, without comments and docstrings.
        libraries: Version of each library that they import; None where it is not installed.
    """

    code: str
    libraries: dict[str, str | None]

    @property
    def key(self) -> str:
        """A short name."""
        return hashlib.sha256(json.dumps(self, sort_keys=True).encode()).hexdigest()[:12]


class _Module(NamedTuple):
    digest: str
    imports: set[str]


def of_stage(module: str) -> Version:
    """The version of a stage, named by its module, such as ``tdro.training.train``."""
    return _version({module}, "")


def of_command(run: Callable) -> Version:
    """The version of a command, by the function that runs it and imports its stage."""
    tree = ast.parse(_file(run.__module__).read_bytes())
    function = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == run.__name__)
    function.decorator_list = []  # options and their help make no result
    return _version(_imports(function), _digest(function))


def difference(made: Version, now: Version, *, libraries: bool = True) -> list[str]:
    """What tells two versions apart, in words; a library that is not installed here is not compared."""
    code = ["the code"] if made.code != now.code else []
    both = [(name, old, now.libraries.get(name)) for name, old in made.libraries.items() if libraries]
    return code + [f"{name} {old} (now {new})" for name, old, new in both if old and new and old != new]


def note(folder: Path, command: str, made_by: Version, output: Path) -> None:
    """Note what made ``output``; an output outside the working folder is none of a run's."""
    if output.is_absolute() or ".." in output.parts:
        return
    here = folder / command / made_by.key
    if not (here / "version.json").is_file():
        write_json(here / "version.json", made_by._asdict())
    place = here / "made" / output
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()
    for other in (folder / command).iterdir():
        if other != here:
            (other / "made" / output).unlink(missing_ok=True)


def noted(folder: Path) -> Iterator[tuple[str, Version, Path]]:
    """Command, version and folder of notes of each version that results were made by."""
    for file in sorted(folder.glob("*/*/version.json")):
        if note := read_note(file):
            yield file.parent.parent.name, Version(**note), file.parent / "made"


def outputs(notes: Path) -> Iterator[str]:
    """Outputs noted there that still exist."""
    for file in sorted(notes.rglob("*")):
        if file.is_file() and (output := file.relative_to(notes)).exists():
            yield str(output)


def _version(roots: set[str], start: str) -> Version:
    modules = _closure(roots)
    digests = [f"{name} {_module(name).digest}" for name in sorted(modules)]
    found = {name.partition(".")[0] for module in modules for name in _module(module).imports}
    found = {name for name in found if name in LIBRARIES}
    found |= {behind for name in found for behind in _BEHIND.get(name, ())}
    code = hashlib.sha256("\n".join([start, *digests]).encode()).hexdigest()[:16]
    return Version(code, {name: _installed(name) for name in sorted(found)})


def _closure(roots: set[str]) -> set[str]:
    """Our modules that the roots import, over any number of steps."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found | _SETTINGS or not name.startswith("tdro") or not _file(name).is_file():
            continue
        found.add(name)
        waiting += [*_module(name).imports, name.rpartition(".")[0]]
    return found


def _file(name: str) -> Path:
    path = _ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _module(name: str) -> _Module:
    file = _file(name)
    tree = ast.parse(file.read_bytes())
    pages = [hashlib.sha256(page.read_bytes()).hexdigest() for page in sorted(file.parent.glob("*.j2"))]
    return _Module(_digest(tree) + "".join(pages), _imports(tree))


def _imports(tree: ast.AST) -> set[str]:
    """Names of the modules that are imported anywhere in ``tree``; of a folder that it chooses in by name, all."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "import_module":
            name: Any = node.args[0]  # f"tdro.readers.base.{name}"
            folder = name.values[0].value.rstrip(".")
            found |= {f"{folder}.{file.stem}" for file in _file(folder).parent.glob("*.py")}
    return found


def _digest(tree: ast.AST) -> str:
    return hashlib.sha256("\0".join(_words(tree)).encode("utf-8", "surrogatepass")).hexdigest()


def _words(node: ast.AST) -> Iterator[str]:
    """The tree as words, without docstrings, what a schema says and what is empty: newer Pythons have more of that."""
    yield type(node).__name__
    for name, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        if name == "body" and children and _is_docstring(children[0]):
            children = children[1:]
        for child in children:
            if isinstance(child, ast.keyword) and child.arg == "says":
                continue
            if isinstance(child, ast.AST):
                yield f"{name}("
                yield from _words(child)
                yield ")"
            elif child is not None:
                yield f"{name}={child!r}"


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@cache
def _installed(name: str) -> str | None:
    """Version of a library, without what it was built for (`+cpu`)."""
    for package in LIBRARIES[name]:
        try:
            return version(package).partition("+")[0]
        except PackageNotFoundError:
            continue
    return None

"""Small files: notes of the workflow, digests, pages and tables that are texts already, rankings in TREC's format."""

from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path

import yaml
from rich.console import RenderableType
from rich.markdown import Markdown
from rich.text import Text

from tdro.artifacts import strictyaml
from tdro.artifacts.files import read_json
from tdro.errors import UserError
from tdro.formats import count
from tdro.report.show.drawing import table
from tdro.report.show.peek import USUAL
from tdro.report.show.view import Asked, View


def project(path: Path, asked: Asked) -> View:
    """The registry that the results belong to, and the source of each dataset."""
    content = read_json(path)
    shown = table("dataset", "source", left=("source",))
    for name, source in content["datasets"].items():
        shown.add_row(name, ", ".join(f"{key} {value}" for key, value in source.items() if key != "sha256"))
    return View([Text(f"registry {content['registry']}"), shown], content)


def version(path: Path, asked: Asked) -> View:
    """Which code and which libraries made the outputs that are listed beside the file."""
    content, made = read_json(path), path.parent / "made"
    outputs = sorted(str(one.relative_to(made)) for one in made.rglob("*") if one.is_file())
    shown = table("library", "version", left=("version",))
    for name, one in content["libraries"].items():
        shown.add_row(name, one or "not installed")
    shown_outputs = outputs[: asked.rows or USUAL]
    said = f"It made {count(len(outputs))} outputs, {count(len(shown_outputs))} of them:"
    parts: list[RenderableType] = [Text(f"code {content['code']}"), shown, Text(said), Text("\n".join(shown_outputs))]
    return View(parts, content | {"outputs": outputs})


def exported(path: Path, asked: Asked) -> View:
    """Rows in a form that other programs train on: what the folder says of each task."""
    about = strictyaml.read_file(path / "about.yaml").values
    files = sorted(one.name for one in path.iterdir() if one.name != "about.yaml" and not one.name.startswith("."))
    return View([Text(_yaml(about)), Text(f"files: {', '.join(files)}", "dim")], {"about": about, "files": files})


def digest(path: Path, asked: Asked) -> View:
    """What tells the content of the Parquet file beside it."""
    said = path.read_text(encoding="utf-8").strip()
    return View([Text(f"{said}\nSHA-256 of columns and rows of {path.stem}.parquet")], {"digest": said})


def mark(path: Path, asked: Asked) -> View:
    """A mark of the workflow: an empty file whose name says what a run has passed."""
    return View([Text(f"A run has passed the point `{path.name}`.")], {"passed": path.name})


def markdown(path: Path, asked: Asked) -> View:
    """Markdown, laid out on a terminal, as it is elsewhere."""
    text = _text(path)
    return View([Text(text) if asked.whole else Markdown(text)], {"text": text})


def text(path: Path, asked: Asked) -> View:
    """A text as it is."""
    return View([Text(_text(path))], {"text": _text(path)})


def page(path: Path, asked: Asked) -> View:
    """The headings of a page; the page itself belongs in a browser."""
    reader = _Headings()
    reader.feed(_text(path))
    lines = [Text("  " * (level - 1) + said, "bold" if level < 3 else "") for level, said in reader.found]
    where = Text(f"Open it in a browser: {path.absolute().as_uri()}", "cyan")
    return View([*lines, where], {"headings": [said for _, said in reader.found]})


def run(path: Path, asked: Asked) -> View:
    """Rankings in TREC's format: query, passage, rank, score; of a folder those of each file."""
    files = sorted(path.glob("*.trec")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path} holds no rankings; evaluate with `evaluation.run_files`.")
    shown, rows = table("query", "passage", "rank", "score", left=("passage",)), []
    for file in files:
        rows += list(_ranked(file, asked))
    for query, passage, rank, score in rows:
        shown.add_row(query, passage, rank, score)
    return View([shown], {"rows": [dict(zip(("query", "passage", "rank", "score"), row, strict=True)) for row in rows]})


def _ranked(file: Path, asked: Asked) -> Iterator[tuple[str, str, str, str]]:
    first, number = (asked.row, 1) if asked.row is not None else (0, asked.rows or USUAL)
    with file.open(encoding="utf-8") as lines:
        for line in islice(lines, first, first + number):
            query, _, passage, rank, score, *_ = line.split()
            yield query, passage, rank, score


def _yaml(values: dict) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


class _Headings(HTMLParser):
    """Collects the headings of a page with their levels."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, str]] = []
        self._inside = False

    def handle_starttag(self, tag, attrs):
        """Begin a heading."""
        if tag in ("h1", "h2", "h3"):
            self._inside = True
            self.found.append((int(tag[1]), ""))

    def handle_endtag(self, tag):
        """End it."""
        if tag in ("h1", "h2", "h3"):
            self._inside = False

    def handle_data(self, data):
        """Take its text."""
        if self._inside:
            level, said = self.found[-1]
            self.found[-1] = level, said + data

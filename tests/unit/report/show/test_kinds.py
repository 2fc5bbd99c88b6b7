"""Every artifact has a view: those of the schemas, of docs/artifacts.md and of the layout."""

import inspect
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from everyartifact import BENCHMARK, MIXTURE, MODEL, SEED, as_json

from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import EDGES
from tdro.errors import UserError
from tdro.report.show.kinds import KINDS, kind_of, known
from tdro.report.show.output import plain
from tdro.report.show.show import show
from tdro.report.show.view import Asked

DOCUMENT = Path(__file__).parents[4] / "docs/artifacts.md"
#: What stands for the names in a path of docs/artifacts.md.
NAMES = {
    "RUN": f"results/{MODEL}/seed{SEED}",
    "{kind}/{name}.{hash}": "package/data==1.abc",
    "{model}.seed{seed}.{mixture}": f"{MODEL}.seed{SEED}.{MIXTURE}",
    "{task}": "code",
    "{mixture}": MIXTURE,
    "{course}": "tdro",
    "{model}": MODEL,
    "{corpus}": BENCHMARK,
    "{part}": "1of2",
    "{name}": "bm25",
    "{form}": "flagembedding",
}
#: The same of the arguments of the layout's methods.
ARGUMENTS = {
    "task": "code",
    "benchmark": BENCHMARK,
    "dataset": BENCHMARK,
    "model": MODEL,
    "seed": SEED,
    "mixture": MIXTURE,
    "name": "bm25",
    "corpus": BENCHMARK,
    "gate": "prepared",
    "form": "flagembedding",
    "key": "package/data==1.abc",
    "part": "1of2",
}
#: Arguments that are not the same for all methods.
OWN = {
    "task": {"file": "train.parquet"},
    "held_out": {"file": "corpus.parquet"},
    "benchmark": {"file": "corpus.parquet"},
    "run": {"file": "tdro/trajectory.parquet"},
    "experts": {"file": "law.json"},
    "dev_pool": {"dataset": "code"},
}
#: Not the place of an artifact, but a name, and all places once more.
NO_PLACE = {"evaluated", "handed_on"}


def documented() -> list[str]:
    """The paths in bold of docs/artifacts.md, without those that say where another file lies."""
    bold = re.findall(r"\*\*(.*?)\*\*", DOCUMENT.read_text(encoding="utf-8"))
    paths = [path for text in bold for path in re.findall(r"`([^`\s]+)`", text)]
    return sorted({path for path in paths if "/" in path and "{benchmark}/queries" not in path})


def shown(path: Path) -> str:
    """What is printed of a file; and it is something, as JSON, too."""
    view = show([path], Asked())
    assert as_json(view)["content"] not in (None, {}, [])
    text = plain(view)
    assert text.strip() and max(map(len, text.splitlines())) <= 120
    return text


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.file[:60])
def test_each_schema_is_told_by_its_columns(tmp_path, edge):
    schema = pa.schema([(column.name, column.type) for column in edge.columns])
    pq.write_table(schema.empty_table(), tmp_path / "any-name.parquet")
    kind = kind_of(tmp_path / "any-name.parquet")
    assert schema.names in [one.names for one in kind.columns]


@pytest.mark.parametrize("path", documented())
def test_each_file_of_the_document_has_a_view(layout, path):
    for name, value in NAMES.items():
        path = path.replace(name, value)
    for benchmark in ("code", BENCHMARK):
        file = Path(layout.results).parent / path.replace("{dataset}", benchmark).replace("{benchmark}", BENCHMARK)
        if file.exists():
            break
    shown(file)


@pytest.mark.parametrize("name", [name for name in dir(Layout) if name[0] != "_" and name not in NO_PLACE])
def test_each_place_of_the_layout_has_a_view(layout, name):
    place = getattr(layout, name)
    if callable(place):
        arguments = {key: (ARGUMENTS | OWN.get(name, {})).get(key) for key in inspect.signature(place).parameters}
        if name == "digest":
            arguments["file"] = layout.task("code", "corpus.parquet")
        if name == "part":
            arguments["rankings"] = layout.rankings(MODEL, SEED, MIXTURE, BENCHMARK)
        place = place(**arguments)
    for path in [place] if isinstance(place, str) else place:
        shown(Path(path))


def test_each_kind_is_in_the_made_folder(layout):
    """So that the tests above have seen all of them."""
    there = {kind.name for path in Path(layout.results).rglob("*") if (kind := known(path))}
    assert there >= {kind.name for kind in KINDS}


def test_a_stranger_is_told_what_there_is(tmp_path):
    pq.write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "x.parquet")
    (tmp_path / "x.json").write_text('{"key": 1}')
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "x.yaml").write_text("a: 1")
    for name, said in (("x.parquet", "columns are a, b"), ("x.json", "keys are key"), ("list.json", "no JSON object")):
        with pytest.raises(UserError, match=f"{said}.*it knows weights, corpus"):
            kind_of(tmp_path / name)
    with pytest.raises(UserError, match="it knows weights, corpus"):
        kind_of(tmp_path / "x.yaml")

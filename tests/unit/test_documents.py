"""What documents name is there: files, links with their headings, modules and what stands in them."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest
import yaml

import tdro

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *ROOT.glob("*.md"), *ROOT.glob("config/*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("resources/**/*.md")
]  # fmt: skip
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
#: Files of ours, links, and modules with a name that they define: ``tdro.mining.ranks.nearest``.
FILE = re.compile(
    r"`((?:tests|tdro|workflow|benchmarks|resources|docs)/[a-z0-9_/.-]+\.(?:py|smk|sh|json|csv|yaml|md))`"
)
LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]*))?\)")
NAME = re.compile(r"`(tdro\.[A-Za-z_.]+)(?:\(\))?`")


def headings(document: Path) -> set[str]:
    """The ends of links to a document's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.*)", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def defined(name: str) -> bool:
    """Whether a dotted name is a module, or stands in one; keys of the configuration (``tdro.steps``) always are."""
    place, parts = ROOT / "tdro", name.split(".")[1:]
    if not (place / parts[0]).is_dir() and not (place / f"{parts[0]}.py").is_file():
        return True
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if not parts:
        return True
    file = place / f"{parts.pop(0)}.py"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return bool(text) and all(re.search(rf"^ *(?:def |class )?{part}\b", text, re.MULTILINE) for part in parts)


@each_document
def test_what_a_document_names_is_there(document):
    text = document.read_text(encoding="utf-8")
    missing = [file for file in FILE.findall(text) if not (ROOT / file).exists()]
    for link, heading in LINK.findall(text):
        target = document.parent / link if link else document
        if not target.exists() or (heading and heading not in headings(target)):
            missing.append(f"{link}#{heading}")
    missing += [name for name in NAME.findall(text) if not defined(name)]
    assert not missing


@each_document
def test_tables_are_whole(document):
    """Every table starts with its head: a row after an empty line would be plain text."""
    text = document.read_text(encoding="utf-8")
    # What a command prints may look like one.
    lines = re.sub(r"^```text\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL).splitlines()
    for number, line in enumerate(lines[1:], start=1):
        if line.startswith("|") and not lines[number - 1].startswith("|"):
            assert re.fullmatch(r"[|\s:-]+", lines[number + 1]), f"{document}: {line}"


def test_every_page_has_its_place_in_the_site():
    """`make docs` tells it, too, and much more, but needs mkdocs."""
    nav = re.findall(r"^ +- .*: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    outside = runpy.run_path(str(ROOT / "docs/sitepages.py"))["OUTSIDE"]
    inside = {path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")}
    assert sorted(nav) == sorted({*inside, *outside.values()}), "every page has one line below `nav` in mkdocs.yml"
    assert {path.relative_to(ROOT).as_posix() for path in DOCUMENTS} == {*outside, *(f"docs/{page}" for page in inside)}


def test_every_diagram_has_its_picture():
    drawn = runpy.run_path(str(ROOT / "docs/diagrams.py"))
    assert drawn["diagrams"]().keys() == {path.stem for path in drawn["PICTURES"].glob("*.svg")}, (
        "python docs/diagrams.py draws them"
    )


def test_who_cites_the_project_names_its_version_and_licence():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (str(cited["version"]), cited["license"]) == (tdro.__version__, project["license"])

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *ROOT.glob("config/*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("resources/*.md")]
#: Files of ours that documents name, and what they link to.
NAMED = re.compile(
    r"`((?:tests|tdro|workflow|benchmarks|resources)/[a-z0-9_/.-]+\.(?:py|smk|sh|json|csv|yaml))`|\]\(([^)#:]+)(?:#[^)]*)?\)"
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_a_document_names_are_there(document):
    named = NAMED.findall(document.read_text(encoding="utf-8"))
    missing = [file or link for file, link in named if not (ROOT / file if file else document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_tables_are_whole(document):
    """Every table starts with its head: a row after an empty line would be plain text."""
    lines = document.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines[1:], start=1):
        if line.startswith("|") and not lines[number - 1].startswith("|"):
            assert re.fullmatch(r"[|\s:-]+", lines[number + 1]), f"{document}, line {number + 1}"

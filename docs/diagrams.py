"""Draws the diagrams of the documents for the site: ``python docs/diagrams.py``. Only a changed diagram needs it.

It wants npm, which fetches mermaid once, and chromium, which runs it. Pictures of diagrams that are gone are removed.
"""

import hashlib
import html
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs/images/diagrams"
MERMAID = "mermaid@11.17.2"
PAGE = """<!doctype html><meta charset="utf-8"><body><script src="package/dist/mermaid.min.js"></script><script>
mermaid.initialize({startOnLoad: false, flowchart: {htmlLabels: false, useMaxWidth: false}});
mermaid.render("%s", %s).then(({svg}) => { document.body.innerHTML = svg; });
</script></body>"""


def diagrams() -> dict[str, str]:
    """Texts of all diagrams, by the name of their picture (``picture`` of docs/sitehooks.py)."""
    found = {}
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for text in re.findall(
            r"^```mermaid\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        ):
            found[hashlib.sha256(text.strip().encode()).hexdigest()[:12]] = text
    return found


def draw(name: str, text: str, folder: Path) -> str:
    """A diagram as SVG, with identifiers of its own, since a page may hold several."""
    page = folder / f"{name}.html"
    page.write_text(PAGE % (f"d{name}", json.dumps(text)), encoding="utf-8")
    line = ["chromium", "--headless", "--no-sandbox", "--virtual-time-budget=20000", "--dump-dom", page.as_uri()]
    printed = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    found = re.search(rf'<svg id="d{name}".*</svg>', printed, re.DOTALL)
    if found is None:
        sys.exit(f"mermaid drew nothing of the diagram that begins with {html.escape(text[:60])!r}")
    svg = re.sub(r' data-points="[^"]*"', "", found[0])
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", svg)


def main() -> None:
    """Draw what has no picture yet."""
    wanted = diagrams()
    PICTURES.mkdir(parents=True, exist_ok=True)
    there = {path.stem: path for path in PICTURES.glob("*.svg")}
    for name in there.keys() - wanted.keys():
        there[name].unlink()
    missing = wanted.keys() - there.keys()
    if not missing:
        return
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["npm", "pack", "--silent", MERMAID], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        (packed,) = Path(scratch).glob("*.tgz")
        subprocess.run(["tar", "xzf", packed.name, "package/dist/mermaid.min.js"], cwd=scratch, check=True)
        for name in missing:
            (PICTURES / f"{name}.svg").write_text(draw(name, wanted[name], Path(scratch)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

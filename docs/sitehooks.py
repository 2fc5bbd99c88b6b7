"""What makes a site of the documents, which are written for a plain view of the repository (``hooks`` of mkdocs.yml).

Pages outside docs/, such as README.md, become pages of the site; links lead from page to page, and to copies of other
files of the repository. Formulas become MathML, and diagrams the pictures that docs/diagrams.py has drawn.
"""

import hashlib
import html
import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, join, normpath, relpath

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from sitepages import COPIES, OUTSIDE, four_spaces, outside_fences, site_name

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs/images/diagrams"
_LINK = re.compile(r"(\]\()([^)#:\s]*)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside docs/, and what any page links to and is no page."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for source in _sources(files):
        for target in _linked(source):
            if site_name(target).startswith(COPIES) and not files.get_file_from_path(site_name(target)):
                files.append(File.generated(config, site_name(target), abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files of the repository into links of the site, and lists into those that Python-Markdown reads."""
    source = relpath(page.file.abs_src_path, ROOT)
    here = dirname(page.file.src_uri)

    def linked(found: re.Match) -> str:
        if not found[2]:
            return found[0]
        target = normpath(join(dirname(source), found[2]))
        return f"{found[1]}{relpath(site_name(target), here or '.')}{found[3]}"

    parts = outside_fences(markdown)
    return four_spaces("".join(_fence(text) if fenced else _LINK.sub(linked, text) for text, fenced in parts))


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put in formulas as MathML, which browsers draw without a script, and the pictures of diagrams."""

    def drawn(found: re.Match) -> str:
        display = "block" if found[1] == "div" else "inline"
        return convert(html.unescape(found[2]).strip(), display=display)

    def pictured(found: re.Match) -> str:
        return f'<div class="diagram">{(PICTURES / found[1]).read_text(encoding="utf-8")}</div>'

    content = re.sub(r'<div class="diagram" id="([\w.]+)"></div>', pictured, content)
    return re.sub(r'<(div|span) class="arithmatex">\\[\[(](.*?)\\[\])]</\1>', drawn, content, flags=re.DOTALL)


def _fence(text: str) -> str:
    """A block of code as it is, but in the place of a diagram the name of its picture, which follows from its text."""
    if not (found := re.fullmatch(r"```mermaid\n(.*)```", text, flags=re.DOTALL)):
        return text
    name = hashlib.sha256(found[1].strip().encode()).hexdigest()[:12] + ".svg"
    if not (PICTURES / name).exists():
        raise PluginError(f"a diagram that begins with {found[1][:60]!r} has no picture; run `python docs/diagrams.py`")
    return f'<div class="diagram" id="{name}"></div>'


def _sources(files: Files) -> Iterator[str]:
    yield from (relpath(file.abs_src_path, ROOT) for file in files.documentation_pages())


def _linked(source: str) -> Iterator[str]:
    """Files of the repository that a page links to."""
    for text, fenced in outside_fences((ROOT / source).read_text(encoding="utf-8")):
        for _, link, _ in () if fenced else _LINK.findall(text):
            if link:
                yield normpath(join(dirname(source), link))

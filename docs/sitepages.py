"""Where files of the repository lie on the site, and lists as the site's Markdown wants them.

It needs nothing but Python, so that a test can import it.
"""

import re
from collections.abc import Iterator

#: Pages that lie outside docs/, by the name that they have on the site.
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "config/README.md": "configuration.md",
    "resources/SOURCES.md": "sources.md",
    "resources/released_weights/README.md": "released_weights.md",
}
#: Where copies of other files lie.
COPIES = "files"
_ITEM = re.compile(r"(\d+\.|-) +")


def site_name(path: str) -> str:
    """The name that a file of the repository has on the site."""
    if path in OUTSIDE:
        return OUTSIDE[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{COPIES}/{path}"


def outside_fences(markdown: str) -> Iterator[tuple[str, bool]]:
    """Parts of a text, and whether each is a fenced block of code."""
    for part in re.split(r"(^ *```.*?^ *```$)", markdown, flags=re.MULTILINE | re.DOTALL):
        yield part, part.lstrip().startswith("```")


def four_spaces(markdown: str) -> str:
    """Lists as Python-Markdown reads them, with four spaces below an item and an empty line where a paragraph was.

    The documents are written by CommonMark, which wants as many spaces as the mark of the item takes, and no such line.
    """
    lines: list[str] = []
    more, loose, fenced = None, False, False
    for line in markdown.splitlines():
        if not fenced and (found := _ITEM.match(line)):
            if lines and lines[-1].strip() and (loose or more is None):
                lines.append("")
            more, loose = 4 - len(found[0]), False
            lines.append(line)
            continue
        if line.strip() and not line.startswith("  ") and not fenced:
            more = None
        fenced ^= line.lstrip().startswith("```")
        loose = loose or (more is not None and not line.strip())
        lines.append(" " * more + line if more and line.strip() else line)
    return "\n".join(lines) + "\n"

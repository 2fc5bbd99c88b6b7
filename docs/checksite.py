"""Checks that the built site asks no other machine for anything, and that what its pages load is there.

``python docs/checksite.py site`` is the last step of ``make docs``. Links that a reader clicks may lead elsewhere.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Attributes by which an element of a page loads something at once.
LOADS = {"src", "srcset", "poster", "data", "xlink:href"}
#: Relations of a <link> that load nothing.
IDLE = {"canonical", "next", "prev", "alternate", "license"}
_URL = re.compile(r"""url\(\s*['"]?([^'")]+)|@import\s+['"]([^'"]+)""")


class Loads(HTMLParser):
    """Collects the addresses that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at an element."""
        values = {name: value or "" for name, value in attrs}
        if tag == "link" and not IDLE.intersection(values.get("rel", "").split()):
            self.found.append(values.get("href", ""))
        self.found += [values[name] for name in LOADS & values.keys()]
        self.found += _of_styles(values.get("style", ""))

    def handle_data(self, data: str) -> None:
        """Look into styles that stand in the page."""
        if self.lasttag == "style":
            self.found += _of_styles(data)


def _of_styles(text: str) -> list[str]:
    return [one or other for one, other in _URL.findall(text)]


def complaints(site: Path) -> Iterator[str]:
    """What pages and styles of a site load from elsewhere, or from nowhere."""
    for file in sorted([*site.rglob("*.html"), *site.rglob("*.css")]):
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".css":
            found = _of_styles(text)
        else:
            (page := Loads()).feed(text)
            found = page.found
        for address in found:
            parts = urlsplit(address)
            if parts.scheme in ("http", "https") or parts.netloc:
                yield f"{file.relative_to(site)} loads {address} from another machine"
            elif parts.path and not parts.scheme and not _there(site, file, unquote(parts.path)):
                yield f"{file.relative_to(site)} loads {address}, which is not there"


def _there(site: Path, file: Path, path: str) -> bool:
    return (site / path.lstrip("/") if path.startswith("/") else file.parent / path).exists()


if __name__ == "__main__":
    found = list(complaints(Path(sys.argv[1])))
    sys.exit("\n".join(found) if found else 0)

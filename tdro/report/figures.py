"""How figures look: inline SVG that follows the page's colours, in light and in dark.

The same data gives the same bytes: identifiers are salted with the figure's name, and no date is
stored. Text stays text, so that it can be searched, copied and read at any size.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

# Colours that stand for the page's own; they occur nowhere else.
INK, MUTED, LINE = "#010203", "#707172", "#d0d1d2"
_PAGE_COLOURS = {INK: "currentColor", MUTED: "var(--muted)", LINE: "var(--line)"}
# Hues of middle lightness, legible on white and on near-black; line styles and markers tell repeats apart.
HUES = ("#3a82c8", "#d5742a", "#2e9a6c", "#c9507f", "#8a6cd4", "#a98a1c", "#1c9ab4", "#b3603c")
# Width in inches of a figure that a phone shows without scrolling: its text has the size of the page's notes there.
PHONE = 4.6
STYLES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")

_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "font.size": 10,
    "font.family": "sans-serif",
    "axes.labelsize": 9.5,
    "axes.titlesize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
}


def look(number: int, repeats: tuple[str, ...]) -> tuple[str, str]:
    """A hue, and what tells its repeats apart."""
    return HUES[number % len(HUES)], repeats[number // len(HUES) % len(repeats)]


@contextmanager
def figure(name: str, width: float, height: float) -> Iterator[tuple[Figure, list[Markup]]]:
    """Yield a figure, and a list that receives its SVG once it is drawn."""
    svg: list[Markup] = []
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": f"tdro-{name}"}):
        drawn = Figure(figsize=(width, height), layout="constrained")
        yield drawn, svg
        svg.append(Markup(_svg(drawn)))


def twice(
    name: str, draw: Callable[[Figure, bool], None], *, wide: tuple[float, float], narrow: tuple[float, float]
) -> Markup:
    """The same figure for a page and for a phone, of which the stylesheet shows one.

    Args:
        name: Of the figure.
        draw: Draws it; told whether it is for a phone.
        wide: Width and height in inches.
        narrow: The same of the one for a phone, which is shown as wide as the screen.
    """
    shown = Markup()
    for form, size in (("wide", wide), ("narrow", narrow)):
        with figure(f"{name}-{form}", *size) as (drawing, svg):
            draw(drawing, form == "narrow")
        shown += Markup('<div class="{}">{}</div>\n').format(form, svg[0])
    return shown


def _svg(figure: Figure) -> str:
    """The figure as an SVG element without prolog, size or unused identifiers."""
    buffer = StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight", pad_inches=0.04)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1), count=1
    )
    referenced = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in referenced else "", text)
    for colour, own in _PAGE_COLOURS.items():
        text = text.replace(colour, own)
    return text.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "").replace("xlink:href", "href")


def shortened(text: str, length: int) -> str:
    """A name that is not longer than ``length`` characters."""
    return text if len(text) <= length else text[: length - 3] + "..."

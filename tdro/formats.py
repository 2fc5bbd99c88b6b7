"""How figures and texts of others are written, in the terminal and on the page."""

import re
from collections.abc import Collection

# What a terminal or a page obeys instead of showing it: control characters but tab and line feed, signs that turn the
# direction of all that follows, other ends of a line, and what UTF-8 cannot hold.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Who logs in at an address.
_LOGIN = re.compile(r"(?<=://)[^/\s@'\"]+@")
# Characters of a line that is told, and those of its end, where the way out stands.
_MOST_TOLD, _END_TOLD = 2000, 500

#: What readers call the metrics.
METRIC_NAMES = {
    "ndcg_at_10": "nDCG@10",
    "mrr_at_10": "MRR@10",
    "recall_at_100": "Recall@100",
    "acc_at_100": "Acc@100",
    "acc_at_20": "Acc@20",
    "acc_at_10": "Acc@10",
}


def signed(value: float) -> str:
    """A difference: ``+0.012``."""
    return f"{value:+.3f}"


def probability(p: float) -> str:
    """A p-value: ``p 0.012``, ``p <0.001``."""
    return f"p {p:.3f}" if p >= 0.001 else "p <0.001"


def cut(text: str, length: int = 220) -> str:
    """A text that is not longer than ``length``."""
    return text if len(text) <= length else text[: length - 3].rstrip() + "..."


def quoted(text: str, length: int = 60) -> str:
    """The beginning of a text in one line, as a sentence quotes it."""
    line = " ".join(text.split())
    return repr(line if len(line) <= length else f"{line[:length]}...")


def visible(text: str) -> str:
    r"""A text in which nothing is hidden: signs that a terminal or a page would obey are written as escapes.

    >>> print(visible("a \u202etxt.exe \x1b[2J"))
    a \u202etxt.exe \x1b[2J
    """
    return text if text.isprintable() else _OBEYED.sub(lambda sign: sign[0].encode("unicode_escape").decode(), text)


def told(line: str) -> str:
    """A line of a message: visible, without the login of an address, and not longer than a person reads.

    >>> told("https://ann:secret@example.org/x cannot be read")
    'https://***@example.org/x cannot be read'
    """
    line = _LOGIN.sub("***@", visible(line))
    return line if len(line) <= _MOST_TOLD else f"{line[: _MOST_TOLD - _END_TOLD]} [...] {line[-_END_TOLD:]}"


def count(value: int) -> str:
    """A number with thousands separated: ``1,157,745``."""
    return f"{value:,}"


def trainings(cost: float) -> str:
    """What a mixture costs: ``1 training``, ``3.1 trainings``."""
    said = f"{cost:.1f}".removesuffix(".0")
    return f"{said} training{'' if said == '1' else 's'}"


def passes(value: float) -> str:
    """Passes over a dataset: ``120``, ``8.3``, ``0.05``, ``<0.01``."""
    if value >= 9.95:
        return f"{value:.0f}"
    if value >= 0.995:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.005 or value == 0 else "<0.01"


def weight(value: float) -> str:
    """A task's share: ``0.131``, ``<0.001``, ``0`` where the task is left out."""
    if not value:
        return "0"
    return f"{value:.3f}" if value >= 0.0005 else "<0.001"


def loss(value: float | None) -> str:
    """A mean loss: ``1.234``; a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"


def percent(share: float) -> str:
    """A level: ``95%``, ``99.5%``."""
    return f"{100 * share:.4g}%"


def duration(seconds: float) -> str:
    """Wall time: ``0.4 s``, ``3 min 05 s``, ``4 h 30 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def memory(megabytes: float | None) -> str:
    """Peak memory: ``512 MB``, ``1.5 GB``; a dash where it was not measured."""
    if megabytes is None:
        return "-"
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1024:.1f} GB"


def listed(items: list[str]) -> str:
    """A list in a sentence: ``a, b and c``."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def abridged(names: Collection[str], most: int) -> str:
    """The first ``most`` of some names in order, and how many there are besides: ``a, b and 7 more``."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(sorted(names)[:most]) + more


def plural(number: int, noun: str, several: str | None = None) -> str:
    """``1 seed``, ``3 seeds``; ``several`` where an s is not enough."""
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"

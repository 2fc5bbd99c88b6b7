"""The name that was probably meant."""

import difflib
from collections.abc import Iterable
from pathlib import Path


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like ``name``, whatever its case; None where none is like it."""
    by_lower = {other.lower(): other for other in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[found[0]] if found else None


def hint(name: str, known: Iterable[str]) -> str:
    """Words to go on with after an unknown name: `` (did you mean 'x'?)``, or nothing."""
    found = nearest(name, known)
    return f" (did you mean {found!r}?)" if found else ""


def path_hint(path: str | Path) -> str:
    """The same words for a path where nothing lies: what is called nearly so, beside the first part that is missing."""
    place = Path(path)
    while not place.parent.exists():
        place = place.parent
    beside = [other.name for other in place.parent.iterdir()] if place.parent.is_dir() else []
    found = difflib.get_close_matches(place.name, beside, n=1)
    return f" (did you mean {str(place.parent / found[0])!r}?)" if found else ""

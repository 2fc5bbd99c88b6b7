"""Identifiers of queries and passages: the source's own, each once, and made ones for the rest."""

import numpy as np

from tdro.data.keys import KeyRows
from tdro.text.strings import exact_key, key_array, mended


class Identifiers:
    """The source's identifiers, and ours where it has none or uses one twice."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._taken = KeyRows()

    def of(self, rows: np.ndarray, given: list[str | None]) -> list[str]:
        """Identifiers of the next rows."""
        made = [f"{self._prefix}{row}" for row in rows]
        ids = [own or other for own, other in zip(given, made, strict=True)]
        _, new = self._taken.add(key_array(map(exact_key, ids)))
        repeated = np.setdiff1d(np.arange(len(ids)), new)
        for place in repeated:
            ids[place] = made[place]
        self._taken.add(key_array(exact_key(made[place]) for place in repeated))
        return ids


def clean(given: str | None) -> str | None:
    """An identifier on one line; None where there is none."""
    return " ".join(mended(given).split()) or None if given else None

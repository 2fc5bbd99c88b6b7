"""What all forms have in common: what is told of a task, and lines of JSON."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tdro.config.registry import Prompted
from tdro.text.strings import choose


class Told(NamedTuple):
    """What a form is told of a task beside its rows.

    Attributes:
        name: Of the task.
        width: The largest number of negatives that a row has.
        prompted: Its instruction; None where nobody has said it.
        seed: Decides which of several wordings a row carries.
    """

    name: str
    width: int
    prompted: Prompted | None
    seed: int

    def instruction(self, row: int) -> str | None:
        """The wording that a query carries, as in a training with this seed (:mod:`tdro.training.batches`)."""
        if self.prompted is None:
            return None
        return self.prompted.instruction[choose(len(self.prompted.instruction), self.seed, self.name, row)]


def write_lines(path: Path, objects: Iterable[dict[str, Any]]) -> int:
    """Write JSON lines as they come, and return their number."""
    number = 0
    with path.open("w", encoding="utf-8") as file:
        for value in objects:
            file.write(json.dumps(value, ensure_ascii=False) + "\n")
            number += 1
    return number

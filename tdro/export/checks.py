"""How close an exported model's embeddings are to those of the trained one, stored and shown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tdro.artifacts.foreign import write_foreign
from tdro.errors import UserError
from tdro.report.plain import plain, plain_table

#: The cosine that an export must reach for each text, unless it is quantised.
AT_LEAST = 0.999
#: By how much the length of a vector may differ.
_SAME_LENGTH = 0.01


@dataclass(frozen=True)
class Check:
    """The comparison of one export.

    Attributes:
        format: Such as ``onnx``.
        file: What was loaded, relative to the exported folder.
        texts: How many texts were embedded.
        mean: Mean over the texts of the cosine between both embeddings.
        lowest: The lowest cosine of a text.
        length: Mean length of the exported model's embeddings, divided by that of the trained one's.
        required: The lowest cosine that passes; None where weights were quantised and the figure is only stated.
    """

    format: str
    file: str
    texts: int
    mean: float
    lowest: float
    length: float
    required: float | None = AT_LEAST

    @property
    def passed(self) -> bool:
        """Whether every text's cosine is high enough, and vectors are of the same length."""
        return self.required is None or (self.lowest >= self.required and abs(self.length - 1) <= _SAME_LENGTH)


def compare(
    format: str, file: str, expected: np.ndarray, found: np.ndarray, required: float | None = AT_LEAST
) -> Check:
    """Compare embeddings of the same texts.

    Args:
        format: What was exported.
        file: The file that gave ``found``.
        expected: Embeddings of the trained model, shape (texts, dimension).
        found: Those of the exported one.
        required: The lowest cosine that passes; None: any.

    Raises:
        UserError: when the exported model's embeddings have another number of dimensions.
    """
    if expected.shape != found.shape:
        raise UserError(
            f"{file} gives embeddings of {found.shape[-1]} numbers, the trained model {expected.shape[-1]}; it was not "
            "made of this model."
        )
    cosines, length = cosine(expected, found), _length(found) / (_length(expected) or 1.0)
    return Check(format, file, len(cosines), float(cosines.mean()), float(cosines.min()), length, required)


def cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Cosine of each pair of rows, shape (rows,); 1 where both are zero, as a static embedding has it of words that it
    does not know, and 0 where one is zero or not finite."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = np.nan_to_num((one * other).sum(axis=1) / norms, nan=0.0, posinf=0.0, neginf=0.0)
    return np.where(one.any(axis=1) | other.any(axis=1), cosines, 1.0)


def _length(rows: np.ndarray) -> float:
    return float(np.linalg.norm(rows.astype(np.float64), axis=1).mean())


def refuse_lost(checks: Sequence[Check]) -> None:
    """Raises UserError: naming the first export that does not give what the trained model gives."""
    if lost := next((check for check in checks if not check.passed), None):
        what = (
            f"a cosine of {lost.lowest:.4f} with the trained model's, where {lost.required} is asked for"
            if lost.required is not None and lost.lowest < lost.required
            else f"vectors {lost.length:.3g} times as long as the trained model's"
        )
        raise UserError(f"the export {lost.format} was not kept: {lost.file} gives {what}; export without it.")


def table(checks: Sequence[Check]) -> str:
    """The comparisons as a table for the terminal."""
    shown = plain_table()
    for heading in ("format", "file", "texts", "mean cosine", "lowest", "asked for"):
        shown.add_column(heading, justify="left" if heading in ("format", "file") else "right")
    for check in checks:
        asked = "stated only" if check.required is None else f"{check.required}"
        shown.add_row(check.format, check.file, str(check.texts), f"{check.mean:.6f}", f"{check.lowest:.6f}", asked)
    return plain(shown)


def write_checks(file: Path, checks: Sequence[Check], embeddings: Any, versions: dict[str, str]) -> None:
    """Write ``export.json``: the comparisons, the scores of shrunk embeddings, and the versions that made them."""
    formats = {check.format: {**asdict(check), "passed": check.passed} for check in checks}
    write_foreign(file, {"formats": formats, "embeddings": embeddings, "versions": versions})

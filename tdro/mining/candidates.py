"""Files of candidates: checked against their queries, and the counts that are handed on to what is made of them."""

from pathlib import Path

import pyarrow as pa

from tdro.artifacts.files import count_rows, read_counts
from tdro.errors import UserError

#: Count of the queries of a task with too few passages for the index that was asked for.
EXACT = "searched exactly, too few passages for the index"

#: Counts of texts that a model reads only in part.
CUT = {"corpus": "passages cut by the miner", "queries": "queries cut by the miner", "pairs": "pairs cut in rescoring"}


def check_candidates(candidates: Path, asked: pa.Table) -> None:
    """Raise UserError when a file of candidates has not one row a query."""
    if count_rows(candidates) != len(asked):
        raise UserError(
            f"{candidates} has candidates of {count_rows(candidates)} queries, not of {len(asked)}; search again."
        )


def carried_counts(candidates: Path) -> dict[str, int]:
    """Counts of a file of candidates that what is made of it tells on, for the report."""
    carried = (EXACT, *CUT.values())
    return {name: number for name, number in read_counts(candidates).items() if number and name in carried}

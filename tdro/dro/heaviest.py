"""Which rows moved the weight of their task most, so that a report can show their texts."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: The file's name, beside the trajectory.
HEAVIEST_ROWS = "heaviest_rows.parquet"
# Rows kept of each task.
_KEPT = 10


def heaviest_rows(plan: pa.Table, carried: np.ndarray, reference: np.ndarray) -> pa.Table:
    """The heaviest rows of every task of a plan, schema ``HEAVIEST``.

    A query with the same positive is one row, however often it was drawn.

    Args:
        plan: Table of schema ``PLAN``.
        carried: What each row of the plan added to its task's clipped measurement, shape (rows,).
        reference: Reference loss of each row of the plan, shape (rows,).
    """
    key = ["task", "query", "positive"]
    table = plan.select(key).append_column("share", pa.array(carried, pa.float64()))
    table = table.append_column("reference_loss", pa.array(reference, pa.float64()))
    rows = table.group_by(key).aggregate([("share", "sum"), ("share", "count"), ("reference_loss", "mean")])
    rows = rows.select([*key, "share_count", "reference_loss_mean", "share_sum"])
    rows = rows.rename_columns([*key, "draws", "reference_loss", "share"])
    tasks = rows["task"].unique().to_pylist()
    return pa.concat_tables([_of_task(rows.filter(pc.equal(rows["task"], task))) for task in sorted(tasks)])


def _of_task(rows: pa.Table) -> pa.Table:
    """The heaviest rows of one task, with shares of the whole; none where nothing was measured."""
    total = pc.sum(rows["share"]).as_py()
    order = [("share", "descending"), ("query", "ascending"), ("positive", "ascending")]
    kept = rows.sort_by(order).slice(0, _KEPT if total else 0)
    shares = pc.divide(kept["share"], total or 1.0)
    kept = kept.set_column(kept.schema.get_field_index("share"), "share", shares)
    return kept.append_column("rows", pa.array([rows.num_rows] * kept.num_rows, pa.int64()))

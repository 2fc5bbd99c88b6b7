"""tDRO: the weights of the tasks are learnt.

In: a mixed ``plan.parquet`` and the model of the baseline. Out: ``trajectory.parquet`` and ``heaviest_rows.parquet``.

1. ``reference`` computes the frozen baseline's loss on each row of the plan, once: ``reference.parquet``.
2. ``optimize`` trains a proxy model on the plan by the ``loss`` of its rows; after each window of batches ``update``
   moves the weights towards the tasks whose loss is high beside the reference's. ``heaviest`` keeps the rows that moved
   a weight most.
"""

"""Mixtures: which share of the training rows each task gets, and which rows those are.

``weights`` reads and writes shares as JSON; ``derive`` makes a mixture out of sizes, of the trajectory of tDRO, of the
miner's embeddings (``leverage``) or of another file. ``plan`` decides every row of every batch from weights, sizes and
a seed: ``plan.parquet``. ``draws`` says which rows of a task come next, ``repetition`` counts what is drawn more than
once. No model and no torch.

Ratios from merged experts: ``ratios`` says what is tried, ``mixinglaw`` foretells losses from those measured there,
``bestratio`` finds the ratio of the lowest, ``transfer`` which task helps which.
"""

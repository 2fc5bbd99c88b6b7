"""From raw rows to texts that are stored once, and to training rows that repeat no evaluation query.

In: what ``tdro.readers`` yields. Out: ``corpus.parquet`` and ``queries.parquet`` of each dataset, later
``train.parquet``, ``dev.parquet``, ``duplicates.parquet`` and ``leaks.parquet``.

1. ``prepare`` reads a dataset (``collection``, which asks ``spool``, ``keys``, ``identifiers`` and ``echoes``) and
   keeps queries apart, for evaluation (``heldout``) and for choices (``devrows``); ``prepare_corpus`` and
   ``prepare_queries`` read benchmarks in their own formats.
2. Negatives are mined (``tdro.mining``).
3. ``dedup`` writes training rows without near-duplicates of evaluation queries (``nearduplicates``), ``contrast`` says
   whether learning is possible from them.
4. ``leaks`` says what of the evaluation still stands in them (``containment``).
5. ``export_data`` writes them for other programs, in a form of ``exports/``.

``corpora`` reads large corpora piece by piece.
"""

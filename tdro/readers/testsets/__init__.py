"""Benchmarks in their own formats: one module a format, each a corpus and the queries that are judged in it."""

"""Small sets of dev queries, and words of a plane that they are asked in."""

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import CORPUS, DEV_POOL, QUERIES
from tdro.config.commands import DevDataset

PLANE = {"east": [1, 0], "north": [0, 1], "west": [-1, 0], "both": [1, 1], "again": [2, 2]}


def dataset(folder, queries, passages, candidates, **prompted):
    """A dataset with one dev query for each list of candidates, from the second query on."""
    folder.mkdir(exist_ok=True)
    ids = [str(n) for n in range(len(passages))]
    write_table(folder / "corpus.parquet", {"passage_id": ids, "title": [""] * len(ids), "text": passages}, CORPUS)
    empty = [[]] * (len(queries) + 1)
    columns = {"query_id": ["x", *map(str, range(len(queries)))], "query": ["not asked", *queries]}
    write_table(folder / "queries.parquet", columns | {"positives": empty, "negatives": empty}, QUERIES)
    rows = range(1, len(queries) + 1)
    write_table(folder / "dev.parquet", {"query": rows, "candidates": candidates}, DEV_POOL)
    files = {name: str(folder / f"{name}.parquet") for name in ("corpus", "queries")}
    return DevDataset(**files, candidates=str(folder / "dev.parquet"), **({"instruction": "Find it."} | prompted))

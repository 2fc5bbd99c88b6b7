"""What stands in a folder of results: its files, and what must not be among them."""

#: Files that hold times or what follows from them, and why; all others are the same after a kill, byte for byte.
OF_TIMES = {
    "report/index.html": "it shows how long jobs took and what they cost",
}
_NOTES = ".snakemake_timestamp"


def half_written(folder):
    """Files and folders below `results/` that lie under the name that something has while it is written."""
    results = folder / "results"
    return [str(path.relative_to(results)) for path in results.rglob("*") if _begun(path, results)]


def _begun(path, results):
    """Whether a part of the path is the name of something that is being written."""
    parts = path.relative_to(results).parts
    return any(part.startswith(".") and part not in (".versions", ".passed", _NOTES) for part in parts)

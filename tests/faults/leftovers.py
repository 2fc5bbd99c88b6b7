"""What stands in a folder of results: its files, and what must not be among them."""

#: Files that are others in another folder or at another time, and why; all others are the same, byte for byte.
UNEQUAL = {
    "report/index.html": "it shows how long jobs took and what they cost",
    "fetched/package/facts==1.f8433568.json": "it names the folder of the cache",
}
_NOTES = ".snakemake_timestamp"


def standing(folder):
    """Content of each file that stands below `results/` under its own name, but of those in UNEQUAL."""
    results = folder / "results"
    found = {str(path.relative_to(results)): path for path in results.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if "/." not in f"/{name}" and name not in UNEQUAL}


def half_written(folder):
    """Files and folders below `results/` that lie under the name that something has while it is written."""
    results = folder / "results"
    return [str(path.relative_to(results)) for path in results.rglob("*") if _begun(path, results)]


def _begun(path, results):
    """Whether a part of the path is the name of something that is being written."""
    parts = path.relative_to(results).parts
    return any(part.startswith(".") and part not in (".versions", ".passed", _NOTES) for part in parts)

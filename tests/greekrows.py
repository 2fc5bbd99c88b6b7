"""Training rows of Greek words, which the static embedding of :func:`basemodels.save_static` has tokens for."""

import json
from pathlib import Path

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


def write_rows(path: Path, name: str, rows: int) -> None:
    """JSON lines of a query, its words the other way round as its positive, and two negatives."""
    with path.open("w") as file:
        for n in range(rows):
            said = [WORDS[n % 10], WORDS[n // 10 % 10], WORDS[(3 * n + len(name)) % 10]]
            row = {"query": f"{name} {n} {' '.join(said)}", "positive": f"{' '.join(reversed(said))} {n} {name}"}
            row["negatives"] = [f"{name} no {WORDS[(n + k) % 10]} {n + k}" for k in (1, 2)]
            file.write(json.dumps(row) + "\n")

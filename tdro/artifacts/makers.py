"""Which rule makes a file or folder of the results, by its path; for the sentence on one that cannot be used."""

from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

#: Ends of paths with the rule that makes what lies there, or with two; the first that fits counts.
_MAKERS = (
    ("fetched/*/*.json", "fetch"),
    ("benchmarks/*@sample/corpus.parquet", "sample_corpus"),
    ("benchmarks/*/corpus.parquet", "prepare_benchmark prepare_corpus"),
    ("benchmarks/*/queries.parquet", "prepare_benchmark prepare_queries"),
    ("data/*/embeddings", "encode"),
    ("data/*/corpus.parquet", "prepare_task"),
    ("data/*/queries.parquet", "prepare_task"),
    ("data/*/heldout/*.parquet", "prepare_task"),
    ("data/*/dev/queries.parquet", "prepare_task"),
    ("data/*/candidates.parquet", "search"),
    ("data/*/rescored.parquet", "rescore"),
    ("data/*/negatives.parquet", "select"),
    ("data/*/train.parquet", "dedup"),
    ("data/*/dev.parquet", "dedup"),
    ("data/*/duplicates.parquet", "dedup"),
    ("leaks.parquet", "leaks"),
    ("task_means.parquet", "task_means"),
    ("dev/recommendation.json", "recommend"),
    ("dev/*.parquet", "dev_pool"),
    ("weights/uniform.json", "uniform_weights"),
    ("weights/*.json", "derive"),
    ("tdro/plan.parquet", "plan_tdro"),
    ("reference.parquet", "reference"),
    ("trajectory.parquet", "optimize"),
    ("heaviest_rows.parquet", "optimize"),
    ("plan.parquet", "plan"),
    ("seed*/*/model", "train merge"),
    ("experts/dev.parquet", "expert_scores"),
    ("experts/law.json", "fit_law"),
    ("experts/candidates.json", "prune_candidates"),
    ("experts/prune.json", "prune"),
    ("soup.json", "soup_scores"),
    ("rankings/*/*.parquet", "search_corpus"),
    ("rankings/*.parquet", "search_corpus merge_rankings"),
    ("eval/*.json", "evaluate"),
    ("eval/*.parquet", "evaluate"),
    ("seed*/*/dev.parquet", "dev_scores"),
    ("report/study.json", "overview"),
)


class Made(NamedTuple):
    """What a rule makes as a whole, a file a folder, and the names of the rules that make such."""

    output: Path
    rules: tuple[str, ...]


def maker(path: str | Path) -> Made | None:
    """The output of a rule that is this path holds it; None for a place that is none of the results'."""
    path = Path(path)
    for output in (path, *path.parents):
        for end, rules in _MAKERS:
            wanted = end.split("/")
            found = output.parts[-len(wanted) :]
            if len(found) == len(wanted) and all(map(fnmatch, found, wanted)):
                return Made(output, tuple(rules.split()))
    return None

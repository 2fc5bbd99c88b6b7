"""Which rule makes a file or folder of the results, by its path; for the sentence on one that cannot be used."""

from fnmatch import fnmatch
from pathlib import Path

#: Ends of paths with the rule that makes what lies there; the first that fits counts.
_MAKERS = (
    ("fetched/*/*.json", "fetch"),
    ("benchmarks/*@sample/corpus.parquet", "sample_corpus"),
    ("benchmarks/*/corpus.parquet", "prepare_benchmark or prepare_corpus"),
    ("benchmarks/*/queries.parquet", "prepare_benchmark or prepare_queries"),
    ("data/*/embeddings", "encode"),
    ("data/*/embeddings/*/*", "encode"),
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
    ("model", "train or merge"),
    ("experts/dev.parquet", "expert_scores"),
    ("experts/law.json", "fit_law"),
    ("experts/candidates.json", "prune_candidates"),
    ("experts/prune.json", "prune"),
    ("soup.json", "soup_scores"),
    ("rankings/*/*.parquet", "search_corpus"),
    ("rankings/*.parquet", "search_corpus or merge_rankings"),
    ("eval/*", "evaluate"),
    ("seed*/*/dev.parquet", "dev_scores"),
    ("report/study.json", "overview"),
)


def maker(path: str | Path) -> str | None:
    """The rule, or the two that there are for such a place; None for a place that is none of the results'."""
    parts = Path(path).parts
    for end, rule in _MAKERS:
        wanted = end.split("/")
        if len(parts) >= len(wanted) and all(map(fnmatch, parts[-len(wanted) :], wanted)):
            return rule
    return None

"""A model's card: the one that sentence-transformers writes, completed by what this project knows."""

from collections.abc import Mapping
from pathlib import Path

import accelerate
import pyarrow as pa
import sentence_transformers
import torch
import transformers
from huggingface_hub import EvalResult, ModelCard

import tdro
from tdro.artifacts import METRICS
from tdro.fetched import PREFIX, is_local
from tdro.report.formats import METRIC_NAMES, count, weight
from tdro.settings import TrainJob
from tdro.weights import Weights

_CARD = "README.md"


def describe_training(folder: Path, job: TrainJob, plan: pa.Table) -> None:
    """Add the mixture, the plan and the settings to the card of a model that was just saved.

    Args:
        folder: The model's folder.
        job: What it was trained with.
        plan: The rows that it was trained on, schema ``PLAN``.
    """
    card = ModelCard.load(folder / _CARD)
    if not (is_local(job.model.base) or job.model.base.startswith(PREFIX)):
        card.data.base_model = job.model.base
    training, encoding = job.training, job.encoding
    lora = f"LoRA of rank {job.model.lora.rank}, merged" if job.model.lora else "all weights"
    _insert(
        card,
        f"""## How it was trained

By [tDRO](https://arxiv.org/abs/2408.10613), on a mixture of datasets whose shares the table gives:
{training.steps} steps of {training.batch_size} rows of one dataset each, {training.negatives} hard negatives a row
beside the passages of the batch, temperature {training.temperature:g}; {lora}; queries up to {encoding.query_length}
tokens, passages up to {encoding.passage_length}; seed {job.seed}. Every setting is in `training_settings.json`.

A query is written `Instruct: INSTRUCTION\\nQuery: QUERY`, with the instruction of its kind of search. A passage stands
as it is, except in symmetric tasks, where it is written like the query.

{_mixture(job, plan)}

Base: `{job.model.base}`{f", first {job.model.layers} layers" if job.model.layers else ""}. Versions: tdro
{tdro.__version__}, sentence-transformers {sentence_transformers.__version__}, transformers {transformers.__version__},
torch {torch.__version__}, accelerate {accelerate.__version__}.
""",
    )
    card.save(folder / _CARD)


def describe_results(folder: Path, name: str, weights: Weights, scores: Mapping[str, Mapping[str, float]]) -> None:
    """Add weights and results to the card, for readers and as the metadata that the hub shows.

    Args:
        folder: The model's folder.
        name: What the model is called.
        weights: The mixture it was trained with.
        scores: Metric to value, by dataset.
    """
    card = ModelCard.load(folder / _CARD, ignore_metadata_errors=True)
    metrics = [metric for metric in METRICS if any(metric in found for found in scores.values())]
    card.data.model_name = name
    card.data.eval_results = [
        EvalResult("information-retrieval", dataset, dataset, metric, found[metric], metric_name=METRIC_NAMES[metric])
        for dataset, found in scores.items()
        for metric in metrics
        if metric in found
    ]
    rows = [[d, *(f"{found[m]:.3f}" if m in found else "" for m in metrics)] for d, found in scores.items()]
    _insert(
        card,
        f"""## Weights

`weights.json` holds them in full.

{_table(["dataset", "weight"], [[task, weight(w)] for task, w in _heaviest(weights.weights)])}

## Results

{_table(["test set", *(METRIC_NAMES[metric] for metric in metrics)], rows)}
""",
    )
    card.save(folder / _CARD)


def _insert(card: ModelCard, text: str) -> None:
    """Put a section before the library's details of the training, which are long."""
    before, heading, after = card.text.partition("\n## Training Details")
    card.text = f"{before}\n{text}{heading}{after}"


def _mixture(job: TrainJob, plan: pa.Table) -> str:
    drawn = {row["values"]: row["counts"] for row in plan["task"].value_counts().to_pylist()}
    rows = [
        [task, count(number), f"{number / plan.num_rows:.1%}", job.tasks[task].instruction[0]]
        for task, number in _heaviest(drawn)
    ]
    return _table(["dataset", "rows drawn", "share", "instruction"], rows)


def _heaviest(values: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(values.items(), key=lambda item: -item[1])


def _table(heading: list[str], rows: list[list[str]]) -> str:
    lines = [heading, ["---"] + ["--:"] * (len(heading) - 1), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)

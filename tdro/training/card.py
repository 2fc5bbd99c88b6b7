"""A model's card: what it is, how to use it, what it was trained on and how.

It is our own from the first line to the last. The card that sentence-transformers would write shows training texts, and
those are often nobody else's business; here they stand only where `training.card_examples` asks for them.
"""

from collections.abc import Mapping
from pathlib import Path

import accelerate
import pyarrow as pa
import sentence_transformers
import torch
import transformers
from huggingface_hub import EvalResult, ModelCard, ModelCardData

import tdro
from tdro.artifacts.schemas import METRICS
from tdro.config.commands import TrainJob
from tdro.config.models import Model
from tdro.config.registry import QUERY
from tdro.config.soups import Method
from tdro.formats import METRIC_NAMES, count, listed, weight
from tdro.mixtures.weights import Weights
from tdro.models.networks import pooling_of
from tdro.models.room import length_of
from tdro.readers.fetch import PREFIX, is_local
from tdro.training.batches import Texts

#: The card's file in a model's folder.
CARD = "README.md"
_TRAINING = "## How it was trained"
_LONGEST = 300  # characters of an example


def describe_training(folder: Path, job: TrainJob, plan: pa.Table, texts: Texts, model) -> None:
    """Write the card of a model that was just saved.

    Args:
        folder: The model's folder.
        job: What it was trained with; its prompts are those that were used (:func:`tdro.config.prompts.resolved`).
        plan: The rows that it was trained on, schema ``PLAN``.
        texts: Their texts; read only where `training.card_examples` asks for examples.
        model: The retriever itself, with the prompts that it was saved with.
    """
    base = public_base(job.model)
    data = ModelCardData(
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        tags=["sentence-transformers", "sentence-similarity", "feature-extraction"],
        base_model=base if _on_hub(job.model) else None,
    )
    parts = [f"# Retriever {job.model.name}", _about(job, model), _usage(job, model)]
    dimension = model.get_embedding_dimension()
    parts += [_shorter(job, dimension)] if any(size < dimension for size in job.training.matryoshka) else []
    parts.append(_training(job, plan))
    if job.training.card_examples:
        parts.append(_examples(job, plan, texts))
    text = "\n\n".join(parts)
    ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}\n", ignore_metadata_errors=True).save(folder / CARD)


def describe_merge(folder: Path, first: Path, weights: Mapping[str, float], method: Method) -> None:
    """Write the card of a model that is the average of others: that of the first, with what was averaged in it.

    Args:
        folder: The model's folder.
        first: That of the first model; it may have no card.
        weights: Weight of each of them, by its name.
        method: How tensors were averaged.
    """
    table = markdown_table(["model", "weight"], [[name, f"{weight:.4g}"] for name, weight in weights.items()])
    said = f"""## What it is the average of

No training made this model: its weights are those of {len(weights)} models, averaged ({method}). What is said of a
training below is said of the first of them.

{table}
"""
    if not (first / CARD).is_file():
        (folder / CARD).write_text(f"# A merged retriever\n\n{said}", encoding="utf-8")
        return
    card = ModelCard.load(first / CARD, ignore_metadata_errors=True)
    insert(card, said)
    card.save(folder / CARD)


def public_base(model: Model) -> str:
    """A base as others may know it: of a local folder the name alone, not where it lies on this machine."""
    return Path(model.base).expanduser().resolve().name if is_local(model.base) else model.base


def public_settings(job: TrainJob) -> TrainJob:
    """The settings of a training as others may know them."""
    return job.model_copy(update={"model": job.model.model_copy(update={"base": public_base(job.model)})})


def describe_results(
    folder: Path,
    name: str,
    weights: Weights,
    scores: Mapping[str, Mapping[str, float]],
    previews: Mapping[str, tuple[int, int]],
) -> None:
    """Add weights and results to the card, for readers and as the metadata that the hub shows.

    Metadata are compared with those of other models, so previews are none.

    Args:
        folder: The model's folder.
        name: What the model is called.
        weights: The mixture it was trained with.
        scores: Metric to value, by dataset.
        previews: Of datasets that were evaluated on a sample: passages of it, and of the whole corpus.
    """
    card = ModelCard.load(folder / CARD, ignore_metadata_errors=True)
    metrics = [metric for metric in METRICS if any(metric in found for found in scores.values())]
    card.data.model_name = name
    results = [
        EvalResult("information-retrieval", dataset, dataset, metric, found[metric], metric_name=METRIC_NAMES[metric])
        for dataset, found in scores.items()
        for metric in metrics
        if metric in found and dataset not in previews
    ]
    card.data.eval_results = results or None  # the hub takes no index without results
    names = {d: f"{d} (preview)" if d in previews else d for d in scores}
    rows = [[names[d], *(f"{found[m]:.3f}" if m in found else "" for m in metrics)] for d, found in scores.items()]
    insert(
        card,
        f"""## Weights

`weights.json` holds them in full.

{markdown_table(["dataset", "weight"], [[task, weight(w)] for task, w in _heaviest(weights.weights)])}

## Results

{markdown_table(["test set", *(METRIC_NAMES[metric] for metric in metrics)], rows)}{_about_previews(previews)}
""",
    )
    card.save(folder / CARD)


def _about_previews(previews: Mapping[str, tuple[int, int]]) -> str:
    if not previews:
        return ""
    sizes = listed([f"{name} {count(some)} of {count(all_)}" for name, (some, all_) in previews.items()])
    return (
        f"\n\nA preview was evaluated on a sample of the passages ({sizes}): its scores are too high, and can be "
        "compared with those of the same run only."
    )


def _on_hub(model: Model) -> bool:
    return not is_local(model.base) and not model.base.startswith(PREFIX)


def _about(job: TrainJob, retriever) -> str:
    model = job.model
    kind = "" if _on_hub(model) else "a pip package's " if model.base.startswith(PREFIX) else "a local folder, "
    base = f"{kind}`{public_base(model)}`"
    details = [f"revision `{model.revision}`"] if model.revision else []
    details += [f"first {model.layers} layers"] if model.layers else []
    details += [f"distilled into a static embedding of {model.static} dimensions"] if model.static else []
    dimension = retriever.get_embedding_dimension()
    return f"""It turns queries and passages into vectors of {dimension} numbers and unit length; the closer two vectors
(cosine), the better a passage answers a query. {_pooling(retriever)}

Base: {", ".join([base, *details])}. {_lengths(retriever)}"""


#: What a text's vector is, by the way of pooling.
_POOLINGS = {
    "lasttoken": "The vector is that of the last token",
    "mean": "The vector is the mean of those of the tokens",
    "cls": "The vector is that of the first token",
}


def _pooling(retriever) -> str:
    mode = getattr(pooling_of(retriever), "pooling_mode", None)
    if mode is None:
        return "Each token has one vector, wherever it stands; that of a text is their mean (a static embedding)."
    return f"{_POOLINGS.get(mode, 'The vector is made of those of the tokens')} (pooling `{mode}`)."


def _lengths(retriever) -> str:
    query, passage = length_of(retriever, "query"), length_of(retriever, "document")
    if query is None:
        return "Texts of any length are read."
    return f"Queries are read up to {query} tokens, passages up to {passage}."


def _usage(job: TrainJob, retriever) -> str:
    names = [name for name in job.tasks if retriever.prompts[name] != retriever.prompts[QUERY]]
    option = f", prompt_name={names[0]!r}" if names else ""
    return f"""## Usage

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer(".")  # the folder of this card, or the model's name on the hub
queries = model.encode_query(["first query", "second query"]{option})
passages = model.encode_document(["a passage", "another passage"])
print(model.similarity(queries, passages))
```

{_prompts(job, retriever)}"""


def _prompts(job: TrainJob, retriever) -> str:
    """What stands before texts, and how to ask for it."""
    if not any(retriever.prompts.values()):
        return "Nothing stands before a text: the model has no prompts."
    rows = [[f"`{name}`", f"`{prompt!r}`"] for name, prompt in retriever.prompts.items() if prompt]
    symmetric = [f"`{name}`" for name, task in job.tasks.items() if task.symmetric]
    both = f" Passages of {', '.join(symmetric)} carry the prompt of their queries:" if symmetric else ""
    by_name = f" `encode_document(texts, prompt_name={symmetric[0].strip('`')!r})`." if symmetric else ""
    return f"""The model puts its prompts before texts by itself; `prompt_name` chooses among them. Without a name,
`query` stands before queries and `document` before passages; the others are those of the training's datasets, for their
kind of search.{both}{by_name}

{markdown_table(["prompt_name", "what stands before a text"], rows)}"""


def _shorter(job: TrainJob, dimension: int) -> str:
    """How to use vectors that were trained to be cut; for a model that was."""
    sizes = job.training.matryoshka
    first = next(size for size in sizes if size < dimension)
    return f"""## Shorter vectors

The model was trained for vectors of {listed([str(size) for size in sizes])} numbers (Matryoshka): the first numbers of
a vector serve by themselves, at some cost in quality. To have the first {first} only:

```python
model = SentenceTransformer(".", truncate_dim={first})
```

`model.similarity` needs no more than that. An index of inner products needs unit length: pass
`normalize_embeddings=True` to `encode_query` and `encode_document`."""


def _training(job: TrainJob, plan: pa.Table) -> str:
    training, lora = job.training, job.model.lora
    weights = f"LoRA of rank {lora.rank}, merged" if lora else "all weights"
    return f"""{_TRAINING}

By [tDRO](https://arxiv.org/abs/2408.10613), on a mixture of datasets whose shares the table gives:
{training.steps} steps of {training.batch_size} rows of one dataset each, {training.negatives} hard negatives a row
beside the passages of the batch, temperature {training.temperature:g}, learning rate {training.learning_rate:g};
{weights}; seed {job.seed}.{_otherwise(job)} Every setting is in `training_settings.json`.

{_mixture(job, plan)}

Versions: tdro {tdro.__version__}, sentence-transformers {sentence_transformers.__version__}, transformers
{transformers.__version__}, torch {torch.__version__}, accelerate {accelerate.__version__}."""


def _otherwise(job: TrainJob) -> str:
    """What rows are compared with otherwise, and what else they teach."""
    said = ""
    if job.own_negatives:
        said += f" Rows of {', '.join(job.own_negatives)} had their own hard negatives alone."
    if distill := job.training.distill:
        said += (
            f" Beside, a cross-encoder was distilled (weight {distill.weight:g}, temperature {distill.temperature:g})."
        )
    return said


def insert(card: ModelCard, text: str) -> None:
    """Put a section before that of the training."""
    before, heading, after = card.text.partition(f"\n{_TRAINING}")
    card.text = f"{before}\n{text}{heading}{after}"


def _mixture(job: TrainJob, plan: pa.Table) -> str:
    drawn = {row["values"]: row["counts"] for row in plan["task"].value_counts().to_pylist()}
    heading, rows = ["dataset", "rows drawn", "share", "symmetric"], []
    for task, number in _heaviest(drawn):
        symmetric = "yes" if job.tasks[task].symmetric else ""
        rows.append([task, count(int(number)), f"{number / plan.num_rows:.1%}", symmetric])
    if job.model.prompts.instructs:
        heading.append("instruction")
        for row in rows:
            row.append(" or ".join(f"`{wording}`" for wording in job.tasks[row[0]].instruction))
    return markdown_table(heading, rows)


def _examples(job: TrainJob, plan: pa.Table, texts: Texts) -> str:
    """The first rows of each task, query and positive, as they were read."""
    rows, seen = [], dict.fromkeys(job.tasks, 0)
    for row in plan.to_pylist():
        if seen[row["task"]] < job.training.card_examples:
            seen[row["task"]] += 1
            query, positive = (texts[text] for text in texts.of_row(row)[:2])
            rows.append([row["task"], _short(query), _short(positive)])
    return f"## Examples of the training rows\n\n{markdown_table(['dataset', 'query', 'positive'], rows)}"


def _short(text: str) -> str:
    """A text as a cell of a table."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def _heaviest(values: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(values.items(), key=lambda item: -item[1])


def markdown_table(heading: list[str], rows: list[list[str]]) -> str:
    """A table of Markdown, its columns but the first aligned to the right."""
    lines = [heading, ["---"] + ["--:"] * (len(heading) - 1), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)

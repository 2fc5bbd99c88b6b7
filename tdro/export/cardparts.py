"""What an export adds to a model's card: licences, languages, datasets, formats, and the same in mteb's words.

Metadata stand in the head of ``README.md``, where the hub reads them. mteb reads training data from a ``ModelMeta``
alone, which a pull request brings to it: ``mteb_model_meta.json`` holds its fields. It marks scores on datasets that a
model was trained on (contamination), so a field is null rather than half-known.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from tdro.artifacts.foreign import write_foreign
from tdro.config.commands import ExportJob, TrainedOn
from tdro.export.shrunk import SIZES
from tdro.formats import listed
from tdro.models.room import length_of
from tdro.training.card import CARD, insert, markdown_table

#: Languages with their script, as mteb names them, by the two letters of ISO 639.
_MTEB_LANGUAGES = {
    **{"ar": "ara-Arab", "bg": "bul-Cyrl", "bn": "ben-Beng", "cs": "ces-Latn", "da": "dan-Latn", "de": "deu-Latn"},
    **{"el": "ell-Grek", "en": "eng-Latn", "es": "spa-Latn", "fa": "fas-Arab", "fi": "fin-Latn", "fr": "fra-Latn"},
    **{"he": "heb-Hebr", "hi": "hin-Deva", "hu": "hun-Latn", "id": "ind-Latn", "it": "ita-Latn", "ja": "jpn-Jpan"},
    **{"km": "khm-Khmr", "ko": "kor-Hang", "ms": "msa-Latn", "nl": "nld-Latn", "no": "nor-Latn", "pl": "pol-Latn"},
    **{"pt": "por-Latn", "ro": "ron-Latn", "ru": "rus-Cyrl", "sv": "swe-Latn", "sw": "swa-Latn", "te": "tel-Telu"},
    **{"th": "tha-Thai", "tr": "tur-Latn", "uk": "ukr-Cyrl", "vi": "vie-Latn", "yo": "yor-Latn", "zh": "zho-Hans"},
}
_UNSTATED = "not stated"


def describe_data(folder: Path, job: ExportJob, weights: Iterable[str]) -> None:
    """Say of which licence the model is, and of what languages, places and licences its datasets are.

    Args:
        folder: The model's folder.
        job: What is known of them.
        weights: Names of the datasets of the mixture.
    """
    card = ModelCard.load(folder / CARD, ignore_metadata_errors=True)
    known = {name: job.tasks[name] for name in weights if name in job.tasks}
    if job.licence:
        card.data.license = job.licence
    if known:
        card.data.language = _languages(known.values())
        card.data.datasets = sorted({task.hub for task in known.values() if task.hub}) or None
        insert(card, _licences(known))
    card.save(folder / CARD)


def describe_formats(
    folder: Path, formats: Mapping[str, tuple[str, float]], shrunk: Mapping[str, Mapping[str, float]]
) -> None:
    """Say which files other runtimes read and how close they are, and what small embeddings are worth.

    Args:
        folder: The model's folder.
        formats: Format and lowest cosine with the trained model, by file.
        shrunk: As :func:`tdro.export.shrunk.score_shrunk` gives them.
    """
    card = ModelCard.load(folder / CARD, ignore_metadata_errors=True)
    rows = [[f"`{file}`", name, f"{lowest:.6f}"] for file, (name, lowest) in formats.items()]
    text = f"""## Formats

Each was loaded and embedded 64 texts; the figure is the lowest cosine of a text with the trained model's embedding.
`export.json` holds them.

{markdown_table(["file", "format", "lowest cosine"], rows)}
"""
    if shrunk:
        heads = [kind.replace("_", ", ") for kind in SIZES]
        cells = [[name, *(f"{found[kind]:.3f}" for kind in SIZES)] for name, found in shrunk.items()]
        text += f"""
### Smaller embeddings

nDCG@10 of embeddings with 32, 8 and 1 bit a number, on held-out data.

{markdown_table(["test set", *heads], cells)}
"""
    insert(card, text)
    card.save(folder / CARD)


def write_model_meta(folder: Path, name: str, job: ExportJob, weights: Iterable[str], model) -> None:
    """Write ``mteb_model_meta.json``: the fields of mteb's ``ModelMeta``, null where they are not known.

    Args:
        folder: The model's folder.
        name: ``OWNER/NAME`` on the hub, or the name alone.
        job: What is known of the datasets.
        weights: Names of the datasets of the mixture.
        model: The retriever.
    """
    tasks = [job.tasks.get(task) for task in weights]
    codes = _languages(task for task in tasks if task)
    meta: dict[str, Any] = {
        "loader": None,
        "name": name,
        "revision": None,
        "release_date": None,
        "languages": sorted({_MTEB_LANGUAGES[code] for code in codes if code in _MTEB_LANGUAGES}) or None,
        **_sizes(model),
        "license": job.licence,
        "open_weights": True if job.licence else None,
        "public_training_code": None,
        "public_training_data": None,
        "framework": ["Sentence Transformers", "PyTorch"],
        "similarity_fn_name": "cosine",
        "use_instructions": any(model.prompts.values()),
        "training_datasets": _contaminated(tasks),
        "adapted_from": _base(folder),
    }
    write_foreign(folder / "mteb_model_meta.json", meta)


def _sizes(model) -> dict[str, Any]:
    parameters = list(model.parameters())
    lengths = [length_of(model, kind) for kind in ("query", "document")]
    return {
        "n_parameters": sum(p.numel() for p in parameters),
        "memory_usage_mb": round(sum(p.numel() * p.element_size() for p in parameters) / 2**20, 1),
        "max_tokens": None if None in lengths else max(lengths),
        "embed_dim": model.get_embedding_dimension(),
    }


def _contaminated(tasks: Iterable[TrainedOn | None]) -> list[str] | None:
    """Names of datasets of mteb that were trained on; None where they are not known of every task."""
    named = [task.mteb if task else None for task in tasks]
    return None if not named or None in named else sorted({name for names in named for name in names or ()})


def _base(folder: Path) -> str | None:
    return ModelCard.load(folder / CARD, ignore_metadata_errors=True).data.base_model


def _languages(tasks: Iterable[TrainedOn]) -> list[str]:
    return sorted({code.strip() for task in tasks for code in task.language.split(",")})


def _licences(tasks: Mapping[str, TrainedOn]) -> str:
    rows = [
        [name, task.language, task.licence or _UNSTATED, f"`{task.hub}`" if task.hub else "", _of_mteb(task)]
        for name, task in tasks.items()
    ]
    unstated = [name for name, task in tasks.items() if not task.licence]
    missing = f" The licence of {listed(unstated)} is not stated: ask who published it." if unstated else ""
    return f"""## Licences of the training data

The model was made from these texts. Read their licences before you pass it on.{missing} The last column names the
datasets of mteb whose rows they share: scores on those are not zero-shot.

{markdown_table(["dataset", "language", "licence", "hub", "in mteb"], rows)}
"""


def _of_mteb(task: TrainedOn) -> str:
    return _UNSTATED if task.mteb is None else ", ".join(task.mteb) or "none"

"""Questions to a model and a corpus: the passages whose embeddings are nearest to each query's.

Texts are embedded as ``SentenceTransformer.encode_query`` and ``encode_document`` do it: with the model's own prompts.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tdro.artifacts.foreign import read_foreign
from tdro.asking.embedded import Embedded, Told, embedded
from tdro.asking.hits import Hit
from tdro.asking.passagefiles import check_file
from tdro.config.nearest import hint
from tdro.config.prompts import passages_name
from tdro.errors import UserError
from tdro.models.modelfiles import check_model_folder
from tdro.readers.fetch import PREFIX, find, is_local, model_job
from tdro.retrieval.encoder import Encoder
from tdro.retrieval.nearest import Finder


class Searcher:
    """A model and a corpus that are ready to be asked; :func:`searcher` gives one."""

    def __init__(self, encoder: Encoder, corpus: Embedded) -> None:
        self._encoder, self._corpus, self._finder = encoder, corpus, Finder(corpus.vectors)

    def best(self, query: str, top: int) -> list[Hit]:
        """The nearest passages, best first; equal scores in the order of the corpus."""
        found = self._finder.best(self._encoder.queries([query]), min(top, len(self._corpus.vectors)))
        rows, scores = (of_queries[0].tolist() for of_queries in found)
        return [Hit(score, *passage) for score, passage in zip(scores, self._corpus.passages(rows), strict=True)]


@contextmanager
def searcher(reference: str, corpus: Path, prompt: str | None, told: Told) -> Iterator[Searcher]:
    """A model and a corpus, ready to be asked; the corpus is embedded unless the cache holds its embeddings.

    Args:
        reference: A SentenceTransformer folder, a hub id, or ``package:NAME==VERSION/PATH``.
        corpus: A file of passages (:mod:`tdro.asking.passagefiles`).
        prompt: Name of the prompt of the model that stands before queries, such as a task that it was trained on, whose
            passages then have theirs, too; None: the model's prompt for queries, if it has one.
        told: Hears how many passages are embedded, of how many.

    Raises:
        UserError: for a model or a corpus that cannot be read, or a prompt that the model lacks.
    """
    check_file(corpus)
    folder = model_folder(reference)
    from tdro.models.load import load_trained

    model = load_trained(folder)
    if prompt is not None and prompt not in model.prompts:
        has = ", ".join(sorted(model.prompts)) or "none"
        raise UserError(f"{reference} has no prompt {prompt!r}{hint(prompt, model.prompts)}; it has {has}.")
    of_passages = _of_passages(folder, model, prompt)
    encoder = Encoder(model, model.prompts.get(prompt), model.prompts.get(of_passages))
    with embedded(corpus, folder, of_passages, encoder.passages, told) as held:
        encoder.cuts.tell(str(corpus))
        yield Searcher(encoder, held)


def model_folder(reference: str) -> Path:
    """Where a model's files lie. A hub model is looked for in the cache first, and taken as it is there.

    Raises:
        UserError: when it cannot be had, or is no SentenceTransformer.
    """
    if reference.startswith(PREFIX):
        from tdro.models.sources import resolve

        return Path(resolve(reference))
    if not is_local(reference) and reference.count("/") < 2:
        return _cached(reference) or find(model_job(reference), None)
    folder = Path(reference).expanduser()
    if not folder.is_dir():
        raise UserError(f"{reference} is no folder, so no model; name the folder of one, or its id on the hub.")
    check_model_folder(reference if is_local(reference) else str(folder.resolve()))
    return folder


def _of_passages(folder: Path, model, prompt: str | None) -> str | None:
    """Name of the prompt that stands before passages where ``prompt`` stands before queries."""
    from tdro.models.load import SETTINGS

    tasks = read_foreign(folder / SETTINGS).get("tasks", {})
    return prompt and passages_name(prompt, model.prompts, symmetric=tasks.get(prompt, {}).get("symmetric", False))


def _cached(name: str) -> Path | None:
    import huggingface_hub

    try:
        folder = Path(huggingface_hub.snapshot_download(name, local_files_only=True))
    except (OSError, ValueError):
        return None
    return folder if (folder / "modules.json").is_file() else None

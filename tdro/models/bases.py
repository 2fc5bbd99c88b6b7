"""How a base becomes a retriever that can be trained.

    an embedding model   its own modules, pooling, normalisation and prompts; its own lengths, where they are shorter
    an encoder           the mean of its tokens' vectors
    a decoder            the vector of its last token, an EOS that is appended; instructions before queries
    a static embedding   one vector a token, their mean; as it is, or distilled from any of the others

All end with vectors of unit length. Embedding models are folders or repositories of sentence-transformers: they have a
``modules.json``.
"""

import logging
from pathlib import Path

from tdro.config.models import Encoding, Model
from tdro.config.prompts import TaskPrompts, take_prompts
from tdro.errors import UserError
from tdro.models.eos import append_eos
from tdro.models.kinds import is_decoder
from tdro.models.load import set_padding
from tdro.models.networks import add_adapters, hidden, keep_layers, network_of, pooling_of
from tdro.models.positions import check_limits, of_network
from tdro.models.processes import device, loaded_once, processes
from tdro.models.sources import base_folder
from tdro.models.weights import check_whole, loading

log = logging.getLogger(__name__)

#: Longest texts of a model whose tokenizer states no limit.
_NO_LIMIT = 10**9


def load_retriever(model: Model, encoding: Encoding, fetched: Path | None = None):
    """A SentenceTransformer of ``model``'s base, ready to be trained.

    Weights are float32 whatever the checkpoint holds: AdamW on bfloat16 weights does not learn at
    these step sizes. Weights that LoRA freezes may be bfloat16 (``model.dtype``); its adapters are float32. Texts are
    read up to the lengths in ``encoding``, or up to the base's own where that is less.

    Raises:
        UserError: when the base cannot be had, lacks weights, reads fewer tokens, or does not fit ``model``.
    """
    what = f"base {model.base} of model {model.name!r}"
    with loading(what, "correct the name, or get its files anew") as gaps:
        folder = base_folder(model, fetched)
        retriever = _embedder(folder, model) if _is_embedder(folder, model) else _of_network(folder, model, encoding)
    network = network_of(retriever)
    _check_modules(what, retriever)
    set_padding(what, retriever)
    if network is None:
        _check_static(what, model)
    else:
        keep_layers(network, model)
        if processes().is_main_process or not loaded_once():  # else there is nothing to look at
            check_whole(what, gaps, lambda: hidden(network))
        _set_lengths(what, retriever, network, encoding)
        if model.lora:
            add_adapters(network, model.lora)
    return retriever


def base_prompts(model: Model, retriever) -> TaskPrompts:
    """What stands before the texts of a base that :func:`load_retriever` has loaded; its own prompts are taken off."""
    network, what = network_of(retriever), f"base {model.base} of model {model.name!r}"
    instructed = network is not None and is_decoder(network.config.to_dict())
    prompts = take_prompts(what, retriever, model.prompts, instructed=instructed)
    _pool_prompts(what, retriever, prompts)
    return prompts


def is_embedding_model(model: Model, fetched: Path | None = None) -> bool:
    """Whether a base finds something before any training, as its files say.

    Raises:
        UserError: when it cannot be had, or its files are not whole.
    """
    with loading(f"base {model.base} of model {model.name!r}", "correct the name, or get its files anew"):
        return _is_embedder(base_folder(model, fetched), model)


def _is_embedder(folder: str, model: Model) -> bool:
    from sentence_transformers.util import is_sentence_transformer_model

    return is_sentence_transformer_model(folder, revision=model.revision)


def _embedder(folder: str, model: Model):
    """A model of sentence-transformers as it is; its vectors get unit length if they have not."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    retriever = SentenceTransformer(
        folder, revision=model.revision, device=_place(), model_kwargs=_network_options(model)
    )
    modules = list(retriever)
    if model.pooling != "auto":
        place = next((at for at, module in enumerate(modules) if isinstance(module, Pooling)), None)
        if place is None:
            raise UserError(
                f"base {model.base} of model {model.name!r} pools nothing that `pooling: {model.pooling}` could stand "
                "for; remove the key."
            )
        modules[place] = Pooling(modules[place].embedding_dimension, pooling_mode=model.pooling)
    if not isinstance(modules[-1], Normalize):
        modules.append(Normalize())
    return SentenceTransformer(modules=modules, device=_place(), prompts=retriever.prompts)


def _of_network(folder: str, model: Model, encoding: Encoding):
    """A bare encoder or decoder with pooling, its vectors of unit length."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    transformer = Transformer(
        folder,
        model_kwargs={"revision": model.revision} | _network_options(model),
        config_kwargs={"revision": model.revision},
        processor_kwargs={"revision": model.revision},
        max_seq_length=max(encoding.query_length, encoding.passage_length),
        # Stated, not inferred: a base with a chat template would be fed every text as a chat message.
        modality_config={"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        module_output_name="token_embeddings",
    )
    pooling = model.pooling
    if pooling == "auto":
        pooling = "lasttoken" if is_decoder(transformer.config.to_dict()) else "mean"
    if pooling == "lasttoken":
        append_eos(transformer.tokenizer)
    pooled = Pooling(transformer.get_embedding_dimension(), pooling_mode=pooling)
    return SentenceTransformer(modules=[transformer, pooled, Normalize()], device=_place())


def _place() -> str:
    """Where a base is put when it is loaded."""
    return "cpu" if loaded_once() else str(device())


def _network_options(model: Model) -> dict:
    return {"dtype": model.dtype} | ({"attn_implementation": model.attention} if model.attention else {})


def _set_lengths(what: str, retriever, network, encoding: Encoding) -> None:
    """Let texts be read up to the lengths asked for, an embedding model's no further than its own limits."""
    asked = {"encoding.query_length": encoding.query_length, "encoding.passage_length": encoding.passage_length}
    check_limits(what, asked, *of_network(network))
    first, kept = retriever[0], []
    for (key, length), side in zip(asked.items(), ("query_length", "document_length"), strict=True):
        own = min(n for n in (getattr(first, side), first.max_seq_length, _NO_LIMIT) if n is not None)
        if own < length:
            log.warning("%s reads %d tokens at most, not the %d of %s", what, own, length, key)
        kept.append(min(own, length))
        setattr(first, side, kept[-1])
    first.max_seq_length = max(kept)


def _check_static(what: str, model: Model) -> None:
    """Refuse keys that need a network."""
    for key in ("layers", "lora", "attention"):
        if getattr(model, key):
            raise UserError(f"{what} is a static embedding, to which `{key}` means nothing; remove the key.")


def _check_modules(what: str, retriever) -> None:
    """Refuse a base whose queries and passages go through different modules."""
    from sentence_transformers.base.modules import Router

    if any(isinstance(module, Router) for module in retriever):
        raise UserError(
            f"{what} has different modules for queries and passages (Router), and training sends all texts through the "
            "same; use a base with one set of modules."
        )


def _pool_prompts(what: str, retriever, prompts: TaskPrompts) -> None:
    """Let a model that leaves prompts out of its mean take them in: to it, ours are part of the text."""
    pooling = pooling_of(retriever)
    if pooling is not None and not pooling.include_prompt and prompts != TaskPrompts(query="", passage=""):
        log.warning("%s leaves its prompts out of its mean; from now on they are pooled like any text", what)
        pooling.include_prompt = True

"""How a base becomes a retriever that can be trained.

    an embedding model   its own modules, pooling, normalisation and prompts; its own lengths, where they are shorter
    an encoder           the mean of its tokens' vectors
    a decoder            the vector of its last token, an EOS that is appended; instructions before queries
    a static embedding   one vector a token, their mean; as it is, or distilled from any of the others

All end with vectors of unit length. Embedding models are folders or repositories of sentence-transformers: they have a
``modules.json``.
"""

import hashlib
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from tdro.artifacts.files import stamps
from tdro.config.models import Encoding, Model
from tdro.config.prompts import TaskPrompts, take_prompts
from tdro.errors import UserError
from tdro.models.eos import append_eos
from tdro.models.kinds import is_decoder
from tdro.models.load import network_of, resolve
from tdro.models.lora import add_adapters
from tdro.models.modelfiles import model_files
from tdro.models.positions import check_limits, of_network
from tdro.models.processes import device
from tdro.models.uninitialised import check_whole, loading
from tdro.readers.packages import cache_folder

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
        folder = _base_folder(model, fetched)
        retriever = _embedder(folder, model) if _is_embedder(folder, model) else _of_network(folder, model, encoding)
    network = network_of(retriever)
    _check_modules(what, retriever)
    if network is None:
        _check_static(what, model)
    else:
        _keep_layers(network, model)
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


def hidden(network) -> Tensor:
    """What a network makes of a token, without flash attention, which has no kernels for a CPU."""
    before = network.config._attn_implementation
    network.set_attn_implementation("eager")
    found = network(input_ids=torch.zeros(1, 1, dtype=torch.long, device=network.device)).last_hidden_state
    network.set_attn_implementation(before)
    return found


def _is_embedder(folder: str, model: Model) -> bool:
    from sentence_transformers.util import is_sentence_transformer_model

    return is_sentence_transformer_model(folder, revision=model.revision)


def _embedder(folder: str, model: Model):
    """A model of sentence-transformers as it is; its vectors get unit length if they have not."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    retriever = SentenceTransformer(
        folder, revision=model.revision, device=str(device()), model_kwargs=_network_options(model)
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
    return SentenceTransformer(modules=modules, device=str(device()), prompts=retriever.prompts)


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
    return SentenceTransformer(modules=[transformer, pooled, Normalize()], device=str(device()))


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
    from sentence_transformers.sentence_transformer.modules import Pooling

    pooling = next((module for module in retriever if isinstance(module, Pooling)), None)
    if pooling is not None and not pooling.include_prompt and prompts != TaskPrompts(query="", passage=""):
        log.warning("%s leaves its prompts out of its mean; from now on they are pooled like any text", what)
        pooling.include_prompt = True


def _base_folder(model: Model, fetched: Path | None) -> str:
    """The base as sentence-transformers or transformers can load it: what is of another kind is converted once."""
    source = resolve(model.base, model.sha256, model.revision, fetched)
    if source.endswith(".gguf"):
        key = hashlib.sha256(f"{source} {model.layers}".encode()).hexdigest()[:12]
        source = _converted(
            Path(source).with_name(f"{Path(source).stem}-{key}"),
            lambda folder: _convert_gguf(Path(source), folder, model.layers),
        )
    if model.static:
        key = hashlib.sha256(
            f"{source} {model.revision} {stamps(model_files(source))} {model.static}".encode()
        ).hexdigest()[:12]
        source = _converted(
            cache_folder() / "models" / "static" / f"{Path(source).name}-{key}",
            lambda folder: _distil(source, folder, model.static),
        )
    return source


def _converted(folder: Path, convert: Callable[[Path], None]) -> str:
    """A folder that ``convert`` fills, once; several processes may try."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            content = Path(temporary) / "model"
            content.mkdir()
            convert(content)
            try:
                content.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was first; its folder serves as well
                    raise
    return str(folder)


def _distil(source: str, folder: Path, dimensions: int) -> None:
    """Write a static embedding: each token's vector is what the model makes of the token alone, by fewer dimensions."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    log.info("distilling %s into a static embedding (once)", source)
    try:
        module = StaticEmbedding.from_distillation(source, device=str(device()), pca_dims=dimensions)
    except ImportError as error:
        raise UserError("`models[].static` needs the package model2vec; pip install model2vec skeletoken.") from error
    SentenceTransformer(modules=[module]).save_pretrained(str(folder), create_model_card=False)


def _convert_gguf(source: Path, folder: Path, layers: int | None) -> None:
    """Write the GGUF model, dequantised and cut to ``layers``, as an ordinary float32 folder."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer, GgufConfig

    log.info("converting %s (once)", source.name)
    parent, name = str(source.parent), source.name
    with loading(str(source), "get the file anew") as gaps:
        config = AutoConfig.from_pretrained(parent, gguf_file=name)
        if layers:
            _cut(config, layers)
        # Without dequantize the model counts as quantised and can be neither trained nor saved.
        model = AutoModel.from_pretrained(
            parent, gguf_file=name, config=config, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
        )
        tokenizer = AutoTokenizer.from_pretrained(parent, gguf_file=name)
    check_whole(str(source), gaps, lambda: hidden(model))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _keep_layers(network, model: Model) -> None:
    """Drop all but the first ``model.layers`` transformer layers."""
    if not model.layers:
        return
    number = network.config.num_hidden_layers
    found = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == number
    ]
    if not found:
        raise UserError(
            f"model {model.name!r}: `layers` needs a network that keeps its layers in one list; "
            f"{type(network).__name__} does not. Remove the key."
        )
    name, layers = found[0]
    network.set_submodule(name, layers[: model.layers])
    _cut(network.config, model.layers)


def _cut(config, layers: int) -> None:
    config.num_hidden_layers = min(layers, config.num_hidden_layers)
    if getattr(config, "layer_types", None):  # Qwen names the kind of every layer
        config.layer_types = config.layer_types[: config.num_hidden_layers]

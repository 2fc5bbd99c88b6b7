"""What kind of model a base is: an embedding model, a decoder, or an encoder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tdro.config.models import Model
from tdro.readers.fetch import is_local

# What a configuration of transformers calls attention that looks both ways.
_BOTH_WAYS = {"is_causal": False, "use_bidirectional_attention": True}


def is_decoder(config: Mapping[str, Any]) -> bool:
    """Whether a token sees only those before it, so that the last one is the only one that has seen the text.

    Args:
        config: Content of a model's ``config.json``.
    """
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    if any(config.get(key) == value for key, value in _BOTH_WAYS.items()):
        return False
    kind = config.get("text_config", {}).get("model_type") or config.get("model_type")
    # BERT and its kin can be run either way; their weights come from looking both ways.
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES


def is_embedder(model: Model) -> bool:
    """Whether a base finds anything before it is trained, as far as that shows before it is fetched.

    A hub id is taken for an embedding model unless a key says how the base becomes one.
    """
    if model.pooling != "auto" or model.layers or model.base.endswith(".gguf"):
        return False
    return not is_local(model.base) or (Path(model.base).expanduser() / "modules.json").is_file()

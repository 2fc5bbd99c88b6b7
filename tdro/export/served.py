"""The files of a model's folder as servers read them.

sentence-transformers 6 and transformers 5 write files that they read themselves, and in which others miss something:

- the pooling is one word, where text-embeddings-inference and older vLLM look for a switch for each way of pooling;
- modules have the names of version 6, where older vLLM looks for those of version 5, and else pools as it likes and
  does not normalise;
- how many tokens are read stands in the tokenizer's configuration alone, where text-embeddings-inference needs it in
  ``sentence_bert_config.json``;
- the tokenizer's class and the base of rotary positions have names that transformers 4 does not know. It would refuse
  the first and take another number for the second, without a word.

Each file is given the older words beside its own or in their place; both versions read it alike.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Modules that have another path in version 6 of sentence-transformers; there the one of version 5 serves as well.
_MODULES = ("Transformer", "Pooling", "Normalize", "StaticEmbedding", "Dense")
#: Switches of the ways of pooling, by the word of version 6.
_SWITCHES = {
    "cls": "pooling_mode_cls_token",
    "mean": "pooling_mode_mean_tokens",
    "max": "pooling_mode_max_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}


def write_for_servers(folder: Path, length: int | None) -> None:
    """Change the files of a SentenceTransformer folder, which is read as before.

    Args:
        folder: The folder.
        length: Tokens that the model reads of a text at most; None for one that cuts nothing.
    """
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    for module in modules:
        name = module["type"].rpartition(".")[2]
        if name == "Pooling":
            _change(folder / module["path"] / "config.json", _pooling)
        if name in _MODULES:
            module["type"] = f"sentence_transformers.models.{name}"
    _write(folder / "modules.json", modules)
    if length is not None and (folder / "sentence_bert_config.json").is_file():
        _change(folder / "sentence_bert_config.json", lambda read: {**read, "max_seq_length": length})
    _change(folder / "tokenizer_config.json", _tokenizer)
    _change(folder / "config.json", _rotary)


def _pooling(config: dict[str, Any]) -> dict[str, Any]:
    chosen = config.get("pooling_mode")
    if not isinstance(chosen, str):
        return config
    switches = {switch: mode == chosen for mode, switch in _SWITCHES.items()}
    return {**config, "word_embedding_dimension": config.get("embedding_dimension"), **switches}


def _tokenizer(config: dict[str, Any]) -> dict[str, Any]:
    renamed = config.get("tokenizer_class") == "TokenizersBackend"
    return {**config, "tokenizer_class": "PreTrainedTokenizerFast"} if renamed else config


def _rotary(config: dict[str, Any]) -> dict[str, Any]:
    """One base for all layers also stands outside; where layers differ, version 4 has no word for it."""
    base = (config.get("rope_parameters") or {}).get("rope_theta")
    return {**config, "rope_theta": base} if base is not None else config


def _change(file: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    if file.is_file():
        _write(file, change(json.loads(file.read_text(encoding="utf-8"))))


def _write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

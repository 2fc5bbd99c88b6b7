"""How many tokens a model can read: positions it has learnt end there, rotary ones only get unreliable.

BERT, RoBERTa and GPT-2 keep a vector for each position, 512 or 1024 of them; at the next token they stop with an
IndexError. Llama, Qwen and ModernBERT turn vectors by an angle instead: they read longer texts than they were trained
on, but worse. What a local folder's files say is read here without torch; a loaded network says the same of itself.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tdro.errors import UserError
from tdro.models.modelfiles import read_config, tensor_shapes
from tdro.readers.fetch import PREFIX, is_local

log = logging.getLogger(__name__)

#: How the tables of learnt positions are called.
TABLES = ("position_embeddings", "position_embedding", "embed_positions", "wpe")
# Their positions start behind that of padding.
_BEHIND_PADDING = {
    *("roberta", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm", "camembert", "mpnet", "longformer", "esm"),
    *("data2vec-text", "ibert", "xmod", "luke", "mluke", "lilt"),
}


def check_lengths(reference: str, lengths: Mapping[str, int]) -> None:
    """Check that a model in a local folder reads texts of these lengths; others are passed over.

    Args:
        reference: Hub id, local folder, or ``package:NAME==VERSION/PATH``.
        lengths: Tokens that are asked for, by the key that asks.

    Raises:
        UserError: when the model has learnt fewer positions.
    """
    if reference.startswith(PREFIX) or not is_local(reference):
        return
    folder = Path(reference).expanduser()
    check_limits(reference, lengths, *_of_folder(folder))


def check_limits(reference: str, lengths: Mapping[str, int], learnt: int | None, trained: int | None) -> None:
    """Refuse lengths beyond learnt positions; warn of lengths beyond what a model was trained on.

    Args:
        reference: The model, for the sentence.
        lengths: Tokens that are asked for, by the key that asks.
        learnt: Positions that the model has vectors for; None for a model without such.
        trained: ``max_position_embeddings`` of its configuration.

    Raises:
        UserError: naming the model, the key and both numbers.
    """
    for key, length in lengths.items():
        if learnt is not None and length > learnt:
            raise UserError(
                f"{reference} reads {learnt} tokens (it has learnt no more positions), but {key} asks for {length}; "
                f"lower {key} to {learnt}, or use another model."
            )
        if learnt is None and trained is not None and length > trained:
            log.warning(
                "%s was trained on texts of at most %d tokens, but %s asks for %d: it reads longer texts, but worse",
                *(reference, trained, key, length),
            )


def of_network(network) -> tuple[int | None, int | None]:
    """Learnt positions of a transformers model, and how long the texts were that it was trained on."""
    import torch

    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Embedding) and name.rpartition(".")[2] in TABLES:
            padding = module.padding_idx if isinstance(module.padding_idx, int) else -1
            return module.num_embeddings - getattr(module, "offset", 0) - padding - 1, None
    return None, _number(getattr(network.config, "max_position_embeddings", None))


def _of_folder(folder: Path) -> tuple[int | None, int | None]:
    """The same, by the files of a model."""
    config = read_config(folder)
    trained = _number(config.get("max_position_embeddings") or config.get("n_positions"))
    rows = _table(folder)
    if rows is None:
        return None, trained
    if config.get("model_type") in _BEHIND_PADDING:
        return rows - 1 - int(config.get("pad_token_id") or 0), None
    return min(rows, trained or rows), None  # BART's and OPT's tables have two rows more than positions


def _table(folder: Path) -> int | None:
    """Rows of the table of positions in a folder's safetensors files."""
    for file in sorted(folder.glob("*.safetensors")):
        for name, shape in tensor_shapes(file).items():
            if name.removesuffix(".weight").rpartition(".")[2] in TABLES and len(shape) == 2:
                return shape[0]
    return None


def _number(value: Any) -> int | None:
    """A length as a configuration has it; XLNet writes -1 for none."""
    return value if isinstance(value, int) and value > 0 else None

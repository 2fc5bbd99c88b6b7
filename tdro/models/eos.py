"""The end-of-sequence token that last-token pooling reads."""

import json
from typing import Any

from tdro.errors import UserError


def append_eos(tokenizer) -> None:
    """Make a fast tokenizer end every text with EOS, and pad on the right.

    Decoder models carry no EOS of their own accord (Qwen1.5, Llama 3, SmolLM2), but last-token
    pooling needs one token that means "the text is over". The rule goes into the tokenizer's
    post-processor, so that it is saved with the model and truncation leaves room for it.
    """
    eos_id = tokenizer.eos_token_id
    if eos_id is None:
        raise UserError(f"the tokenizer of {tokenizer.name_or_path} has no EOS token; last-token pooling needs one.")
    tokenizer.padding_side = "right"
    if tokenizer("a")["input_ids"][-1] != eos_id:
        backend = tokenizer.backend_tokenizer
        state = json.loads(backend.to_str())["post_processor"]
        backend.post_processor = _ending_with(state, tokenizer.eos_token, eos_id)


def _ending_with(state: dict | None, eos: str, eos_id: int):
    """A post-processor like the serialised one, whose template also ends every text with EOS.

    Two templates in a row would treat the first one's pieces as several texts, so there must be one.
    """
    from tokenizers.processors import ByteLevel, Sequence, TemplateProcessing

    parts = state["processors"] if state and state["type"] == "Sequence" else [state] if state else []
    templates = [part for part in parts if part["type"] == "TemplateProcessing"]
    others = {part["type"] for part in parts} - {"TemplateProcessing", "ByteLevel"}
    if others or len(templates) > 1:
        kinds = ", ".join(part["type"] for part in parts)
        raise UserError(
            f"the base's tokenizer ends texts in a way that cannot be extended by EOS ({kinds}); "
            "use a base whose tokenizer has a ByteLevel or a TemplateProcessing post-processor."
        )
    pair = [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]
    template: dict[str, Any] = templates[0] if templates else {"single": pair[:1], "pair": pair, "special_tokens": {}}
    special = [*template["special_tokens"].values(), {"id": eos, "ids": [eos_id], "tokens": [eos]}]
    ending = TemplateProcessing(
        single=[*map(_piece, template["single"]), f"{eos}:0"],
        pair=[*map(_piece, template["pair"]), f"{eos}:1"],
        special_tokens=special,
    )
    byte_levels = [
        ByteLevel(
            add_prefix_space=part["add_prefix_space"], trim_offsets=part["trim_offsets"], use_regex=part["use_regex"]
        )
        for part in parts
        if part["type"] == "ByteLevel"
    ]
    return Sequence([*byte_levels, ending])


def _piece(piece: dict) -> str:
    """One piece of a serialised template in the notation that TemplateProcessing reads."""
    (kind, content), *_ = piece.items()
    return f"{'$' if kind == 'Sequence' else ''}{content['id']}:{content['type_id']}"

"""A tokenised batch of texts, in the three forms that sentence-transformers gives it.

    padded  ``input_ids`` and ``attention_mask`` of shape (texts, longest)
    in a row  ``input_ids`` of shape (1, tokens) and ``cu_seq_lens_q`` of shape (texts + 1,): with flash attention
            nothing is padded, the texts stand behind each other, and it is said where each begins
    in a bag  ``input_ids`` of shape (tokens,) and ``offsets`` of shape (texts,): a static embedding, which has no
            attention

The tokens of texts 3 and 4 are those of the same texts whatever the form; who embeds a batch need not know which it is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Features = Mapping[str, Any]


def padded(features: Features) -> bool:
    """Whether the texts are filled up to the longest of them."""
    return "attention_mask" in features


def text_lengths(features: Features) -> list[int]:
    """Tokens of each text, padding not counted."""
    return _lengths(features).tolist()


def positions(features: Features) -> int:
    """Positions that a model computes, padding included."""
    return features["input_ids"].numel()


def rows_of(features: Features, places: Sequence[int]) -> dict[str, Any]:
    """Some texts of a batch, without the positions that are padding in all of them."""
    rows = torch.tensor(places, dtype=torch.long, device=features["input_ids"].device)
    if not padded(features):
        return _texts_of_row(features, rows)
    mask = features["attention_mask"]
    used = mask[rows].any(dim=0)
    return {
        name: value[rows][:, used] if _is_tokens(value, features) else value[rows] if _is_texts(value, mask) else value
        for name, value in features.items()
    }


def merged(columns: Sequence[Features]) -> dict[str, Any]:
    """All columns as one batch, the texts of the first column first."""
    # `task` is of the column; it has decided on the length by now.
    found = {name: value for name, value in columns[0].items() if name != "task"}
    for name in [name for name, value in found.items() if _is_tokens(value, columns[0])]:
        found[name] = _side_by_side([column[name] for column in columns], stacked=padded(columns[0]))
    if not padded(columns[0]):
        found |= _boundaries(torch.cat([_lengths(column) for column in columns]), columns[0])
    return found


def distinct(features: Features) -> tuple[dict[str, Any], Tensor]:
    """Each text once, and the place of every text of the batch among them, shape (texts,)."""
    _, place = torch.unique(_filled(features), dim=0, return_inverse=True)
    numbers = torch.arange(len(place), device=place.device)
    first = numbers.new_full((int(place.max()) + 1,), len(place)).scatter_reduce(0, place, numbers, "amin")
    return rows_of(features, first.tolist()), place


def _lengths(features: Features) -> Tensor:
    if padded(features):
        return features["attention_mask"].sum(dim=1)
    if "cu_seq_lens_q" in features:
        return features["cu_seq_lens_q"].diff()
    end = features["offsets"].new_tensor([positions(features)])
    return torch.cat([features["offsets"], end]).diff()


def _texts_of_row(features: Features, rows: Tensor) -> dict[str, Any]:
    lengths = _lengths(features)
    starts, lengths = (lengths.cumsum(0) - lengths)[rows], lengths[rows]
    # The k-th token taken is the k-th of the texts taken; each text's tokens lie where it began in the batch.
    moved = (starts - (lengths.cumsum(0) - lengths)).repeat_interleave(lengths)
    tokens = moved + torch.arange(len(moved), device=moved.device)
    kept = {name: value[..., tokens] if _is_tokens(value, features) else value for name, value in features.items()}
    return kept | _boundaries(lengths, features)


def _boundaries(lengths: Tensor, like: Features) -> dict[str, Any]:
    """Where texts of these lengths begin, under the names of the batch's form."""
    if "cu_seq_lens_q" not in like:
        return {"offsets": lengths.cumsum(0) - lengths}
    ends = torch.nn.functional.pad(lengths.cumsum(0, dtype=torch.int32), (1, 0))
    numbers = torch.arange(len(lengths), dtype=torch.int32, device=lengths.device).repeat_interleave(lengths)
    longest = int(lengths.max())
    return {
        **{"cu_seq_lens_q": ends, "cu_seq_lens_k": ends, "max_length_q": longest, "max_length_k": longest},
        "seq_idx": numbers[None],
    }


def _filled(features: Features) -> Tensor:
    """The tokens of each text, filled up with -1, shape (texts, longest)."""
    tokens = features["input_ids"]
    if padded(features):
        return tokens.masked_fill(features["attention_mask"] == 0, -1)
    return torch.nn.utils.rnn.pad_sequence(
        tokens.flatten().split(text_lengths(features)), batch_first=True, padding_value=-1
    )


def _side_by_side(values: Sequence[Tensor], *, stacked: bool) -> Tensor:
    """Values of the tokens of several columns: rows of one width below each other, or one row of all."""
    if not stacked:
        return torch.cat(list(values), dim=-1)
    longest = max(value.shape[1] for value in values)
    return torch.cat([torch.nn.functional.pad(value, (0, longest - value.shape[1])) for value in values])


def _is_tokens(value: Any, features: Features) -> bool:
    return isinstance(value, Tensor) and value.shape == features["input_ids"].shape


def _is_texts(value: Any, mask: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape[:1] == mask.shape[:1]

"""Flash attention pretended on a CPU, so that sentence-transformers flattens texts as it does on a GPU."""

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

#: Name of the stand-in.
NAME = "varlen_stand_in"


def varlen(module, query, key, value, attention_mask, *, cu_seq_lens_q=None, **others):
    """Each text of the row attends to itself, as the kernel has it: shape (1, heads, tokens, dimension)."""
    if cu_seq_lens_q is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **others)
    sizes = cu_seq_lens_q.diff().tolist()
    others = {name: value for name, value in others.items() if name in ("scaling", "dropout")}
    texts = zip(*(states.split(sizes, dim=2) for states in (query, key, value)), strict=True)
    return torch.cat([sdpa_attention_forward(module, *text, None, **others)[0] for text in texts], dim=1), None


def pretend_flash_attention(monkeypatch):
    """Register the stand-in, and make sentence-transformers find that it has kernels for texts of any length."""
    from sentence_transformers.base.modules import transformer
    from transformers import modeling_flash_attention_utils

    AttentionInterface.register(NAME, varlen)
    AttentionMaskInterface.register(NAME, lambda *arguments, **others: None)
    kernels = (None, varlen, None, None), None
    monkeypatch.setattr(modeling_flash_attention_utils, "lazy_import_flash_attention", lambda name: kernels)
    asked = lambda self: self.config._attn_implementation == NAME  # noqa: E731
    monkeypatch.setattr(transformer.Transformer, "_is_flash_attention_requested", asked)


def flatten(retriever):
    """Let a loaded retriever use the stand-in."""
    retriever[0].auto_model.set_attn_implementation(NAME)
    retriever[0].unpad_inputs = None  # asks again whether it can flatten
    assert retriever[0].can_flatten_inputs
    return retriever

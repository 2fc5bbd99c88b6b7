"""Small bases of every kind, with random weights: networks, embedding models and a static embedding."""

import numpy as np
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding, Transformer
from tinymodels import byte_tokenizer

from tdro.config.models import Encoding, Model
from tdro.models.bases import load_retriever
from tdro.models.load import load_trained
from tdro.models.networks import network_of
from tdro.models.weights import freeze_unused
from tdro.training.collate import batch_of
from tdro.training.losses import ContrastiveLoss

ENCODING = Encoding(query_length=24, passage_length=32, precision="fp32")
TEXTS = ["alpha beta", "gamma delta epsilon zeta", "eta", "theta iota kappa lambda mu nu xi"]
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}
GROUPED = {**SIZES, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128}
GEMMA = {**GROUPED, "sliding_window": 16}
STILL = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), 0.0)
MARKS = dict.fromkeys(("pad_token_id", "cls_token_id", "sep_token_id", "bos_token_id", "eos_token_id"), 0)
#: Each kind of network: its class, how `auto` pools it, and its configuration.
NETWORKS = {
    "bert": ("BertModel", "mean", {"max_position_embeddings": 64, **SIZES, **STILL}),
    "xlm_roberta": ("XLMRobertaModel", "mean", {"max_position_embeddings": 66, **SIZES}),
    "modernbert": ("ModernBertModel", "mean", {"max_position_embeddings": 128, **SIZES, **MARKS}),
    "t5": ("T5EncoderModel", "mean", {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}),
    "gemma3": ("Gemma3TextModel", "lasttoken", GEMMA),
    "gemma3_both_ways": ("Gemma3TextModel", "mean", {**GEMMA, "use_bidirectional_attention": True}),
    "qwen3": ("Qwen3Model", "lasttoken", GROUPED),
    "qwen3_both_ways": ("Qwen3Model", "mean", {**GROUPED, "is_causal": False}),
}


def save_bare(kind, folder):
    """A network and its tokenizer, as a hub folder looks that is no embedding model."""
    torch.manual_seed(0)
    tokenizer = byte_tokenizer(pad_token="<|end|>")
    name, _, config = NETWORKS[kind]
    network = getattr(transformers, name)
    network(network.config_class(vocab_size=len(tokenizer), **config)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_embedder(kind, folder, *more, prompts=None, pooling="cls", length=20):
    """The same as an embedding model."""
    bare = save_bare(kind, folder.with_name(f"{folder.name}-bare"))
    modules = [Transformer(str(bare), max_seq_length=length), Pooling(32, pooling_mode=pooling), *more]
    SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save_pretrained(
        str(folder), create_model_card=False
    )
    return folder


def save_static(folder):
    torch.manual_seed(0)
    tokenizer = byte_tokenizer()
    module = StaticEmbedding(tokenizer, embedding_dim=16)
    SentenceTransformer(modules=[module], device="cpu").save_pretrained(str(folder), create_model_card=False)
    return folder


def load(folder, encoding=ENCODING, **changes):
    return load_retriever(Model(name="m", base=str(folder), **changes), encoding)


def train(retriever, steps=2):
    """A few steps on made rows; every weight that is trained gets a gradient."""
    if (network := network_of(retriever)) is not None:
        freeze_unused(network)
    retriever.train()
    loss = ContrastiveLoss(retriever, 0.05)
    trained = [p for p in retriever.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    queries, passages = TEXTS, [" ".join(reversed(text.split())) for text in TEXTS]
    for _ in range(steps):
        columns = [retriever.preprocess(queries, task="query"), retriever.preprocess(passages, task="document")]
        optimizer.zero_grad()
        loss(batch_of(columns), range(len(TEXTS))).backward()
        assert all(p.grad is not None for p in trained)
        optimizer.step()
    return retriever.eval()


def check_saved(retriever, folder):
    """What plain sentence-transformers reads is what we read."""
    retriever.save_pretrained(str(folder), create_model_card=False)
    theirs, again = SentenceTransformer(str(folder), device="cpu"), load_trained(folder)
    expected = retriever.encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-5)
    for model in (theirs, again):
        np.testing.assert_allclose(model.encode(TEXTS), expected, atol=1e-6)
    return theirs

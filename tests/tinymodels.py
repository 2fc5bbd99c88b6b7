"""Parts of small models, made by the tests."""

GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon"

WORDS = ["red", "green", "blue", "cat", "dog", "bird", "runs", "sleeps"]
WORDS += ["sings", "in", "the", "park", "house", "river", "near", "old"]


def byte_tokenizer(**special):
    """A byte-level BPE trained on Greek letters; like Qwen's, it neither starts nor ends a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<|end|>"], initial_alphabet=alphabet)
    backend.train_from_iterator([GREEK] * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>", **special)


def bert(folder, kind, **config):
    """A BERT with two random layers and a vocabulary of whole words."""
    import torch
    import transformers

    vocabulary = folder / "vocab.txt"
    letters = [piece for letter in "abcdefghijklmnopqrstuvwxyz" for piece in (letter, f"##{letter}")]
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters]))
    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    shape = {"vocab_size": 75, "max_position_embeddings": 64, "initializer_range": 0.5}
    getattr(transformers, kind)(transformers.BertConfig(**shape, **size, **config)).save_pretrained(folder / "bert")
    transformers.BertTokenizerFast(vocab=str(vocabulary)).save_pretrained(folder / "bert")
    return str(folder / "bert")


def save_words(folder, vectors, **prompts):
    """A retriever whose embedding of a text is the mean of its words' vectors; unknown words are zero.

    Args:
        folder: Gets it, and is returned.
        vectors: Vector of each word.
        prompts: Its own, by name.
    """
    import numpy as np
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    words = {"[UNK]": 0, **{word: i + 1 for i, word in enumerate(vectors)}}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    rows = list(vectors.values())
    weights = np.vstack([np.zeros(len(rows[0])), *rows]).astype(np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=weights)
    SentenceTransformer(modules=[module], device="cpu", prompts=prompts or None).save(str(folder))
    return folder

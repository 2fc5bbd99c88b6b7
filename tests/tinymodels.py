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

"""Small real models, made by the tests: no network, no files from elsewhere."""

import gc
import signal
from pathlib import Path

import pytest
from hypothesis import settings
from tinymodels import byte_tokenizer

# One profile for every property test. No deadline: how fast the machine is must not decide whether a test passes. A
# failure prints the line (`@reproduce_failure(...)`) that repeats it.
settings.register_profile("tdro", deadline=None, print_blob=True)
settings.load_profile("tdro")

# As in a job (tdro.cli.main): to load libraries takes a fifth less.
gc.set_threshold(200_000, 20, 50)


# What starts the tests in the background, or by nohup, has signals ignored, and every process of a test inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> Path:
    """A two-layer Llama with random weights and a tokenizer that adds no EOS, as a hub folder looks."""
    import torch
    from transformers import LlamaConfig, LlamaModel

    folder = tmp_path_factory.mktemp("base")
    tokenizer = byte_tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    LlamaModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def project(tiny_base, tmp_path):
    """Two small tasks that can be trained on (trainings.py)."""
    from trainings import Project

    return Project(tiny_base, tmp_path)

"""Averaging models a tensor at a time, against loading all of their state dicts: time and peak memory.

    python benchmarks/merge.py                                # four models of 400 MB
    python benchmarks/merge.py --models 8 --megabytes 1600

A model is a static embedding beside layers of square matrices, of random numbers, so that it has tensors of two sizes
as a network has. Each way runs in a process of its own, twice in turn, and the second is printed: files come from the
page cache both times. Peak memory is what the process held at most above what it held once its libraries were loaded.
The two results are compared.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tdro.models.stored import StoredModel
from tdro.training.merge import merge

#: Numbers of a layer's matrix, and the share of a model that its embeddings are.
WIDTH, EMBEDDED = 1024, 0.1


def main() -> None:
    """Measure both ways, or one of them where this is the process for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--megabytes", type=int, default=400, help="of each")
    parser.add_argument("--way", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        way, folder = options.way[0], Path(options.way[1])
        print(json.dumps(measured(way, sorted(folder.glob("model*")), folder / way)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number in range(options.models):
            make(folder / f"model{number}", options.megabytes, number)
        found = {}
        for way in [*WAYS, *WAYS]:
            shutil.rmtree(folder / way, ignore_errors=True)
            line = [sys.executable, __file__, "--way", way, str(folder)]
            done = subprocess.run(line, check=True, capture_output=True, text=True)
            found[way] = json.loads(done.stdout.splitlines()[-1])
        compare(*(folder / way for way in WAYS))
    print(f"{options.models} models of {options.megabytes} MB\n{'':12} {'seconds':>8} {'MB above start':>15}")
    for way, (seconds, memory) in found.items():
        print(f"{way:12} {seconds:8.1f} {memory:15.0f}")


def make(folder: Path, megabytes: int, seed: int) -> None:
    """Write a model."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    rows = int(megabytes * 1e6 * EMBEDDED / 4 / WIDTH)
    tokenizer = Tokenizer(WordLevel({f"word{row}": row for row in range(rows)}, unk_token="word0"))
    random = torch.Generator().manual_seed(seed)
    embedding = StaticEmbedding(tokenizer, embedding_weights=torch.randn(rows, WIDTH, generator=random).numpy())
    SentenceTransformer(modules=[embedding], device="cpu").save_pretrained(str(folder), create_model_card=False)
    layers = int(megabytes * 1e6 * (1 - EMBEDDED) / 4 / WIDTH**2)
    tensors = {f"layers.{n}.weight": torch.randn(WIDTH, WIDTH, generator=random) for n in range(layers)}
    file = folder / "model.safetensors"
    save_file(load_file(file) | tensors, file, {"format": "pt"})


def with_merge(models: list[Path], output: Path) -> None:
    """Ours."""
    merge(models, output)


def with_state_dicts(models: list[Path], output: Path) -> None:
    """The short way to write it: everything in memory, then the mean."""
    states = [load_file(model / "model.safetensors") for model in models]
    mean = {name: sum(state[name] for state in states) / len(states) for name in states[0]}
    shutil.copytree(models[0], output, ignore=shutil.ignore_patterns("*.safetensors"))
    save_file(mean, output / "model.safetensors", {"format": "pt"})


WAYS = {"merge": with_merge, "state_dicts": with_state_dicts}


def measured(way: str, models: list[Path], output: Path) -> tuple[float, float]:
    """Seconds and megabytes of one way, in a process that does nothing else."""
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of what was loaded before
    before, started = _megabytes("VmRSS"), time.perf_counter()
    WAYS[way](models, output)
    return time.perf_counter() - started, _megabytes("VmHWM") - before


def _megabytes(key: str) -> float:
    """Resident memory, or its peak. Not `getrusage`, whose peak starts with that of the process before this one."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1000


def compare(one: Path, other: Path) -> None:
    """Stop where the two averages differ by more than rounding."""
    mine, theirs = StoredModel(one), StoredModel(other)
    for place in mine.places:
        if not torch.allclose(mine.read(*place), theirs.read(*place), atol=1e-6):
            raise SystemExit(f"the averages differ in {place[1]}")


if __name__ == "__main__":
    main()

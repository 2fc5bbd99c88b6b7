"""What a card does: training, tDRO, encoding, exact search, beside sentence-transformers' cached loss on the same rows.

    python benchmarks/gpu.py             # a table in Markdown for the GPU it runs on; without one, tiny sizes
    python benchmarks/gpu.py --tiny      # a minute on a laptop: shows that it runs, and says nothing of speed

Two models with random weights and a tokenizer made of the words of docs/: a SmolLM2-135M cut to 12 layers, and a
Qwen3-0.6B. Texts are made: queries of 5 to 20 words, passages of 20 to 180. Nothing is fetched.

Tokens are those of the rows, padding not counted, of each text as often as it stands there. MFU is the operations that
these tokens take, by the arithmetic of `tdro forecast` (what is computed a second time for GradCache does not count),
over the peak that the card's maker states for bfloat16. Waits are the operations of a step for which the host waits for
the device, as torch's `set_sync_debug_mode` tells them, in this project's modules and in libraries'. Seconds are those
of the steps after the first two, memory is the most that torch held.
"""

import argparse
import gc
import importlib.util
import random
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from training import by_column
from transformers import TrainerCallback, set_seed

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import CORPUS, PLAN, QUERIES
from tdro.config.commands import OptimizeJob, TrainJob
from tdro.config.mining import Search
from tdro.config.models import Encoding, Model
from tdro.config.prompts import TaskPrompts
from tdro.config.registry import Prompted
from tdro.config.training import Tdro, Training
from tdro.dro.loss import RobustLoss
from tdro.dro.update import TaskWeights
from tdro.forecast import cost, models, rates
from tdro.models.bases import load_retriever
from tdro.models.processes import device
from tdro.progress import Progress
from tdro.retrieval.encoder import Encoder
from tdro.retrieval.nearest import Nearest, open_index
from tdro.training import collate, trainer
from tdro.training.batches import Texts
from tdro.training.kepttexts import keep_texts
from tdro.training.learner import Learner, Places
from tdro.training.losses import ContrastiveLoss
from tdro.training.meter import Meter

ROOT = Path(__file__).parents[1]
WARM_UP = 2
TASKS = {f"task{number}": Prompted(instruction="Find the passage.") for number in range(4)}
SHARED = {"num_key_value_heads": 8, "max_position_embeddings": 1024, "bos_token_id": None}
#: The shapes: class of the configuration in transformers, and its keys.
SHAPES = {
    "SmolLM2-135M, 12 layers": (
        "LlamaConfig",
        {
            "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 9,
            "num_key_value_heads": 3, "vocab_size": 49152,
        },
    ),
    "Qwen3-0.6B": (
        "Qwen3Config",
        {
            "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
            "head_dim": 128, "vocab_size": 151936,
        },
    ),
}  # fmt: skip
TINY_SHAPE = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 16,
    "num_key_value_heads": 2, "vocab_size": 4096,
}  # fmt: skip


class Sizes(NamedTuple):
    """How much is computed: rows a step, steps, texts of a mini-batch, texts encoded, passages and queries searched."""

    rows: int
    steps: int
    mini_batch: int
    encoded: int
    passages: int
    queries: int


FULL, TINY = Sizes(256, 12, 32, 20_000, 1_000_000, 10_000), Sizes(8, 4, 4, 64, 20_000, 100)
NEGATIVES, LENGTH = 1, 256


class Line(NamedTuple):
    """A line of the table; what could not be measured is None."""

    what: str
    speed: str
    mfu: float | None
    memory: float | None
    waits: tuple[float, float] | None


class Waits:
    """Operations for which the host waited for the device, while it is asked to watch."""

    def __init__(self) -> None:
        self.ours = self.theirs = 0

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Count what happens inside; nothing where there is no GPU."""
        if device().type != "cuda":
            yield
            return
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                yield
            finally:
                torch.cuda.set_sync_debug_mode("default")
        places = [warning.filename for warning in said if "synchronizing CUDA operation" in str(warning.message)]
        ours = sum(str(ROOT / "tdro") in place for place in places)
        self.ours, self.theirs = self.ours + ours, self.theirs + len(places) - ours

    def each(self, number: int) -> tuple[float, float] | None:
        """So many a step."""
        return (self.ours / number, self.theirs / number) if device().type == "cuda" else None


class Setting(NamedTuple):
    """A model's folder and network, and the rows that are trained on."""

    model: Model
    network: models.Network
    encoding: Encoding
    plan: pa.Table
    texts: Texts
    sizes: Sizes
    folder: Path


def now() -> float:
    """The time when the device has done all that it was given."""
    if device().type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def fresh() -> None:
    """Memory is counted from here on; what the one before held is gone."""
    gc.collect()
    if device().type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def memory() -> float | None:
    """Most bytes of the GPU since :func:`fresh`."""
    return torch.cuda.max_memory_allocated() if device().type == "cuda" else None


def peak() -> float | None:
    """Stated operations a second in bfloat16."""
    found = rates.device(torch.cuda.get_device_name()) if device().type == "cuda" else None
    return found.peak if found else None


def share(operations: float, seconds: float) -> float | None:
    """What is reached of the peak."""
    return operations / seconds / peak() if peak() else None


def save_base(folder: Path, shape: str, tiny: bool) -> None:
    """A network with random weights, and a tokenizer of the words of docs/."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learn = trainers.BpeTrainer(vocab_size=4096, special_tokens=["<|end|>"], initial_alphabet=alphabet)
    backend.train_from_iterator(words(), learn)
    end = {"eos_token": "<|end|>", "pad_token": "<|end|>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **end).save_pretrained(folder)
    name, keys = SHAPES[shape]
    config = getattr(transformers, name)(**SHARED | (TINY_SHAPE if tiny else keys), eos_token_id=0, pad_token_id=0)
    transformers.AutoModel.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)


def words() -> list[str]:
    """Those of the documents."""
    text = " ".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "docs").glob("*.md")))
    return re.findall(r"[A-Za-z]{2,}", text)


def made_texts(number: int, fewest: int, most: int, seed: int) -> list[str]:
    """Texts of so many words, always the same."""
    chance, known = random.Random(seed), words()
    return [" ".join(chance.choices(known, k=chance.randint(fewest, most))) for _ in range(number)]


def prepare(folder: Path, shape: str, tiny: bool) -> Setting:
    """Write a base, texts and a plan, in which every step has new texts."""
    sizes = TINY if tiny else FULL
    base = folder / "base"
    save_base(base, shape, tiny)
    each = sizes.rows * sizes.steps
    ids = [str(number) for number in range(each)]
    for place, task in enumerate(TASKS):
        data, passages = folder / "data" / task, made_texts(each * (1 + NEGATIVES), 20, 180, 2 * place)
        numbers = [str(number) for number in range(len(passages))]
        write_table(
            data / "corpus.parquet", {"passage_id": numbers, "title": [""] * len(numbers), "text": passages}, CORPUS
        )
        asked = {"query_id": ids, "query": made_texts(each, 5, 20, 2 * place + 1)}
        write_table(
            data / "queries.parquet",
            asked | {"positives": [[n] for n in range(each)], "negatives": [[]] * each},
            QUERIES,
        )
    rows = np.arange(each)
    plan = pa.table(
        {
            "step": rows // sizes.rows,
            "slot": rows % sizes.rows,
            "task": [f"task{row % len(TASKS)}" for row in rows],
            "query": rows,
            "positive": rows,
            "negatives": (rows[:, None] + each * np.arange(1, 1 + NEGATIVES)).tolist(),
        },
        schema=PLAN,
    )
    keep_texts(plan, folder, folder / "texts")
    flash = device().type == "cuda" and importlib.util.find_spec("flash_attn") is not None
    model = Model(name="made", base=str(base), attention="flash_attention_2" if flash else None)
    network = models.read(str(base), base)
    encoding = Encoding(query_length=LENGTH, passage_length=LENGTH, precision="bf16")
    texts = Texts(folder / "texts", TASKS, 1, TaskPrompts(query="", passage=""))
    return Setting(model, network, encoding, plan, texts, sizes, folder)


class Clock(TrainerCallback):
    """Time of the steps after the warm-up, and the waits of the last warming step."""

    def __init__(self, steps: int, waits: Waits) -> None:
        self._steps, self._waits = steps, waits

    def on_step_begin(self, args, state, control, **others):
        """Begin to count the waits, or to take the time."""
        if state.global_step == WARM_UP - 1:
            self._watch = self._waits.watch()
            self._watch.__enter__()
        if state.global_step == WARM_UP:
            self._began = now()

    def on_step_end(self, args, state, control, **others):
        """End it."""
        if state.global_step == WARM_UP:
            self._watch.__exit__(None, None, None)
        if state.global_step == self._steps:
            self.seconds = now() - self._began


def trained(what: str, setting: Setting, job, settings, loss_of: Callable) -> Line:
    """Train; a line of the table."""
    set_seed(1)
    fresh()
    model, meter = load_retriever(setting.model, setting.encoding), Meter(setting.plan["task"].to_pylist())
    waits, sizes = Waits(), setting.sizes
    clock = Clock(sizes.steps, waits)
    with tempfile.TemporaryDirectory() as folder:
        places = Places(*(Path(folder) / name for name in ("plan", "results", "output", "checkpoints", "tensorboard")))
        learner = Learner(places, job, setting.plan, model, setting.texts, meter)
        trainer.run(learner, loss_of(model, meter), settings, callbacks=(clock,))
    setting.texts.close()
    first = WARM_UP * sizes.rows
    texts = [setting.texts[t] for row in setting.plan.slice(first).to_pylist() for t in setting.texts.of_row(row)]
    tokens = lengths_of(model, texts)
    operations = cost.training(
        setting.network, sum(tokens), float(np.mean(tokens)), checkpointing=False, cached=False, adapters=0
    )
    speed = f"{sum(tokens) / clock.seconds:,.0f} tokens/s"
    return Line(what, speed, share(operations / cost.PADDING, clock.seconds), memory(), waits.each(1))


def lengths_of(model, texts: list[str]) -> list[int]:
    """Tokens of each text as the model reads it."""
    found = model.tokenizer(texts, truncation=False, verbose=False)["input_ids"]
    return [min(LENGTH, len(tokens)) for tokens in found]


def training_lines(setting: Setting) -> Iterator[Line]:
    """A step of training, ours and sentence-transformers', and a step of tDRO."""
    from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss

    sizes = setting.sizes
    shape = {
        "steps": sizes.steps, "batch_size": sizes.rows, "negatives": NEGATIVES, "temperature": 0.05, "warmup_steps": 1,
        "mini_batch_tokens": sizes.mini_batch * LENGTH, "save_steps": 1000, "log_steps": 1000, "report_to": [],
    }  # fmt: skip
    common = {"model": setting.model, "encoding": setting.encoding, "tasks": TASKS, "seed": 1}
    train, tdro = Training(**shape), Tdro(**shape, accumulation=1)
    job = TrainJob(**common, training=train)
    yield trained("training", setting, job, train, lambda model, meter: ContrastiveLoss(model, 0.05, meter=meter))

    class Theirs(CachedMultipleNegativesRankingLoss):
        """Its loss, on our batches of a pass a column."""

        def forward(self, batch, rows):
            return super().forward([dict(texts) for texts in batch.passes], None)

    ours, collate.batch_of = collate.batch_of, by_column
    try:
        peer = "CachedMultipleNegativesRankingLoss"
        yield trained(
            peer, setting, job, train, lambda model, meter: Theirs(model, 20, mini_batch_size=sizes.mini_batch)
        )
    finally:
        collate.batch_of = ours

    def robust(model, meter):
        ids = torch.tensor([list(TASKS).index(task) for task in setting.plan["task"].to_pylist()])
        weights = TaskWeights(torch.ones(len(TASKS)), tdro)
        return RobustLoss(model, weights, ids, torch.ones(len(ids)), tdro, meter)

    yield trained("tDRO", setting, OptimizeJob(**common, tdro=tdro), tdro, robust)


def encoding_line(setting: Setting) -> Line:
    """Encoding of passages, as mining does it."""
    fresh()
    model, texts = load_retriever(setting.model, setting.encoding), made_texts(setting.sizes.encoded, 20, 180, 9)
    encoder = Encoder(model.eval(), "", "", setting.encoding.precision, setting.sizes.mini_batch * 4)
    progress, waits = Progress("encoded", "texts"), Waits()
    few = texts[: len(texts) // 8]
    encoder.by_tokens(few, "passage", progress)
    with waits.watch():
        encoder.by_tokens(few, "passage", progress)
    began = now()
    _, counts = encoder.by_tokens(texts, "passage", progress)
    seconds, tokens = now() - began, counts["tokens"]
    operations = cost.forward(setting.network, tokens, tokens / len(texts)) / cost.PADDING
    speed = f"{tokens / seconds:,.0f} tokens/s"
    return Line("encoding", speed, share(operations, seconds), memory(), waits.each(1))


def search_line(setting: Setting) -> Line:
    """Exact search of float16 embeddings in blocks, as `tdro search` does it."""
    fresh()
    sizes, width, chance = setting.sizes, setting.network.width, np.random.default_rng(1)
    block = np.ascontiguousarray(chance.standard_normal((sizes.passages // 4, width), dtype=np.float32) / width**0.5)
    asked, waits = chance.standard_normal((sizes.queries, width), dtype=np.float32), Waits()
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    index = open_index(Search(), width)
    index.hold(block)  # warms up
    halves = block.astype(index.takes)
    with waits.watch():
        Nearest(asked, index, 100).look(0, halves)
    began = now()
    nearest = Nearest(asked, index, 100)
    for start in range(0, 4 * len(block), len(block)):
        nearest.look(start, halves)
    assert (nearest.best[0] >= 0).all()
    speed = f"{sizes.queries / (now() - began):,.0f} queries/s of {4 * len(block):,} x {width}"
    return Line("exact search", speed, None, memory(), waits.each(1))


def shown(line: Line) -> str:
    """A line of the table."""
    known = [
        "" if line.mfu is None else f"{line.mfu:.1%}",
        "" if line.memory is None else f"{line.memory / 1e9:.1f} GB",
        "" if line.waits is None else "{:.0f}, {:.0f}".format(*line.waits),
    ]
    return f"| {line.what} | {line.speed} | {' | '.join(known)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="small sizes, also on a GPU")
    options = parser.parse_args()
    cuda = device().type == "cuda"
    tiny = options.tiny or not cuda
    card = torch.cuda.get_device_name() if cuda else "CPU"
    stated = f"{peak() / 1e12:.0f} TFLOP/s stated" if peak() else "no peak stated"
    for shape in SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            setting = prepare(Path(folder), shape, tiny)
            attention = setting.model.attention or "sdpa"
            said = (
                f"{shape}{', its tiny stand-in' if tiny else ''}: {setting.network.parameters / 1e6:,.1f} M parameters"
            )
            print(f"\n{said}, {attention}, bf16, on {card} ({stated})\n")
            print("| | speed | MFU | peak memory | waits a step: ours, libraries' |\n|---|--:|--:|--:|--:|")
            for line in training_lines(setting):
                print(shown(line), flush=True)
            print(shown(encoding_line(setting)), flush=True)
            print(shown(search_line(setting)), flush=True)


if __name__ == "__main__":
    main()

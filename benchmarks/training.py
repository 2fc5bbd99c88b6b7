"""Training steps: ours against sentence-transformers' loss and the released code's way, on the demo's own rows.

    make demo-llm                         # or any other run that has planned a training
    python benchmarks/training.py                # 20 steps of its uniform plan, twice each, alternating
    python benchmarks/training.py --length 160   # texts as long as they are, not cut to the demo's 48 and 40 tokens

The plan, the base, the trainer, the optimiser and the precision are the same; only the way a batch goes through the
model differs. Every run is a process of its own, so that its peak memory is its own. The first steps, in which the
allocator warms up, are not timed. `released` pads a batch to its longest text and makes one forward pass for the
queries and one for all passages, as the released code does.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
WAYS = ("ours", "sentence-transformers", "released")
WARM_UP = 4
#: As workflow/scripts/launch.sh sets it: the C library keeps large blocks and hands none back after a step.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "8000000000"}


def by_column(columns, *others):
    """A batch with a pass a column, as sentence-transformers' loss has it."""
    import torch

    from tdro.models.features import text_lengths
    from tdro.training.collate import Batch

    lengths = [length for column in columns for length in text_lengths(column)]
    places = torch.arange(len(lengths)).reshape(len(columns), -1)
    return Batch(list(columns), places, {}, sum(lengths), cached=False)


def as_released(columns, *others):
    """A batch with a pass for the queries and one for the passages, padded to the longest of all."""
    import torch

    longest = max(column["attention_mask"].shape[1] for column in columns)

    def widened(columns):
        names = ("input_ids", "attention_mask")
        pad = torch.nn.functional.pad
        return {n: torch.cat([pad(c[n], (0, longest - c[n].shape[1])) for c in columns]) for n in names}

    passes = [columns[0] | widened(columns[:1]), columns[1] | widened(columns[1:])]
    return by_column(columns)._replace(passes=passes)


def run(way: str, config: Path, results: Path, steps: int, length: int | None) -> dict:
    """Train; seconds a step, peak memory and the losses."""
    from sentence_transformers.base.losses import merged_forward
    from transformers import set_seed

    from tdro.artifacts.files import read_table
    from tdro.artifacts.layout import Layout
    from tdro.artifacts.schemas import PLAN
    from tdro.models.bases import base_prompts, load_retriever
    from tdro.pipeline.start import read
    from tdro.training import collate, losses
    from tdro.training.batches import Texts
    from tdro.training.kepttexts import keep_texts
    from tdro.training.meter import Meter

    if way != "ours":
        collate.batch_of = as_released if way == "released" else by_column
    if way == "sentence-transformers":
        losses.embed = lambda model, batch, meter: merged_forward.embed_columns(model, batch.passes)
    jobs = read(yaml.safe_load(config.read_text()), ROOT)
    job = jobs.train(jobs.config.proxy, jobs.config.seeds[0])
    settings = job.training.model_copy(update={"steps": steps, "log_steps": 1, "save_steps": 10 * steps})
    path = Layout(results).run(job.model.name, job.seed, "uniform/plan.parquet")
    plan = read_table(path, PLAN).slice(0, steps * settings.batch_size)
    set_seed(job.seed)
    if length:
        lengths = {"query_length": length, "passage_length": length}
        job = job.model_copy(update={"encoding": job.encoding.model_copy(update=lengths)})
    model = load_retriever(job.model, job.encoding)
    meter = Meter(plan["task"].to_pylist())
    loss = losses.ContrastiveLoss(model, settings.temperature, meter=meter)

    with tempfile.TemporaryDirectory() as kept:
        keep_texts(plan, results, Path(kept))
        texts = Texts(Path(kept), job.tasks, job.seed, base_prompts(job.model, model))
        seconds, memory, seen = timed(job, model, loss, plan, texts, meter, settings, WARM_UP)
    return {"seconds": seconds, "rows": settings.batch_size / seconds, "memory": memory, "losses": seen}


def timed(job, model, loss, plan, texts, meter, optimisation, warm_up: int) -> tuple[float, float, list[float]]:
    """Train; seconds a step after the first ``warm_up``, peak memory in MB, and the logged losses."""
    from transformers import TrainerCallback

    from tdro.training import trainer
    from tdro.training.learner import Learner, Places

    class Clock(TrainerCallback):
        """Times and losses of the steps."""

        def __init__(self):
            self.times, self.seen = [], []

        def on_step_end(self, args, state, control, **others):
            self.times.append(time.perf_counter())

        def on_log(self, args, state, control, logs, **others):
            self.seen += [logs["loss"]] if "loss" in logs else []

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        places = Places(*(Path(folder) / name for name in ("plan", "results", "output", "checkpoints", "tensorboard")))
        trainer.run(Learner(places, job, plan, model, texts, meter), loss, optimisation, callbacks=(clock,))
    seconds = (clock.times[-1] - clock.times[warm_up - 1]) / (len(clock.times) - warm_up)
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, clock.seen


def main() -> None:
    """Run every way, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "config" / "llm.yaml")
    parser.add_argument("--results", type=Path, default=ROOT / "llm" / "results")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--length", type=int, help="tokens of a query and of a passage; default: those of the config")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(run(options.way, options.config, options.results, options.steps, options.length)))
        return
    found: dict[str, list[dict]] = {way: [] for way in WAYS}
    for _ in range(options.repeats):
        for way in WAYS:
            command = [sys.executable, __file__, *sys.argv[1:], "--way", way]
            output = subprocess.check_output(command, text=True, env=os.environ | MALLOC)
            found[way].append(json.loads(output.splitlines()[-1]))
    best = {way: min(runs, key=lambda r: r["seconds"]) for way, runs in found.items()}
    ours = best["ours"]
    for way, peer in best.items():
        furthest = max(abs(a - b) for a, b in zip(peer["losses"], ours["losses"], strict=True))
        print(
            f"{way:22} {peer['rows']:7.1f} rows/s {peer['memory']:6.0f} MB   ours: "
            f"{ours['rows'] / peer['rows']:.2f}x the rows/s, {ours['memory'] / peer['memory']:.2f}x the memory; "
            f"losses differ by {furthest:.1e} at most"
        )


if __name__ == "__main__":
    main()

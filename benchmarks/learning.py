"""A step of tDRO: ours against the released code's way, by batch size, negatives and number of tasks.

    make demo-llm                         # or any other run that has learnt weights
    python benchmarks/learning.py         # table, and docs/images/learning.png

The released way keeps two models in memory and runs both in every step, each with one pass for the queries and one for
all passages, padded to the longest text of the batch. Ours reads the reference losses, which a job computed before: its
time, measured here on the same rows, is added to every step. `cached` is ours with 2048 tokens a pass (GradCache).

Rows, base, optimiser and precision are the same, and so are the losses of the proxy. Texts are as long as they are, up
to 160 tokens, not cut to the demo's 48 and 40. Rows are drawn from the demo's tasks; task numbers are dealt out to them
for any number of tasks, since only that matters for the cost. Every run is a process of its own; the first step, in
which the allocator warms up, is not timed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from training import MALLOC, as_released, timed

ROOT = Path(__file__).parents[1]
WAYS = ("ours", "cached", "released")
WARM_UP = 1
#: Batch size, negatives, tasks; the first is what the others vary.
SHAPES = [(8, 3, 8), (4, 3, 8), (16, 3, 8), (8, 1, 8), (8, 7, 8), (8, 3, 2), (8, 3, 100)]
AXES = {"batch size": 0, "negatives a row": 1, "tasks": 2}


def released_loss(model, reference, weights, task_ids, temperature: float):
    """Loss of the proxy as the released code computes it, the reference model beside it."""
    import torch

    from tdro.training import collate
    from tdro.training.forward import embed
    from tdro.training.losses import own_negatives_loss

    collate.batch_of = as_released

    class Released(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model, self.seen = model, []

        def losses(self, encoder, batch):
            queries, *passages = embed(encoder, batch)
            return own_negatives_loss(queries, torch.stack(passages, 1), temperature)

        def forward(self, batch, rows):
            with torch.no_grad():
                known = self.losses(reference, batch)
            losses = self.losses(self.model, batch)
            self.seen.append(losses.detach().mean().item())
            return (weights.observe(task_ids[torch.as_tensor(rows)], losses, known) * losses).sum()

    return Released()


def our_loss(model, known, weights, task_ids, tdro, meter):
    """Our loss, and the mean losses of the proxy that it saw."""
    from tdro.dro.loss import RobustLoss

    class Ours(RobustLoss):
        seen: list[float] = []  # noqa: RUF012

        def _observe(self, rows, losses):
            self.seen.append(losses.mean().item())
            return super()._observe(rows, losses)

    return Ours(model, weights, task_ids, known, tdro, meter)


class Setting:
    """What the ways have in common: model, rows and texts of one shape."""

    def __init__(self, shape: tuple[int, int, int], steps: int, length: int, config: Path, results: Path) -> None:
        import torch

        from tdro.artifacts.layout import Layout
        from tdro.config.prompts import INSTRUCT, TaskPrompts
        from tdro.mixtures.plan import TrainingFiles, make_plan
        from tdro.pipeline.start import read
        from tdro.training.batches import Texts
        from tdro.training.kepttexts import keep_texts

        batch, negatives, self.tasks = shape
        self.jobs = read(yaml.safe_load(config.read_text()), ROOT)
        self.job = self.jobs.optimize(self.jobs.config.proxy, self.jobs.config.seeds[0])
        self.encoding = self.job.encoding.model_copy(update={"query_length": length, "passage_length": length})
        self.job = self.job.model_copy(update={"encoding": self.encoding})
        changes = {"steps": steps, "batch_size": batch, "negatives": negatives, "accumulation": 1}
        self.tdro = self.job.tdro.model_copy(update={**changes, "log_steps": 1, "save_steps": 10 * steps})
        names = list(self.job.tasks)
        shares, size = dict.fromkeys(names, 1 / len(names)), {"steps": steps, "batch_size": batch}
        tasks = TrainingFiles(results, names)
        self.plan = make_plan(tasks, shares, layout="mixed", negatives=negatives, seed=1, **size)
        self._kept = tempfile.TemporaryDirectory()
        keep_texts(self.plan, results, Path(self._kept.name))
        self.texts = Texts(Path(self._kept.name), self.job.tasks, self.job.seed, TaskPrompts(query=INSTRUCT))
        self.task_ids = torch.arange(self.plan.num_rows) % self.tasks
        self.reference = Path(Layout(results).run(self.job.model.name, self.job.seed, "uniform/model"))


def run_reference(setting: Setting, known: Path) -> dict:
    """Seconds a step of the job that computes the reference losses; writes them to ``known``."""
    import numpy as np

    from tdro.dro import reference
    from tdro.models.load import load_trained

    model = load_trained(setting.reference)
    model[0].query_length = model[0].document_length = model.max_seq_length = setting.encoding.query_length
    started = time.perf_counter()
    rows = [setting.texts.of_row(row) for row in setting.plan.to_pylist()]
    losses = reference.Judge(model, setting.texts, setting.jobs.reference(setting.job.seed)).losses(rows)
    seconds = time.perf_counter() - started
    np.save(known, losses.numpy())
    return {"seconds": seconds / setting.tdro.steps}


def run(way: str, setting: Setting, known: Path) -> dict:
    """Seconds a step, peak memory, and the losses of the steps."""
    import numpy as np
    import torch

    from tdro.dro.update import TaskWeights
    from tdro.models.bases import load_retriever
    from tdro.models.load import load_trained
    from tdro.training.meter import Meter

    torch.manual_seed(0)
    model = load_retriever(setting.job.model, setting.encoding)
    weights, meter = TaskWeights(torch.ones(setting.tasks), setting.tdro), Meter(setting.plan["task"].to_pylist())
    tdro = setting.tdro.model_copy(update={"mini_batch_tokens": 2048 if way == "cached" else None})
    if way == "released":
        reference = load_trained(setting.reference)
        loss = released_loss(model, reference, weights, setting.task_ids, tdro.temperature)
    else:
        loss = our_loss(model, torch.from_numpy(np.load(known)), weights, setting.task_ids, tdro, meter)

    seconds, memory, _ = timed(setting.job, model, loss, setting.plan, setting.texts, meter, tdro, WARM_UP)
    return {"seconds": seconds, "memory": memory, "losses": loss.seen}


def measure(shape: tuple[int, int, int]) -> dict[str, dict]:
    """All ways on one shape, each in a process of its own; the reference job's share is added to ours."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for way in ("reference", *WAYS):
            one = json.dumps([way, f"{folder}/known.npy", *shape])
            command = [sys.executable, __file__, *sys.argv[1:], "--one", one]
            output = subprocess.check_output(command, text=True, env=os.environ | MALLOC)
            found[way] = json.loads(output.splitlines()[-1])
    for way in ("ours", "cached"):
        found[way]["seconds"] += found["reference"]["seconds"]
    return found


def plot(found: dict[tuple, dict[str, dict]], path: Path) -> None:
    """Seconds a step over each of the three numbers."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(10, 3.2), sharey=True, layout="constrained")
    for axis, (name, place) in zip(axes, AXES.items(), strict=True):
        own = sorted(s for s in found if all(s[i] == SHAPES[0][i] for i in range(3) if i != place))
        for way in WAYS:
            axis.plot([s[place] for s in own], [found[s][way]["seconds"] for s in own], marker="o", label=way)
        axis.set(xlabel=name, ylim=(0, None))
        axis.set_xscale("log", base=2) if name != "tasks" else axis.set_xscale("log")
        axis.set_xticks([s[place] for s in own], [str(s[place]) for s in own])
        axis.minorticks_off()
    axes[0].set_ylabel("seconds a step")
    axes[0].legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run every way on every shape; print a table and draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "config" / "llm.yaml")
    parser.add_argument("--results", type=Path, default=ROOT / "llm" / "results")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--length", type=int, default=160, help="tokens of a query and of a passage")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / "images" / "learning.png")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        way, known, *shape = options.one
        setting = Setting(tuple(shape), options.steps, options.length, options.config, options.results)
        figures = run_reference(setting, Path(known)) if way == "reference" else run(way, setting, Path(known))
        print(json.dumps(figures))
        return
    found: dict[tuple, dict[str, dict]] = {}
    print("batch negatives tasks | s a step: ours (of it reference) cached released | MB: ours cached released")
    for shape in SHAPES:
        found[shape] = measure(shape)
        ours, cached, released = (found[shape][way] for way in WAYS)
        furthest = max(abs(a - b) for a, b in zip(ours["losses"], released["losses"], strict=True))
        print(
            f"{shape[0]:5} {shape[1]:9} {shape[2]:5} | "
            f"{ours['seconds']:5.2f} ({found[shape]['reference']['seconds']:.2f}) "
            f"{cached['seconds']:5.2f} {released['seconds']:5.2f} | {ours['memory']:5.0f} {cached['memory']:5.0f} "
            f"{released['memory']:5.0f} | {released['seconds'] / ours['seconds']:.2f}x faster, cached "
            f"{released['seconds'] / cached['seconds']:.2f}x; memory {ours['memory'] / released['memory']:.2f}, cached "
            f"{cached['memory'] / released['memory']:.2f}; losses differ by {furthest:.1e}",
            flush=True,
        )
    plot(found, options.plot)


if __name__ == "__main__":
    main()

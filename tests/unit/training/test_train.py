"""The stages plan, train, reference and optimize on a tiny model, through their public functions."""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from flattening import flatten, pretend_flash_attention
from transformers import TrainerCallback
from updateoracle import replay
from waits import waiting

from tdro.artifacts.files import read_table, write_table
from tdro.artifacts.schemas import CORPUS, HEAVIEST, PLAN, QUERIES, REFERENCE, TRAIN, TRAJECTORY
from tdro.config.commands import EvalDataset, OptimizeJob, ReferenceJob, TrainJob
from tdro.config.models import Encoding, Lora, Model
from tdro.config.prompts import INSTRUCT, TaskPrompts
from tdro.config.registry import Prompted
from tdro.config.training import Tdro, Training
from tdro.dro import optimize as optimize_stage
from tdro.dro import reference as reference_stage
from tdro.dro.optimize import optimize
from tdro.dro.reference import reference
from tdro.errors import Unfinished, UserError
from tdro.evaluation.evaluate import evaluate
from tdro.mixtures.derive import derive, uniform
from tdro.mixtures.plan import make_plan, read_tasks
from tdro.mixtures.weights import Weights, write_weights
from tdro.models.bases import load_retriever
from tdro.models.load import load_trained
from tdro.models.lora import merge_adapters
from tdro.report.export import export
from tdro.training import train as train_stage
from tdro.training import trainer
from tdro.training.batches import Texts, columns, dataset
from tdro.training.losses import own_negatives_loss
from tdro.training.train import train

ROOT = Path(__file__).parents[3]
GREEK = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
TASKS = {"plain": Prompted(instruction="Find it."), "twin": Prompted(instruction="Find the same.", symmetric=True)}
INSTRUCTED = TaskPrompts(query=INSTRUCT)
# Long enough for the instruction and the text: with the bytes of the instruction alone all texts would be one.
ENCODING = Encoding(query_length=64, passage_length=64, precision="fp32")
SCHEDULE = {"batch_size": 4, "learning_rate": 1e-2, "warmup_steps": 1, "temperature": 0.05, "log_steps": 2}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two tasks of 30 rows; the answer to a query is its words reversed."""
    root = tmp_path_factory.mktemp("results")
    for task in TASKS:
        rng = np.random.default_rng(len(task))
        queries = [" ".join(rng.choice(GREEK, 3)) + f" {i}" for i in range(30)]
        passages = [" ".join(reversed(q.split())) for q in queries]
        folder, rows = root / "data" / task, range(30)
        ids = [str(i) for i in rows]
        write_table(folder / "corpus.parquet", {"passage_id": ids, "title": ["t"] * 30, "text": passages}, CORPUS)
        positives, negatives = [[i] for i in rows], [[(i + k) % 30 for k in (1, 2, 3)] for i in rows]
        write_table(
            folder / "queries.parquet",
            {"query_id": ids, "query": queries, "positives": positives, "negatives": [[]] * 30},
            QUERIES,
        )
        write_table(folder / "train.parquet", {"query": rows, "positives": positives, "negatives": negatives}, TRAIN)
    return root


@pytest.fixture
def make(results, tmp_path):
    """Write plan and uniform weights; return their paths."""

    def plan(layout, steps, negatives=2, batch_size=4, seed=1):
        weights = derive([results / "data" / task / "train.parquet" for task in TASKS], "uniform")
        write_weights(tmp_path / "uniform.json", weights)
        shape = {"steps": steps, "batch_size": batch_size, "negatives": negatives, "seed": seed}
        table = make_plan(read_tasks(results, TASKS), weights.weights, layout=layout, **shape)
        write_table(tmp_path / f"{layout}.parquet", table, PLAN)
        return tmp_path / f"{layout}.parquet"

    return plan


def model(tiny_base):
    return Model(name="tiny", base=str(tiny_base))


def train_job(tiny_base, **changes):
    settings = Training(**SCHEDULE | {"steps": 8, "negatives": 2, "save_steps": 2} | changes)
    return TrainJob(model=model(tiny_base), encoding=ENCODING, training=settings, tasks=TASKS, seed=3)


def optimize_job(tiny_base, **changes):
    settings = Tdro(**SCHEDULE | {"steps": 6, "negatives": 2, "save_steps": 2, "accumulation": 2} | changes)
    return OptimizeJob(model=model(tiny_base), encoding=ENCODING, tdro=settings, tasks=TASKS, seed=3)


def save_untrained(tiny_base, encoding, folder):
    """The base as a training of no step would leave it."""
    load_retriever(model(tiny_base), encoding).save_pretrained(str(folder))
    (folder / "training_settings.json").write_text(json.dumps({"model": {"prompts": INSTRUCTED.model_dump()}}))


def parameters(folder):
    return torch.cat([p.detach().flatten() for p in load_trained(folder).parameters()])


def test_texts_carry_the_instruction_on_the_query_and_on_both_sides_of_a_symmetric_task(results, make):
    texts = Texts(results, TASKS, 3, INSTRUCTED)
    for row in read_table(make("mixed", 2), PLAN).to_pylist():
        query, *passages = [texts[t] for t in texts.of_row(row)]
        prompt = f"Instruct: {TASKS[row['task']].instruction[0]}\nQuery: "
        assert query.startswith(prompt)
        for passage in passages:
            assert passage.startswith(f"{prompt}t " if row["task"] == "twin" else "t ")


def test_each_row_takes_one_of_several_instructions_by_seed(results, make):
    wordings = ["Find it.", "Look it up.", "Which passage says it?"]
    tasks = {name: Prompted(instruction=wordings, symmetric=task.symmetric) for name, task in TASKS.items()}
    plan = read_table(make("mixed", 20), PLAN).to_pylist()

    def read(seed, tasks=tasks):
        texts = Texts(results, tasks, seed, INSTRUCTED)
        return [[texts[text] for text in texts.of_row(row)] for row in plan]

    first, plain = read(3), read(3, TASKS)
    assert first == read(3)
    assert first != read(4)
    seen = set()
    for row, texts, without in zip(plan, first, plain, strict=True):
        prompted = texts if TASKS[row["task"]].symmetric else texts[:1]
        assert texts[len(prompted) :] == without[len(prompted) :]
        found = [re.fullmatch(r"Instruct: (.+)\nQuery: (.*)", text, re.DOTALL).groups() for text in prompted]
        assert all(text.endswith(content) for text, (_, content) in zip(without, found, strict=False))
        assert len({wording for wording, _ in found}) == 1, "one row, one wording"
        seen.add((row["task"], found[0][0]))
    assert seen == {(task, wording) for task in TASKS for wording in wordings}


def test_the_dataset_gives_the_plans_rows_in_order(results, make):
    plan = read_table(make("mixed", 3), PLAN)
    texts = Texts(results, TASKS, 3, INSTRUCTED)
    items = dataset(plan, texts)
    assert items[5]["label"] == 5
    for item, row in zip(items, plan.to_pylist(), strict=True):
        assert [item[c] for c in columns(2)] == [texts[t] for t in texts.of_row(row)]


def test_training_learns_and_leaves_a_plain_model(tiny_base, results, make, tmp_path):
    plan = make("homogeneous", 60, batch_size=8)
    job = train_job(tiny_base, steps=60, batch_size=8, learning_rate=5e-3, save_steps=60)
    train(plan, results, tmp_path / "model", tmp_path / "checkpoints", tmp_path / "tb", job)
    assert not (tmp_path / "checkpoints").exists()
    rows, texts = read_table(plan, PLAN).to_pylist()[:40], Texts(results, TASKS, 3, INSTRUCTED)

    def loss(retriever):
        losses = [
            own_negatives_loss(
                retriever.encode_query([q], convert_to_tensor=True),
                retriever.encode_document(p, convert_to_tensor=True)[None],
                0.05,
            ).item()
            for q, *p in ([texts[t] for t in texts.of_row(row)] for row in rows)
        ]
        return np.mean(losses)

    assert loss(load_trained(tmp_path / "model")) < 0.5 * loss(load_retriever(job.model, ENCODING))


class Killed(Exception):
    pass


class KillAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise Killed


def interrupted(monkeypatch, step, stage, *arguments):
    """Run ``stage`` until a kill after ``step``, then run it again to its end."""
    run = trainer.run
    with monkeypatch.context() as patch:
        kill = (KillAt(step),)
        patch.setattr(trainer, "run", lambda *a, callbacks=(), **k: run(*a, callbacks=(*callbacks, *kill), **k))
        with pytest.raises(Killed):
            stage(*arguments)
    stage(*arguments)


def test_a_killed_training_resumes_to_the_same_model(tiny_base, results, make, tmp_path, monkeypatch):
    plan, job = make("homogeneous", 8), train_job(tiny_base)
    train(plan, results, tmp_path / "whole", tmp_path / "c1", tmp_path / "tb", job)
    interrupted(monkeypatch, 5, train, plan, results, tmp_path / "resumed", tmp_path / "c2", tmp_path / "tb", job)
    assert torch.equal(parameters(tmp_path / "whole"), parameters(tmp_path / "resumed"))


class SignalAt(KillAt):
    number = signal.SIGTERM

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            os.kill(os.getpid(), self.number)

    def on_step_end(self, args, state, control, **kwargs):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_stops_after_its_step_and_the_next_run_goes_on_there(
    tiny_base, results, make, tmp_path, monkeypatch, number
):
    # Steps between checkpoints are more than the training has: the one that is found comes from the signal.
    plan, job = make("homogeneous", 8), train_job(tiny_base, save_steps=100)
    train(plan, results, tmp_path / "whole", tmp_path / "c1", tmp_path / "tb", job)
    run, stop = trainer.run, SignalAt(4)
    stop.number = number
    before = signal.getsignal(number)
    arguments = (plan, results, tmp_path / "resumed", tmp_path / "c2", tmp_path / "tb", job)
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "run", lambda *a, **k: run(*a, callbacks=(stop,), **k))
        with pytest.raises(Unfinished, match="after step 5 of 8"):
            train(*arguments)
    assert signal.getsignal(number) == before
    assert not (tmp_path / "resumed").exists()
    assert trainer.newest_checkpoint(tmp_path / "c2").name == "checkpoint-5"
    train(*arguments)
    assert torch.equal(parameters(tmp_path / "whole"), parameters(tmp_path / "resumed"))


@pytest.mark.parametrize("through", ["tdro.cli.launch", "launch.sh"])
def test_a_launched_job_of_one_process_saves_and_says_that_it_wants_to_go_on(
    tiny_base, results, make, tmp_path, through
):
    """The signal reaches the launcher alone, which is the training itself; under SLURM also the shell before it."""
    plan, job = make("homogeneous", 8), train_job(tiny_base, save_steps=100)
    folders = {"plan": plan, "output": tmp_path / "m", "checkpoints": tmp_path / "c", "tensorboard": tmp_path / "tb"}
    options = [part for name, path in (folders | {"results": results}).items() for part in (f"--{name}", str(path))]
    command = ["train", *options, "--settings", job.model_dump_json()]
    if through == "tdro.cli.launch":
        start = [sys.executable, "-m", "tdro.cli.launch", "--configuration", "cpu", "--threads", "1", "--", *command]
    else:
        start = [
            "bash",
            str(ROOT / "workflow/scripts/launch.sh"),
            str(tmp_path / "log"),
            "1",
            "0",
            "1",
            "cpu",
            *command,
        ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment |= waiting(tmp_path / "w", "tdro.training.losses:ContrastiveLoss.forward", 3)
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(start, stdout=out, stderr=out, env=environment, start_new_session=True)
    while not (tmp_path / "w/waits-1").exists():
        assert process.poll() is None, (tmp_path / "out").read_text()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGTERM) if through == "launch.sh" else process.send_signal(signal.SIGTERM)
    assert process.wait() == Unfinished.STATUS, (tmp_path / "out").read_text()
    assert trainer.newest_checkpoint(tmp_path / "c").name == "checkpoint-3"
    said = (tmp_path / ("log" if through == "launch.sh" else "out")).read_text()
    assert "stopped by a signal after step 3 of 8" in said


def test_checkpoints_of_other_settings_are_not_resumed(tiny_base, results, make, tmp_path, monkeypatch):
    plan, job, checkpoints = make("homogeneous", 8), train_job(tiny_base), tmp_path / "c"
    train(plan, results, tmp_path / "whole", tmp_path / "c0", tmp_path / "tb", job)
    run = trainer.run
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "run", lambda *a, **k: run(*a, callbacks=(KillAt(5),), **k))
        with pytest.raises(Killed):
            train(
                plan,
                results,
                tmp_path / "model",
                checkpoints,
                tmp_path / "tb",
                train_job(tiny_base, learning_rate=1e-3),
            )
    assert trainer.newest_checkpoint(checkpoints)
    train(plan, results, tmp_path / "model", checkpoints, tmp_path / "tb", job)
    assert torch.equal(parameters(tmp_path / "whole"), parameters(tmp_path / "model"))


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (lambda made: made._replace(code="another"), "code"),
        (lambda made: made._replace(libraries=made.libraries | {"torch": "1.0.0"}), "libraries"),
    ],
)
def test_checkpoints_of_another_version_are_not_resumed(
    tiny_base, results, make, tmp_path, monkeypatch, caplog, other, named
):
    caplog.set_level("INFO", "tdro")
    plan, job, checkpoints = make("homogeneous", 8), train_job(tiny_base), tmp_path / "c"
    run, version = trainer.run, trainer.of_stage
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "of_stage", lambda stage: other(version(stage)))
        patch.setattr(trainer, "run", lambda *a, **k: run(*a, callbacks=(KillAt(5),), **k))
        with pytest.raises(Killed):
            train(plan, results, tmp_path / "model", checkpoints, tmp_path / "tb", job)
    assert trainer.newest_checkpoint(checkpoints)
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "run", lambda *a, **k: pytest.fail("resumed") if any(checkpoints.glob("ch*")) else None)
        patch.setattr(train_stage, "_save", lambda *a: None)
        train(plan, results, tmp_path / "model", checkpoints, tmp_path / "tb", job)
    assert f"{checkpoints} belongs to a run with other {named}; starting afresh" in caplog.messages


@pytest.fixture
def reference_losses(tiny_base, results, make, tmp_path):
    plan = make("mixed", 6)
    train(
        make("homogeneous", 4),
        results,
        tmp_path / "reference",
        tmp_path / "c",
        tmp_path / "tb",
        train_job(tiny_base, steps=4),
    )
    job = ReferenceJob(encoding=ENCODING, temperature=0.05, tasks=TASKS)
    reference(plan, tmp_path / "reference", results, tmp_path / "reference.parquet", tmp_path / "blocks", job)
    return plan, tmp_path / "reference.parquet"


def test_reference_losses_of_another_version_are_computed_anew(
    reference_losses, results, tmp_path, monkeypatch, caplog
):
    caplog.set_level("INFO", "tdro")
    plan, losses = reference_losses
    job = ReferenceJob(encoding=ENCODING, temperature=0.05, tasks=TASKS)
    arguments = (plan, tmp_path / "reference", results, tmp_path / "again.parquet", tmp_path / "blocks", job)
    version, write = reference_stage.of_stage, reference_stage.write_table
    monkeypatch.setattr(reference_stage, "of_stage", lambda stage: version(stage)._replace(code="another"))
    monkeypatch.setattr(reference_stage, "write_table", lambda *a, **k: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        reference(*arguments)
    monkeypatch.setattr(reference_stage, "write_table", write)
    monkeypatch.setattr(reference_stage, "of_stage", version)
    reference(*arguments)
    assert f"{tmp_path / 'blocks'} belongs to a run with other code; starting afresh" in caplog.messages
    assert "0 of 1 shards are there" in caplog.messages
    assert read_table(tmp_path / "again.parquet", REFERENCE).equals(read_table(losses, REFERENCE))


def test_a_killed_reference_job_goes_on_with_the_first_block_missing(reference_losses, results, tmp_path, monkeypatch):
    plan, losses = reference_losses
    job = ReferenceJob(encoding=ENCODING, temperature=0.05, tasks=TASKS)
    monkeypatch.setattr(reference_stage, "BLOCK", 5)
    whole, made = reference_stage._block_losses, []

    def block(rows, *others):
        made.append(len(rows))
        if len(made) == 3:
            raise Killed
        return whole(rows, *others)

    monkeypatch.setattr(reference_stage, "_block_losses", block)
    arguments = (plan, tmp_path / "reference", results, tmp_path / "again.parquet", tmp_path / "blocks", job)
    with pytest.raises(Killed):
        reference(*arguments)
    assert not (tmp_path / "again.parquet").exists()
    reference(*arguments)
    assert made == [5, 5, 5, 5, 5, 4]  # the first two once, the third twice
    assert not (tmp_path / "blocks").exists()
    expected = read_table(losses, REFERENCE)["loss"].to_numpy()
    np.testing.assert_allclose(
        read_table(tmp_path / "again.parquet", REFERENCE)["loss"].to_numpy(), expected, atol=1e-5
    )


def test_reference_losses_are_the_models_losses_row_by_row(reference_losses, results, tmp_path):
    plan, losses = reference_losses
    retriever, texts = load_trained(tmp_path / "reference"), Texts(results, TASKS, 3, INSTRUCTED)
    for row, loss in zip(
        read_table(plan, PLAN).to_pylist(), read_table(losses, REFERENCE)["loss"].to_pylist(), strict=True
    ):
        query, *passages = [texts[t] for t in texts.of_row(row)]
        scores = retriever.encode_document(passages) @ retriever.encode_query(query) / 0.05
        assert loss == pytest.approx(np.log(np.exp(scores - scores[0]).sum()), abs=1e-4)


def run_tdro(reference_losses, results, tmp_path, job, name="trajectory"):
    plan, losses = reference_losses
    output = tmp_path / f"{name}.parquet"
    optimize(
        plan, losses, tmp_path / "uniform.json", results, output, tmp_path / f"checkpoints-{name}", tmp_path / "tb", job
    )
    return read_table(output, TRAJECTORY)


@pytest.mark.parametrize(
    ("measure", "accumulation"),
    [("released", 2), ("ratio", 1), ("ratio", 2), ("difference", 2), ("excess", 1), ("proxy", 2)],
)
def test_the_trajectory_is_what_the_formulas_make_of_the_losses_of_the_rows(
    reference_losses, tiny_base, results, tmp_path, monkeypatch, measure, accumulation
):
    """The losses of the rows go through a second implementation of docs/algorithm.md."""
    losses = []

    def recorded(*arguments, **others):
        found = own_negatives_loss(*arguments, **others)
        losses.append(found.detach().double().numpy())
        return found

    monkeypatch.setattr("tdro.dro.optimize.own_negatives_loss", recorded)
    job = optimize_job(tiny_base, accumulation=accumulation, measure=measure, step_size=0.5)
    table = run_tdro(reference_losses, results, tmp_path, job).to_pandas()
    plan = read_table(reference_losses[0], PLAN).to_pandas()
    reference_rows = read_table(reference_losses[1], REFERENCE)["loss"].to_numpy().astype(np.float64)
    tasks = plan["task"].map({name: number for number, name in enumerate(TASKS)}).to_numpy()
    micro = [part.reshape(-1, 4 // accumulation) for part in (tasks, np.concatenate(losses), reference_rows)]
    batches = list(zip(*micro, strict=True))
    windows = [batches[start : start + accumulation] for start in range(0, len(batches), accumulation)]
    steps = replay(windows, 2, measure=measure, step_size=0.5, ema=job.tdro.ema)
    assert table["step"].tolist() == [s for s in range(6) for _ in TASKS]
    assert table["task"].tolist() == list(TASKS) * 6
    assert table["rows"].tolist() == [int((step == g).sum()) for step in tasks.reshape(6, 4) for g in (0, 1)]
    for column in ("measurement", "gradient", "effective_rows", "weight", "mean", "ema"):
        expected = np.concatenate([step[column] for step in steps])
        np.testing.assert_allclose(table[column], expected, rtol=2e-4, atol=1e-5, err_msg=column)

    plan["carried"] = np.concatenate([step["parts"] for step in steps])
    plan["reference"] = reference_rows
    heaviest = read_table(tmp_path / "heaviest_rows.parquet", HEAVIEST).to_pandas()
    for task, rows in plan.groupby("task"):
        grouped = rows.groupby(["query", "positive"])
        shares = (grouped["carried"].sum() / rows["carried"].sum()).sort_values(ascending=False)
        mine = heaviest[heaviest["task"] == task]
        assert set(mine["rows"]) == {len(shares)}
        np.testing.assert_allclose(mine["share"], shares.iloc[:10], rtol=1e-4, atol=1e-7)
        for row in mine.itertuples():
            of_row = grouped.get_group((row.query, row.positive))
            assert row.draws == len(of_row)
            assert row.share == pytest.approx(shares[row.query, row.positive], rel=1e-4, abs=1e-7)
            assert row.reference_loss == pytest.approx(of_row["reference"].mean())


def test_a_first_step_without_reference_difference_measures_one(tiny_base, results, make, tmp_path):
    """The untrained base as reference: at step 0 the proxy is the reference."""
    save_untrained(tiny_base, ENCODING, tmp_path / "base")
    plan = make("mixed", 6)
    job = ReferenceJob(encoding=ENCODING, temperature=0.05, tasks=TASKS)
    reference(plan, tmp_path / "base", results, tmp_path / "reference.parquet", tmp_path / "blocks", job)
    table = run_tdro(
        (plan, tmp_path / "reference.parquet"),
        results,
        tmp_path,
        optimize_job(tiny_base, accumulation=1, measure="ratio"),
    )
    first = table.to_pylist()[:2]
    assert [row["measurement"] for row in first] == pytest.approx([1, 1], abs=1e-4)


def test_a_killed_tdro_resumes_to_the_same_trajectory(reference_losses, tiny_base, results, tmp_path, monkeypatch):
    job = optimize_job(tiny_base)
    whole = run_tdro(reference_losses, results, tmp_path, job, "whole")
    plan, losses = reference_losses
    arguments = (
        plan,
        losses,
        tmp_path / "uniform.json",
        results,
        tmp_path / "resumed.parquet",
        tmp_path / "c",
        tmp_path / "tb",
        job,
    )
    heaviest = (tmp_path / "heaviest_rows.parquet").read_bytes()
    interrupted(monkeypatch, 3, optimize, *arguments)
    assert read_table(tmp_path / "resumed.parquet", TRAJECTORY).equals(whole)
    assert (tmp_path / "heaviest_rows.parquet").read_bytes() == heaviest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 9}, "does not hold 9 steps of 4 rows"),
        ({"batch_size": 8, "steps": 4}, "does not hold 4 steps of 8 rows"),
        ({"negatives": 1}, "does not have 1 negatives in every row"),
    ],
)
def test_a_plan_of_other_settings_is_refused(tiny_base, results, make, tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        train(
            make("homogeneous", 8),
            results,
            tmp_path / "m",
            tmp_path / "c",
            tmp_path / "tb",
            train_job(tiny_base, **change),
        )


def test_loss_weights_scale_the_loss_of_a_task_by_k_times_its_weight(tiny_base, results, make, tmp_path, monkeypatch):
    write_weights(tmp_path / "loss.json", Weights({"twin": 0.8, "plain": 0.2}, {"plain": 30, "twin": 30}))
    plan = make("homogeneous", 8)
    seen = []

    class Recorded(train_stage.ContrastiveLoss):
        def compute_loss_from_embeddings(self, embeddings, labels):
            self.plain = super().compute_loss_from_embeddings(embeddings, labels)
            return self.plain

        def forward(self, features, labels):
            scaled = super().forward(features, labels)
            seen.append((labels[0].item(), (scaled / self.plain).item()))
            return scaled

    monkeypatch.setattr(train_stage, "ContrastiveLoss", Recorded)
    folders = (tmp_path / "m", tmp_path / "c", tmp_path / "tb")
    train(plan, results, *folders, train_job(tiny_base), loss_weights=tmp_path / "loss.json")
    tasks = read_table(plan, PLAN)["task"].to_pylist()
    assert {tasks[row] for row, _ in seen} == set(TASKS)
    assert [factor for _, factor in seen] == pytest.approx([{"twin": 1.6, "plain": 0.4}[tasks[r]] for r, _ in seen])


def test_loss_weights_without_a_task_of_the_plan_are_refused(tiny_base, results, make, tmp_path):
    write_weights(tmp_path / "loss.json", uniform({"plain": 30}))
    folders = (tmp_path / "m", tmp_path / "c", tmp_path / "tb")
    with pytest.raises(UserError, match=r"loss.json has no weight for task 'twin'"):
        train(make("homogeneous", 8), results, *folders, train_job(tiny_base), loss_weights=tmp_path / "loss.json")


def test_a_mixed_plan_is_refused_by_training(tiny_base, results, make, tmp_path):
    with pytest.raises(UserError, match="mixes tasks within a step"):
        train(make("mixed", 8), results, tmp_path / "m", tmp_path / "c", tmp_path / "tb", train_job(tiny_base))


def test_folders_of_something_else_are_left_alone(tiny_base, results, make, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    plan, job = make("homogeneous", 8), train_job(tiny_base)
    with pytest.raises(UserError, match="thesis holds something else than checkpoints"):
        train(plan, results, tmp_path / "m", tmp_path / "thesis", tmp_path / "tb", job)
    with pytest.raises(UserError, match="thesis exists and is no SentenceTransformer"):
        train(plan, results, tmp_path / "thesis", tmp_path / "c", tmp_path / "tb", job)
    assert (tmp_path / "thesis" / "chapter1.txt").read_text() == "years of work"


def test_a_loss_that_is_not_finite_stops_the_run(tiny_base, results, make, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "tdro.training.losses.ContrastiveLoss.forward", lambda *a: torch.tensor(float("nan"), requires_grad=True)
    )
    with pytest.raises(UserError, match="not finite"):
        train(make("homogeneous", 8), results, tmp_path / "m", tmp_path / "c", tmp_path / "tb", train_job(tiny_base))
    assert not (tmp_path / "m").exists()


def test_weights_of_zero_cannot_start_tdro(reference_losses, tiny_base, results, tmp_path):
    write_weights(tmp_path / "uniform.json", Weights({"plain": 1.0, "twin": 0.0}, {"plain": 30, "twin": 30}))
    with pytest.raises(UserError, match="weight of 'twin' is 0"):
        run_tdro(reference_losses, results, tmp_path, optimize_job(tiny_base))


def test_reference_losses_of_another_plan_are_refused(reference_losses, make, tiny_base, results, tmp_path):
    other = (make("mixed", 6, seed=2), reference_losses[1])
    with pytest.raises(UserError, match="computed on another plan"):
        run_tdro(other, results, tmp_path, optimize_job(tiny_base))


def test_weights_that_lack_a_task_of_the_plan_are_refused(reference_losses, tiny_base, results, tmp_path):
    write_weights(tmp_path / "uniform.json", uniform({"plain": 30}))
    with pytest.raises(UserError, match=r"task 'twin', which .*uniform.json lacks"):
        run_tdro(reference_losses, results, tmp_path, optimize_job(tiny_base))


def test_a_batch_that_the_processes_cannot_share_is_refused(tiny_base, results, make, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(UserError, match="batch_size 4 is not a multiple of 3 processes"):
        train(
            make("homogeneous", 8), results, tmp_path / "model", tmp_path / "c", tmp_path / "tb", train_job(tiny_base)
        )


@pytest.mark.parametrize("change", [{"mini_batch_tokens": 40}, {"gradient_checkpointing": True}])
def test_what_saves_memory_trains_the_same_model(tiny_base, results, make, tmp_path, change):
    plan, folders = make("homogeneous", 8), (tmp_path / "c", tmp_path / "tb")
    train(plan, results, tmp_path / "plain", *folders, train_job(tiny_base))
    train(plan, results, tmp_path / "saving", *folders, train_job(tiny_base, **change))
    torch.testing.assert_close(parameters(tmp_path / "saving"), parameters(tmp_path / "plain"), atol=1e-4, rtol=0)


def test_training_for_several_dimensions_is_another_model_and_the_same_with_cached_gradients(
    tiny_base, results, make, tmp_path
):
    plan, found = make("homogeneous", 8), {}
    for name, change in {
        "whole": {},
        "several": {"matryoshka": [32, 8]},
        "cached": {"matryoshka": [32, 8], "mini_batch_tokens": 40},
    }.items():
        job = train_job(tiny_base, **change)
        train(plan, results, tmp_path / name, tmp_path / "c", tmp_path / "tb", job)
        found[name] = parameters(tmp_path / name)
    torch.testing.assert_close(found["several"], found["cached"], atol=2e-4, rtol=0)
    assert (found["several"] - found["whole"]).abs().max() > 0.01
    assert "## Shorter vectors" not in (tmp_path / "whole" / "README.md").read_text()
    card = (tmp_path / "several" / "README.md").read_text()
    assert "trained for vectors of 32 and 8 numbers" in card
    assert 'SentenceTransformer(".", truncate_dim=8)' in card


def test_a_dimension_that_the_model_lacks_stops_the_training(tiny_base, results, make, tmp_path):
    job = train_job(tiny_base, matryoshka=[64, 8])
    with pytest.raises(UserError, match="names 64 dimensions, but the embeddings of model 'tiny' have 32"):
        train(make("homogeneous", 8), results, tmp_path / "m", tmp_path / "c", tmp_path / "tb", job)


def lora_job(tiny_base, **changes):
    job = train_job(tiny_base, **changes)
    lora = Lora(rank=2, alpha=8, dropout=0.2)
    return job.model_copy(update={"model": job.model.model_copy(update={"lora": lora})})


@pytest.mark.parametrize("change", [{}, {"gradient_checkpointing": True}, {"mini_batch_tokens": 40}])
def test_lora_changes_linear_layers_by_a_low_rank_and_leaves_a_plain_model(tiny_base, results, make, tmp_path, change):
    job = lora_job(tiny_base, **change)
    train(make("homogeneous", 8), results, tmp_path / "model", tmp_path / "c", tmp_path / "tb", job)
    before = load_retriever(job.model.model_copy(update={"lora": None}), ENCODING).state_dict()
    after = load_trained(tmp_path / "model").state_dict()
    assert after.keys() == before.keys()
    for name, value in after.items():
        difference = value - before[name]
        linear = name.endswith("proj.weight")
        assert linear == bool(difference.abs().max() > 1e-6), name
        if linear:
            assert torch.linalg.matrix_rank(difference, atol=1e-5) <= 2


def test_merged_adapters_give_the_same_embeddings(tiny_base):
    retriever = load_retriever(Model(name="tiny", base=str(tiny_base), lora=Lora(rank=2)), ENCODING)
    trained = [parameter for parameter in retriever.parameters() if parameter.requires_grad]
    with torch.no_grad():
        for parameter in trained:
            parameter.normal_(std=0.3)
    apart = retriever.encode(GREEK)
    merge_adapters(retriever[0].auto_model)
    np.testing.assert_allclose(retriever.encode(GREEK), apart, atol=1e-4)
    assert np.abs(apart - load_retriever(Model(name="tiny", base=str(tiny_base)), ENCODING).encode(GREEK)).max() > 0.01


def test_frozen_weights_may_be_bfloat16_the_saved_model_is_float32(tiny_base, results, make, tmp_path):
    job = lora_job(tiny_base)
    job = job.model_copy(update={"model": job.model.model_copy(update={"dtype": "bfloat16"})})
    network = load_retriever(job.model, ENCODING)[0].auto_model
    types = {parameter.requires_grad: parameter.dtype for parameter in network.parameters()}
    assert types == {True: torch.float32, False: torch.bfloat16}
    train(make("homogeneous", 8), results, tmp_path / "model", tmp_path / "c", tmp_path / "tb", job)
    assert json.loads((tmp_path / "model" / "config.json").read_text())["dtype"] == "float32"


def test_killed_lora_with_dropout_resumes_to_the_same_model(tiny_base, results, make, tmp_path, monkeypatch):
    plan, job = make("homogeneous", 8), lora_job(tiny_base, mini_batch_tokens=40)
    train(plan, results, tmp_path / "whole", tmp_path / "c1", tmp_path / "tb", job)
    interrupted(monkeypatch, 5, train, plan, results, tmp_path / "resumed", tmp_path / "c2", tmp_path / "tb", job)
    assert torch.equal(parameters(tmp_path / "whole"), parameters(tmp_path / "resumed"))


def test_tensorboard_shows_tasks_speed_padding_and_memory(reference_losses, tiny_base, results, make, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folders = (tmp_path / "m", tmp_path / "c", tmp_path / "scalars")
    train(make("homogeneous", 8), results, *folders, train_job(tiny_base))
    run_tdro(reference_losses, results, tmp_path, optimize_job(tiny_base))
    for folder in ("scalars", "tb"):
        events = EventAccumulator(str(tmp_path / folder))
        events.Reload()
        shown = {name.removeprefix("train/") for name in events.Tags()["scalars"]}
        tasks = {f"task_loss/{task}" for task in TASKS}
        assert {"loss", "learning_rate", "grad_norm", "tokens_per_second", "padding", "memory_gb", *tasks} <= shown


def test_an_attention_implementation_is_the_one_asked_for(tiny_base):
    for attention in ("eager", "sdpa"):
        retriever = load_retriever(Model(name="tiny", base=str(tiny_base), attention=attention), ENCODING)
        assert retriever[0].auto_model.config._attn_implementation == attention


def test_an_attention_implementation_that_is_not_installed_is_one_sentence(tiny_base):
    with pytest.raises(UserError, match=r"model 'tiny'.*(?i:flash)"):
        load_retriever(Model(name="tiny", base=str(tiny_base), attention="flash_attention_2"), ENCODING)


def test_texts_that_a_training_reads_only_in_part_are_counted_a_task(tiny_base, results, make, tmp_path, caplog):
    plan, job = make("homogeneous", 8), train_job(tiny_base)
    encoding = ENCODING.model_copy(update={"passage_length": 38})  # the symmetric task's passages carry its instruction
    job = job.model_copy(update={"encoding": encoding})
    with caplog.at_level("INFO"):
        train(plan, results, tmp_path / "model", tmp_path / "c", tmp_path / "tb", job)
    tokenizer = load_retriever(job.model, encoding).tokenizer
    texts, expected = Texts(results, TASKS, job.seed, INSTRUCTED), {}
    for row in read_table(plan, PLAN).to_pylist():
        read, cut = expected.get(row["task"], (0, 0))
        for text, limit in zip(texts.of_row(row), (64, 38, 38, 38), strict=True):
            read, cut = read + 1, cut + (len(tokenizer(texts[text])["input_ids"]) > limit)
        expected[row["task"]] = read, cut
    assert any(cut for _, cut in expected.values())
    said = "{}: {} of {} texts were longer than the model reads, and cut"
    for task, (read, cut) in expected.items():
        assert (said.format(task, cut, read) in caplog.text) == bool(cut)


def test_an_instruction_that_fills_the_query_stops_every_stage(reference_losses, tiny_base, results, make, tmp_path):
    short = ENCODING.model_copy(update={"query_length": 16})
    refused = pytest.raises(UserError, match=r"plain: the instruction 'Find it.' takes 26 tokens.*query_length is 16")
    with refused:
        job = train_job(tiny_base).model_copy(update={"encoding": short})
        train(make("homogeneous", 8), results, tmp_path / "m", tmp_path / "c", tmp_path / "tb", job)
    with refused:
        run_tdro(reference_losses, results, tmp_path, optimize_job(tiny_base).model_copy(update={"encoding": short}))
    save_untrained(tiny_base, short, tmp_path / "trained")
    with refused:
        job = ReferenceJob(temperature=0.05, tasks=TASKS, seed=3)
        reference(make("mixed", 6), tmp_path / "trained", results, tmp_path / "r.parquet", tmp_path / "c3", job)
    for retriever in (tmp_path / "trained", model(tiny_base)):
        files = {name: str(results / "data" / "plain" / f"{name}.parquet") for name in ("corpus", "queries")}
        with refused:
            dataset = EvalDataset(**files, instruction="Find it.")
            evaluate(retriever, {"plain": {"plain": dataset}}, short, tmp_path / "e")


@pytest.mark.parametrize("limit", [None, 300])
def test_texts_that_flash_attention_leaves_unpadded_train_the_same_model(
    limit, reference_losses, tiny_base, results, make, tmp_path, monkeypatch
):
    plan, job = make("homogeneous", 4), train_job(tiny_base, steps=4, mini_batch_tokens=limit)
    tdro = optimize_job(tiny_base, mini_batch_tokens=limit)
    train(plan, results, tmp_path / "padded", tmp_path / "c", tmp_path / "tb", job)
    before = run_tdro(reference_losses, results, tmp_path, tdro)
    pretend_flash_attention(monkeypatch)
    loaded = []
    for stage in (train_stage, optimize_stage):
        monkeypatch.setattr(
            stage, "load_retriever", lambda *a: loaded.append(flatten(load_retriever(*a))) or loaded[-1]
        )
    train(plan, results, tmp_path / "flat", tmp_path / "c2", tmp_path / "tb2", job)
    after = run_tdro(reference_losses, results, tmp_path, tdro, name="flat")
    assert len(loaded) == 2
    torch.testing.assert_close(parameters(tmp_path / "flat"), parameters(tmp_path / "padded"), atol=2e-4, rtol=0)
    for column in ("proxy_loss", "weight"):
        np.testing.assert_allclose(after[column].to_numpy(), before[column].to_numpy(), atol=1e-3)


def planted(folder):
    """A data folder of one task, whose texts are found nowhere else."""
    rows = range(8)
    texts = {kind: [f"{kind}{i}zyxw secret" for i in rows] for kind in ("query", "passage")}
    ids = [str(i) for i in rows]
    data = folder / "data" / "plain"
    write_table(
        data / "corpus.parquet", {"passage_id": ids, "title": ["titlezyxw"] * 8, "text": texts["passage"]}, CORPUS
    )
    answers = [[i] for i in rows]
    queries = {"query_id": ids, "query": texts["query"], "positives": answers, "negatives": [[]] * 8}
    write_table(data / "queries.parquet", queries, QUERIES)
    return folder


@pytest.mark.parametrize("shown", [0, 2])
def test_no_text_of_the_training_and_no_path_of_the_machine_is_in_a_model_or_package(tiny_base, tmp_path, shown):
    results = planted(tmp_path / "results")
    rows = [(step, slot, "plain", step * 4 + slot, step * 4 + slot, [(step * 4 + slot + 1) % 8])
            for step in range(2) for slot in range(4)]  # fmt: skip
    write_table(tmp_path / "plan.parquet", dict(zip(PLAN.names, zip(*rows, strict=True), strict=True)), PLAN)
    job = train_job(tiny_base, steps=2, negatives=1, card_examples=shown)
    job = job.model_copy(update={"tasks": {"plain": TASKS["plain"]}})
    train(tmp_path / "plan.parquet", results, tmp_path / "model", tmp_path / "c", tmp_path / "tb", job)
    write_weights(tmp_path / "w.json", Weights({"plain": 1.0}, {"plain": 8}))
    export(tmp_path / "model", tmp_path / "w.json", [], tmp_path / "out" / "mine.tar.gz")
    with tarfile.open(tmp_path / "out" / "mine.tar.gz") as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    for folder in (tmp_path / "model", tmp_path / "unpacked"):
        contents = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        assert len(contents) > 5
        with_texts = {file.name for file, content in contents.items() if b"zyxw" in content}
        assert with_texts == ({"README.md"} if shown else set())
        for place in (str(tmp_path), str(tiny_base), str(tiny_base.parent)):
            assert not [file for file, content in contents.items() if place.encode() in content]
    card = (tmp_path / "model" / "README.md").read_text()
    assert [i for i in range(8) if f"query{i}zyxw" in card] == list(range(shown))


def test_a_card_says_what_the_base_is_and_its_code_runs(tiny_base, results, make, tmp_path, monkeypatch):
    train(
        make("homogeneous", 2),
        results,
        tmp_path / "model",
        tmp_path / "c",
        tmp_path / "tb",
        train_job(tiny_base, steps=2),
    )
    card = (tmp_path / "model" / "README.md").read_text()
    assert f"Base: a local folder, `{tiny_base.name}`" in card
    assert "Unknown" not in card
    assert "`Find it.`" in card
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    monkeypatch.chdir(tmp_path / "model")
    found = {}
    exec(code, found)  # as somebody who has read the card would type it
    expected = load_trained(tmp_path / "model").encode(["Instruct: Find it.\nQuery: first query"])
    np.testing.assert_allclose(found["queries"][:1], expected, atol=1e-5)


def test_a_model_is_saved_with_its_settings(tiny_base, results, make, tmp_path):
    job = train_job(tiny_base, steps=2)
    train(make("homogeneous", 2), results, tmp_path / "model", tmp_path / "c", tmp_path / "tb", job)
    expected = json.loads(job.model_dump_json())
    expected["model"]["base"] = tiny_base.name  # where it lies on this machine is nobody else's business
    expected["model"]["prompts"] = {"query": INSTRUCT, "passage": "", "tasks": {}}  # what `auto` has come to
    assert json.loads((tmp_path / "model" / "training_settings.json").read_text()) == expected


@pytest.mark.parametrize("gpus", [1, 2])
def test_a_job_that_is_told_to_use_the_cpu_leaves_gpus_alone(tiny_base, results, make, tmp_path, monkeypatch, gpus):
    """As `accelerate launch` tells it, on a machine that seems to have GPUs; whoever touched one would fail."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda.random, "get_rng_state", lambda: None)  # kept beside that of the CPU, by the trainer
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        output, tb = tmp_path / "model", tmp_path / "tb"
        job = train_job(tiny_base, steps=2, save_steps=1000)
        train(make("homogeneous", 2), results, output, tmp_path / "c", tb, job)
        losses = tmp_path / "reference.parquet"
        job = ReferenceJob(encoding=ENCODING, temperature=0.05, tasks=TASKS)
        reference(make("mixed", 2), output, results, losses, tmp_path / "blocks", job)
        assert load_trained(output).device.type == "cpu"
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    assert len(read_table(losses, REFERENCE)) == 8

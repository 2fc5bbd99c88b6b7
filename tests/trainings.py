"""Two small tasks that can be trained on, and the stages from a plan to a trajectory, each by one call."""

import json

import numpy as np
import pyarrow as pa
import torch

from tdro.artifacts.files import read_table, write_table
from tdro.artifacts.schemas import CORPUS, PLAN, QUERIES, SCORED_TRAIN, TRAJECTORY
from tdro.config.commands import OptimizeJob, ReferenceJob, TrainJob
from tdro.config.models import Encoding, Model
from tdro.config.prompts import INSTRUCT, TaskPrompts
from tdro.config.registry import Prompted
from tdro.config.training import Tdro, Training
from tdro.dro.optimize import optimize
from tdro.dro.reference import reference
from tdro.mixtures.derive import uniform
from tdro.mixtures.plan import TrainingFiles, make_plan
from tdro.mixtures.weights import write_weights
from tdro.models.bases import load_retriever
from tdro.models.load import load_trained
from tdro.training.batches import Texts
from tdro.training.kepttexts import keep_texts
from tdro.training.learner import Places
from tdro.training.train import train

GREEK = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
TASKS = {"plain": Prompted(instruction="Find it."), "twin": Prompted(instruction="Find the same.", symmetric=True)}
INSTRUCTED = TaskPrompts(query=INSTRUCT)
# Long enough for the instruction and the text: with the bytes of the instruction alone all texts would be one.
ENCODING = Encoding(query_length=64, passage_length=64, precision="fp32")
SCHEDULE = {"batch_size": 4, "learning_rate": 1e-2, "warmup_steps": 1, "temperature": 0.05, "log_steps": 2}
SCHEDULE |= {"negatives": 2, "save_steps": 2}
REFERENCE_JOB = ReferenceJob(encoding=ENCODING, temperature=0.05, tasks=TASKS)


class Project:
    """A folder with two tasks of 30 rows whose texts differ in length; the answer to a query is its words reversed.

    Three queries share a positive, and a cross-encoder has scored all passages of a row but one.

    Args:
        base: Folder of the model that is trained.
        folder: An empty one.
    """

    def __init__(self, base, folder):
        self.base, self.folder = base, folder
        self.model = Model(name="tiny", base=str(base))
        for task in TASKS:
            rng, data, rows = np.random.default_rng(len(task)), folder / "data" / task, range(30)
            words = [rng.choice(GREEK, rng.integers(1, 6)).tolist() for _ in range(10)]
            queries = [" ".join([*words[i // 3], str(i)]) for i in rows]
            passages = [" ".join(reversed(query.split())) for query in queries]
            ids, answers = [str(i) for i in rows], {"positives": [[i - i % 3] for i in rows]}
            write_table(data / "corpus.parquet", {"passage_id": ids, "title": ["t"] * 30, "text": passages}, CORPUS)
            asked = {"query_id": ids, "query": queries, "negatives": [[]] * 30}
            write_table(data / "queries.parquet", asked | answers, QUERIES)
            train = {"query": rows, "negatives": [[(i + k) % 30 for k in (4, 5, 6)] for i in rows]}
            train["positive_scores"] = [[i % 4 + 1.0] for i in rows]
            train["negative_scores"] = [[i % 5 - 2.0, None, 1.0 - i % 3] for i in rows]
            write_table(data / "train.parquet", train | answers, SCORED_TRAIN)
        self.weights = uniform(dict.fromkeys(TASKS, 30))
        write_weights(folder / "uniform.json", self.weights)

    def texts(self, tasks=TASKS, seed=3):
        """All texts of both tasks."""
        rows = [
            {"step": 0, "slot": 0, "task": task, "query": i, "positive": i, "negatives": []}
            for task in TASKS
            for i in range(30)
        ]
        keep_texts(pa.Table.from_pylist(rows, schema=PLAN), self.folder, self.folder / "texts")
        return Texts(self.folder / "texts", tasks, seed, INSTRUCTED)

    def plan(self, layout="homogeneous", steps=8, batch_size=4, negatives=2, seed=1):
        """Write a plan of all tasks alike."""
        file = self.folder / f"{layout}-{steps}-{batch_size}-{negatives}-{seed}.parquet"
        shape = {"steps": steps, "batch_size": batch_size, "negatives": negatives, "seed": seed}
        plan = make_plan(TrainingFiles(self.folder, TASKS), self.weights.weights, layout=layout, **shape)
        write_table(file, plan, PLAN)
        return file

    def rows(self, *shape):
        return read_table(self.plan(*shape), PLAN).to_pylist()

    def places(self, name, plan=None):
        """Where a training of this name works, on a plan of eight steps unless another is named."""
        folders = (self.folder / f"{name}-checkpoints", self.folder / f"{name}-tb")
        return Places(plan or self.plan(), self.folder, self.folder / name, *folders)

    def train_job(self, model=None, encoding=ENCODING, own_negatives=(), **changes):
        settings = {"training": Training(**SCHEDULE | {"steps": 8} | changes), "own_negatives": list(own_negatives)}
        return TrainJob(model=model or self.model, encoding=encoding, tasks=TASKS, seed=3, **settings)

    def optimize_job(self, encoding=ENCODING, **changes):
        settings = Tdro(**SCHEDULE | {"steps": 6, "accumulation": 2} | changes)
        return OptimizeJob(model=self.model, encoding=encoding, tdro=settings, tasks=TASKS, seed=3)

    def train(self, name="model", job=None, loss_weights=None):
        """Train on a plan that fits the job; the model's folder."""
        job = job or self.train_job()
        plan = self.plan("homogeneous", job.training.steps, job.training.batch_size)
        train(self.places(name, plan), job, loss_weights)
        return self.folder / name

    def reference(self, model, output="reference.parquet", plan=None):
        """Reference losses of a mixed plan, of six steps unless another is named."""
        plan = plan or self.plan("mixed", 6)
        reference(plan, model, self.folder, self.folder / output, self.folder / "blocks", REFERENCE_JOB)
        return self.folder / output

    def losses(self):
        """Those of a model that was trained for four steps."""
        return self.reference(self.train("reference", self.train_job(steps=4)))

    def optimize(self, job=None, name="trajectory", plan=None):
        """Learn weights with the reference losses that were made before; the trajectory."""
        places = self.places(f"{name}.parquet", plan or self.plan("mixed", 6))
        optimize(places, self.folder / "reference.parquet", self.folder / "uniform.json", job or self.optimize_job())
        return read_table(places.output, TRAJECTORY)


def parameters(folder):
    """The weights of a trained model, as one vector."""
    return torch.cat([p.detach().flatten() for p in load_trained(folder).parameters()])


def save_untrained(model, encoding, folder):
    """A base as a training of no step would leave it."""
    load_retriever(model, encoding).save_pretrained(str(folder))
    (folder / "training_settings.json").write_text(json.dumps({"model": {"prompts": INSTRUCTED.model_dump()}}))

"""How fast this machine is with a model: twenty steps of the real training, and some encoding, on made texts.

Each runs as a job does, twice, once short and once long: the difference is the work, what is left the start of a job.
Texts are as long as the forecast expects those of the configuration to be.
"""

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tdro.artifacts.files import write_json, write_table
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import CORPUS, PLAN, QUERIES
from tdro.config.commands import EvalDataset, SearchCorpusJob, TrainJob
from tdro.config.models import Model
from tdro.config.registry import Prompted
from tdro.config.sections import Section
from tdro.errors import UserError
from tdro.forecast import cost
from tdro.forecast.machine import Machine, this_machine
from tdro.forecast.rates import Rates, probe_file
from tdro.forecast.readers import Reader
from tdro.forecast.sizes import Sizes
from tdro.forecast.tokens import A_WORD
from tdro.forecast.works import Works
from tdro.pipeline import threads
from tdro.pipeline.jobs import Jobs

log = logging.getLogger(__name__)

#: Steps of the short training and of the long one, which make twenty. One of a step goes before them: the first job
#: on a machine reads its libraries from the disk and took three times as long.
STEPS = (4, 24)
#: Passages of the short and of the long encoding, on a CPU and on a GPU.
PASSAGES = {"cpu": (64, 1600), "gpu": (1024, 40_000)}
#: Seconds that a Python of docs/performance.md took to import what `search` imports.
_IMPORT, _IMPORTED = 0.3, "tdro.mining.search"
# Common words, each a token of its own in most vocabularies.
_WORDS = (
    *("time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world", "school", "state"),
    *("family", "group", "country", "hand", "part", "place", "case", "week", "company", "system", "program", "work"),
    *(
        "question",
        "government",
        "number",
        "night",
        "point",
        "home",
        "water",
        "room",
        "mother",
        "area",
        "money",
        "story",
    ),
    *("fact", "month", "lot", "right", "study", "book", "eye", "job", "word", "business", "issue", "side", "kind"),
)
_TASK = {"probe": Prompted(instruction="Find the passage.")}


class _Texts(NamedTuple):
    """Made texts, and the files of them."""

    folder: Path
    queries: list[str]
    passages: list[str]


def probe(jobs: Jobs, root: Path, layout: Layout, name: str | None = None) -> Rates:
    """Measure and keep the rates of a model on this machine.

    Args:
        jobs: Of the configuration whose model, launch configuration and lengths count.
        root: The project's folder.
        layout: Where its results lie, as far as there are any.
        name: A model of the configuration; None takes the proxy.

    Returns:
        The rates, which :func:`tdro.forecast.rates.probed` finds from now on.

    Raises:
        UserError: for a model that the configuration does not have, whose network is not known, or that cannot be run.
    """
    named = name or jobs.config.proxy
    if named not in [model.name for model in jobs.config.models]:
        raise UserError(
            f"the configuration has no model {named!r}; it has {', '.join(m.name for m in jobs.config.models)}."
        )
    machine, model = this_machine(), jobs.model(named)
    works = Works(jobs, Sizes(jobs, layout), layout, root, len(machine.gpus))
    reader = works.readers.bases[named]
    if reader.network is None:
        raise UserError(
            f"the network of {model.base} is not known, so no rate follows from its times: fetch it first (target "
            "`fetch_all`), or add its kind to tdro/forecast/models.py."
        )
    if (load := os.getloadavg()[0]) > machine.cores / 2:
        log.warning(
            "other work runs (load %.1f on %d cores): the rates will be those of so busy a machine", load, machine.cores
        )
    of_row, length = works.learning.of_rows(reader, jobs.config.training.negatives)
    with tempfile.TemporaryDirectory() as temporary:
        texts = _make(Path(temporary), of_row - length * (1 + jobs.config.training.negatives), length, machine)
        training, start_training = _training(jobs, model, reader, texts, machine)
        encoding, start = _encoding(jobs, model, reader, texts, machine)
    pace = max(1.0, _seconds([sys.executable, "-c", f"import {_IMPORTED}"]) / _IMPORT)
    said = f"`tdro probe` on {machine}, {time.strftime('%Y-%m-%d')}, with a load of {load:.1f} before it"
    found = Rates(training, encoding, _search(reader.network.width, machine), start, start_training, pace, said)
    write_json(probe_file(machine, model.base), found._asdict())
    return found


def _make(folder: Path, query: float, passage: float, machine: Machine) -> _Texts:
    """Made texts of these mean tokens, half to one and a half times as long each, as a task named ``probe``."""
    random, number = np.random.default_rng(42), max(PASSAGES["gpu" if machine.gpus else "cpu"])

    def texts(mean: float, many: int) -> list[str]:
        lengths = random.uniform(0.5, 1.5, many) * max(2.0, mean / A_WORD)
        return [" ".join(random.choice(_WORDS, max(2, round(n)))) for n in lengths]

    made = _Texts(folder, texts(query, 2000), texts(passage, number))
    for name, passages in (("probe", made.passages), ("short", made.passages[: number // 25])):
        ids = [str(i) for i in range(len(passages))]
        write_table(
            folder / "data" / name / "corpus.parquet",
            {"passage_id": ids, "title": [""] * len(ids), "text": passages},
            CORPUS,
        )
    ids = [str(i) for i in range(len(made.queries))]
    asked = {"query_id": ids, "query": made.queries, "positives": [[0]] * len(ids), "negatives": [[]] * len(ids)}
    write_table(folder / "data/probe/queries.parquet", asked, QUERIES)
    one = {"query_id": ids[:1], "query": made.queries[:1], "positives": [[0]], "negatives": [[]]}
    write_table(folder / "data/one.parquet", one, QUERIES)
    return made


def _training(jobs: Jobs, model: Model, reader: Reader, texts: _Texts, machine: Machine) -> tuple[float, float]:
    """Operations a second and GPU of a training, and the seconds that a job of it takes to start."""
    settings, random = jobs.config.training, np.random.default_rng(7)
    each, seconds, tokens = 2 + settings.negatives, [], []
    for steps in (1, *STEPS):
        rows = steps * settings.batch_size
        drawn = random.integers(len(texts.passages), size=(rows, each - 1))
        asked = np.arange(rows) % len(texts.queries)
        plan = {
            "step": np.arange(rows) // settings.batch_size,
            "slot": np.arange(rows) % settings.batch_size,
            "task": ["probe"] * rows,
            "query": asked,
            "positive": drawn[:, 0],
            "negatives": drawn[:, 1:].tolist(),
        }
        folder = texts.folder / f"training{steps}"
        write_table(folder / "plan.parquet", plan, PLAN)
        schedule = {"steps": steps, "warmup_steps": 1, "save_steps": 10 * steps, "report_to": [], "distill": None}
        job = TrainJob(
            model=model, encoding=jobs.config.encoding, training=settings.model_copy(update=schedule), tasks=_TASK
        )
        command = ["train", "--plan", str(folder / "plan.parquet"), "--output", str(folder / "model")]
        command += ["--checkpoints", str(folder / "checkpoints"), "--tensorboard", str(folder / "tensorboard")]
        command += ["--results", str(texts.folder)]
        used = min(threads.TRAINING, machine.cores) if not machine.gpus else 8 * len(machine.gpus)
        seconds.append(_launched(model.accelerate, command, job, folder, len(machine.gpus), used))
        lengths = [_tokens(reader, texts.queries, asked, reader.query_length)]
        lengths += [_tokens(reader, texts.passages, column, reader.passage_length) for column in drawn.T]
        tokens.append(sum(lengths))
    seconds, tokens = seconds[1:], tokens[1:]
    more = tokens[1] - tokens[0]
    flops = cost.training(
        reader.network,
        more,
        more / ((STEPS[1] - STEPS[0]) * settings.batch_size * each),
        checkpointing=settings.gradient_checkpointing,
        cached=settings.mini_batch_tokens is not None,
        adapters=cost.adapters(reader.network, model.lora.rank) if model.lora else 0,
    )
    took = max(1e-3, seconds[1] - seconds[0])
    start = max(0.0, seconds[0] - took * tokens[0] / more)
    return flops / took / max(1, len(machine.gpus)), start


def _encoding(jobs: Jobs, model: Model, reader: Reader, texts: _Texts, machine: Machine) -> tuple[float, float]:
    """Operations a second of reading passages, and the seconds that a job of it takes to start."""
    seconds, tokens = [], []
    for name in ("short", "probe"):
        folder = texts.folder / f"encoding-{name}"
        files = {
            "corpus": texts.folder / "data" / name / "corpus.parquet",
            "queries": texts.folder / "data/one.parquet",
        }
        test = EvalDataset(**{key: str(file) for key, file in files.items()}, instruction=_TASK["probe"].instruction)
        command = ["search-corpus", "--output", str(folder / "out.parquet")]
        command += ["--checkpoints", str(folder / "checkpoints")]
        job = SearchCorpusJob(tests={"probe": test}, encoding=jobs.config.encoding, retriever=model)
        used = threads.encoding(machine.cores) if not machine.gpus else 8
        seconds.append(_launched("auto", command, job, folder, min(1, len(machine.gpus)), used))
        number = len(texts.passages) if name == "probe" else len(texts.passages) // 25
        tokens.append(_tokens(reader, texts.passages, np.arange(number), reader.passage_length))
    more = tokens[1] - tokens[0]
    took = max(1e-3, seconds[1] - seconds[0])
    flops = cost.forward(reader.network, more, tokens[1] / len(texts.passages))
    return flops / took, max(0.0, seconds[0] - took * tokens[0] / more)


def _tokens(reader: Reader, texts: Sequence[str], rows: np.ndarray, limit: int) -> int:
    """Tokens that are read of the texts of some rows."""
    lengths = np.minimum(limit, reader.tokens_of(tuple(texts)))
    return int(lengths[rows].sum())


def _launched(configuration: str, command: list[str], job: Section, folder: Path, gpus: int, used: int) -> float:
    """Seconds of a job, started as a rule starts it."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "settings.json"
    settings.write_text(job.model_dump_json(), encoding="utf-8")
    start = [sys.executable, "-m", "tdro.cli.launch", "--configuration", configuration, "--gpus", str(gpus)]
    log.info("%s, %d threads", command[0], used)
    return _seconds([*start, "--threads", str(used), "--", *command, "--settings", f"@{settings}"])


def _seconds(command: list[str]) -> float:
    """Seconds that a command takes.

    Raises:
        UserError: with the end of what it said, when it fails.
    """
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"a probe failed; it said: {done.stderr.strip()[-600:]}")
    return time.monotonic() - began


def _search(width: int, machine: Machine) -> float:
    """Operations a second of comparing embeddings."""
    import faiss

    faiss.omp_set_num_threads(threads.encoding(machine.cores))
    random = np.random.default_rng(3)
    passages, queries = (random.standard_normal((n, width), dtype=np.float32) for n in (50_000, 256))
    index = faiss.IndexFlatIP(width)
    index.add(passages)
    began = time.monotonic()
    index.search(queries, 100)
    return cost.search(len(queries), len(passages), width) / (time.monotonic() - began)

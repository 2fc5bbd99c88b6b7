"""What each rule of a configuration does: its jobs, with the tokens, operations, disk and memory of all of them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tdro.artifacts.layout import IN_DOMAIN, Layout
from tdro.config import launchfiles
from tdro.config.mining import Encode
from tdro.config.models import Model
from tdro.config.prompts import Prompts, TaskPrompts, own_of_folder, resolved
from tdro.config.registry import Prompted
from tdro.config.training import Optimisation, Tdro
from tdro.forecast import cost, models
from tdro.forecast.rates import LIGHT, ROWS
from tdro.forecast.sizes import Sizes, Texts
from tdro.forecast.tokens import AROUND, Count, by_bytes, counter, mean_length
from tdro.pipeline.jobs import Jobs
from tdro.readers.fetch import model_job

# Parquet with its compression, beside the texts as they are; and bytes of an English word with its space.
_COMPRESSED, _WORD = 0.5, 6


class Work(NamedTuple):
    """All jobs of a rule with one model.

    Attributes:
        rule: The rule.
        jobs: How many jobs.
        model: Base of the model that they load; None without one.
        tokens: That they read, of all jobs.
        training: Operations of learning.
        encoding: Operations of reading.
        search: Operations of comparing embeddings.
        light: Seconds of what needs no model, on two free cores.
        trains: Whether a job takes all GPUs of a training, not one.
        disk: Bytes that stay.
        memory: Bytes of a process: of its GPU where it uses one, else of the machine.
        cpu: Whether its launch configuration leaves GPUs alone, or nothing of it uses one.
        unknown: Why the figures are not known; empty where they are.
    """

    rule: str
    jobs: int
    model: str | None = None
    tokens: float = 0.0
    training: float = 0.0
    encoding: float = 0.0
    search: float = 0.0
    light: float = 0.0
    trains: bool = False
    disk: float = 0.0
    memory: float = cost.LIGHT
    cpu: bool = True
    unknown: str = ""


class Reader(NamedTuple):
    """A model that reads texts, as far as its files are here."""

    base: str
    network: models.Network | None
    tokens_of: Count
    prompts: TaskPrompts
    query_length: int
    passage_length: int
    batch_size: int
    half: bool

    def of_queries(self, texts: Texts, name: str, prompted: Prompted) -> float:
        """Tokens of all queries of a dataset."""
        prompt = self.prompts.of_query(name, prompted.instruction[0])
        return texts.number * mean_length(texts, self.tokens_of, self.query_length, self._tokens(prompt))

    def of_passages(self, texts: Texts, name: str, prompted: Prompted) -> float:
        """Tokens of all passages of a dataset."""
        prompt = self.prompts.of_passage(name, prompted.instruction[0], symmetric=prompted.symmetric)
        return texts.number * mean_length(texts, self.tokens_of, self.passage_length, self._tokens(prompt))

    def _tokens(self, prompt: str) -> int:
        return max(0, self.tokens_of((prompt,))[0] - AROUND) if prompt else 0


class Works:
    """The work of a configuration.

    Args:
        jobs: Its jobs.
        sizes: Its texts.
        layout: Where its results lie.
        root: The project's folder, for launch configurations.
        gpus: GPUs of a training; 0 on a CPU.
        local: Whether files of models that are on this machine count. Where they do not, a forecast is the same on
            every machine.
    """

    def __init__(self, jobs: Jobs, sizes: Sizes, layout: Layout, root: Path, gpus: int, *, local: bool = True) -> None:
        self._local = local
        self.jobs, self._sizes, self._layout, self._root, self._gpus = jobs, sizes, layout, root, gpus
        self._config = jobs.config
        self.said: list[str] = []
        encode = self._config.mining.encode
        self.miner = self._reader(encode.model, encode, encode.max_length, encode.max_length, encode.batch_size)
        self.readers = {model.name: self._of_model(model) for model in self._config.models}
        self.mined = {name: (self._sizes.task(name), self.jobs.tasks[name]) for name in jobs.mined}

    def all(self) -> list[Work]:
        """A row a rule and model, in the order of the walk of the data."""
        return [*self._data(), *self._mining(), *self._rows(), *self._learning(), *self._evaluation(), *self._report()]

    # Data.

    def _data(self) -> Iterator[Work]:
        fetched = len({job.key for job in self.jobs.fetches.values() if job})
        if fetched:
            yield Work("fetch", fetched, light=fetched * LIGHT["fetch"])
        texts = [self._sizes.task(name) for name in self.jobs.tasks]
        yield self._prepare(
            "prepare_task", [(t.queries, t.passages, t.held_out_queries, t.held_out_passages) for t in texts]
        )
        tests, rows = self.jobs.tests, self.jobs.tests.of_rows
        apart = [name for name in tests.corpora if name not in rows]
        queries = [name for name in tests.chosen if name not in rows]
        yield self._prepare("prepare_benchmark", [(self._sizes.corpus(n), self._sizes.queries(n)) for n in rows])
        yield self._prepare("prepare_corpus", [(self._sizes.corpus(n),) for n in apart])
        yield self._prepare("prepare_queries", [(self._sizes.queries(n),) for n in queries])

    def _prepare(self, rule: str, datasets: list[tuple[Texts, ...]]) -> Work:
        texts = [one for dataset in datasets for one in dataset]
        number = sum(one.number for one in texts) / 2  # a pair is two texts
        light = len(datasets) * LIGHT[rule] + number / ROWS["prepare"]
        largest = max((sum(one.number for one in dataset) for dataset in datasets), default=0)
        # What `prepare` keeps of a pair in memory (docs/performance.md: 350 MB of two million).
        memory = cost.LIGHT + 180 * largest / 2
        return Work(rule, len(datasets), light=light, disk=_COMPRESSED * sum(map(_bytes, texts)), memory=memory)

    # Mining.

    def _mining(self) -> Iterator[Work]:
        if not self.mined:
            return
        mining, jobs = self._config.mining, len(self.mined)
        tokens = texts = 0.0
        for name, (task, prompted) in self.mined.items():
            tokens += self.miner.of_queries(task.queries, name, prompted)
            tokens += self.miner.of_passages(task.passages, name, prompted)
            texts += task.queries.number + task.passages.number
        width = self.miner.network.width if self.miner.network else 0
        yield self._reads(
            "encode", 1 if self._config.jobs == "one" else jobs, self.miner, tokens, texts, texts * width * 2
        )
        queries = sum(task.queries.number for task, _ in self.mined.values())
        compared = sum(cost.search(t.queries.number, t.passages.number, width) for t, _ in self.mined.values())
        depth, light = mining.search.depth, jobs * LIGHT["search"]
        # A block of the corpus and its copy (docs/performance.md).
        largest = max(t.passages.number for t, _ in self.mined.values())
        memory = cost.LIGHT + 2 * min(256e6, largest * width * cost.FLOAT)
        yield Work("search", jobs, search=compared, light=light, disk=queries * depth * 8, memory=memory)
        if mining.rescore:
            yield self._rescore(queries, depth)
        light = jobs * LIGHT["select"] + queries / ROWS["select"]
        samples = mining.select.samples
        memory = cost.LIGHT + max(t.queries.number for t, _ in self.mined.values()) * (depth + samples) * 8
        yield Work("select", jobs, light=light, disk=queries * samples * 8, memory=memory)

    def _rescore(self, queries: float, depth: int) -> Work:
        rescore = self._config.mining.rescore
        asked = Encode(model=rescore.model, revision=rescore.revision, sha256=rescore.sha256)
        reader = self._reader(rescore.model, asked, rescore.max_length, rescore.max_length, rescore.batch_size)
        pairs, tokens = queries * min(depth, rescore.depth), 0.0
        for name, (task, prompted) in self.mined.items():
            of_query = reader.of_queries(task.queries, name, prompted) / max(1, task.queries.number)
            of_passage = reader.of_passages(task.passages, name, prompted) / max(1, task.passages.number)
            each = min(rescore.max_length, of_query + of_passage)
            tokens += task.queries.number * min(depth, rescore.depth) * each
        return self._reads("rescore", len(self.mined), reader, tokens, pairs, pairs * 8)

    def _rows(self) -> Iterator[Work]:
        tasks = [self._sizes.task(name) for name in self.jobs.tasks]
        asked = sum(queries.number for _, queries, *_ in self._searched())
        compared = sum(map(self._queries_of, self.jobs.compared))
        queries = sum(task.queries.number for task in tasks)
        samples = self._config.mining.select.samples
        # Each job reads the fingerprints of all evaluation queries anew.
        light = len(tasks) * (LIGHT["dedup"] + compared / ROWS["dedup"]) + queries / ROWS["dedup"]
        memory = cost.LIGHT + 40 * (compared + max(task.queries.number for task in tasks)) + 50e6
        yield Work("dedup", len(tasks), light=light, disk=queries * (samples + 2) * 4, memory=memory)
        # Texts of the training rows: a query and a positive each.
        read = sum(_bytes(t.queries) + _bytes(t.passages._replace(number=t.queries.number)) for t in tasks)
        light = LIGHT["leaks"] + read / ROWS["leaks"]
        yield Work("leaks", 1, light=light, memory=cost.LIGHT + 2 * asked * 64 * 8 * 1.4)

    def _queries_of(self, benchmark: str) -> int:
        names = self.jobs.tests.datasets(benchmark)
        if benchmark == IN_DOMAIN:
            return sum(self._sizes.task(name).held_out_queries.number for name in names)
        return sum(self._sizes.queries(name).number for name in names)

    # Training.

    def _learning(self) -> Iterator[Work]:
        config = self._config
        names, seeds = config.mixtures, len(config.seeds)
        courses, planned = len(self.jobs.run_courses), len(config.models) * seeds * len(names)
        rows = planned * self.jobs.training_rows
        asked = config.tdro.steps * config.tdro.batch_size
        rows += seeds * asked if courses else 0
        plans = planned + (seeds if courses else 0)
        derived = {name for name in names if name != "uniform"} | {config.tdro.sampling, config.tdro.initial} - {
            "uniform"
        }
        weights = seeds * (len(config.models) + len(derived))
        yield Work("derive", weights, light=weights * LIGHT["derive"])
        width = config.training.negatives + 5
        memory = cost.LIGHT + 60 * max(self.jobs.training_rows, asked if courses else 0)
        light = plans * LIGHT["plan"] + rows / ROWS["plan"]
        yield Work("plan", plans, light=light, disk=rows * width * 4, memory=memory)
        for model in config.models:
            work = self._trains("train", model, config.training, seeds * len(names))
            parameters = self.readers[model.name].network
            yield work._replace(disk=work.jobs * cost.FLOAT * parameters.parameters if parameters else 0)
        if courses:
            proxy = self.jobs.model(config.proxy)
            tokens, _ = self.of_rows(self.readers[proxy.name], config.tdro.negatives)
            texts = config.tdro.negatives + 2
            number = seeds * asked * texts
            reads = self._reads("reference", seeds, self.readers[proxy.name], seeds * asked * tokens, number, number)
            yield reads._replace(cpu=self._on_cpu(proxy))
            yield self._trains("optimize", proxy, config.tdro, seeds * courses, config.tdro.accumulation)

    def _trains(self, rule: str, model: Model, settings: Optimisation, jobs: int, accumulation: int = 1) -> Work:
        reader = self.readers[model.name]
        network, on_cpu = reader.network, self._on_cpu(model)
        if network is None:
            return self._unknown(rule, jobs, reader)
        of_row, length = self.of_rows(reader, settings.negatives)
        adapters = cost.adapters(network, model.lora.rank) if model.lora else 0
        tokens = settings.steps * settings.batch_size * of_row
        flops = cost.training(
            network,
            tokens,
            length,
            checkpointing=settings.gradient_checkpointing,
            cached=settings.mini_batch_tokens is not None,
            adapters=adapters,
        )
        memory = self.memory(model, settings, accumulation)
        # An allocator of a CPU keeps what was freed, in two types under autocast.
        total = memory.total + (cost.LIBRARIES + (cost.ON_CPU - 1) * memory.activations if on_cpu else 0)
        return Work(
            rule, jobs, reader.base, jobs * tokens, jobs * flops, trains=True, memory=total, cpu=on_cpu
        )  # fmt: skip

    def memory(self, model: Model, settings: Optimisation, accumulation: int = 1) -> cost.Memory:
        """Bytes of one process of a training."""
        reader, on_cpu = self.readers[model.name], self._on_cpu(model)
        rows = self._tokens_of_rows(reader, settings.negatives)
        # A batch of a training is of one task: that of the longest texts decides.
        of_row = sum(rows) / len(rows) if isinstance(settings, Tdro) else max(rows)
        length = of_row / (2 + settings.negatives)
        processes = 1 if on_cpu else max(1, self._gpus)
        held = settings.batch_size * of_row / processes / accumulation * cost.PADDING
        adapters = cost.adapters(reader.network, model.lora.rank) if model.lora else 0
        return cost.training_memory(
            reader.network,
            min(held, settings.mini_batch_tokens or held),
            length,
            layout=_layout(launchfiles.read(model.accelerate, self._root)),
            processes=processes,
            trained=adapters or reader.network.parameters,
            frozen_bytes=cost.HALF if model.dtype == "bfloat16" else cost.FLOAT,
            half=reader.half,
            checkpointing=settings.gradient_checkpointing,
            fused_attention=not on_cpu,
        )

    def of_rows(self, reader: Reader, negatives: int) -> tuple[float, float]:
        """Mean tokens of a training row, all tasks alike, and of a text of it."""
        found = self._tokens_of_rows(reader, negatives)
        tokens = sum(found) / len(found)
        return tokens, tokens / (2 + negatives)

    def _tokens_of_rows(self, reader: Reader, negatives: int) -> list[float]:
        """Mean tokens of a training row of each task."""
        found = []
        for name, prompted in self.jobs.tasks.items():
            task = self._sizes.task(name)
            query = reader.of_queries(task.queries._replace(number=1), name, prompted)
            passage = reader.of_passages(task.passages._replace(number=1), name, prompted)
            found.append(query + (1 + negatives) * passage)
        return found

    # Evaluation.

    def _evaluation(self) -> Iterator[Work]:
        config, tests = self._config, self.jobs.tests
        of_retriever = 1 if config.jobs == "one" else len(tests.evaluated)
        each = len(config.seeds) * len(config.mixtures)
        shared = sorted(tests.shared_corpora)
        for model in config.models:
            yield from self._scores("", self.readers[model.name], each, of_retriever, shared, self._on_cpu(model))
        for name, retriever in self.jobs.untrained.items():
            if name == "bm25":
                yield self._bm25(of_retriever)
            else:
                reader, on_cpu = self.miner, self._gpus == 0
                if isinstance(retriever, Model):
                    reader, on_cpu = self.readers[retriever.name], self._on_cpu(retriever)
                yield from self._scores("_untrained", reader, 1, of_retriever, shared, on_cpu)

    def _scores(
        self, suffix: str, reader: Reader, retrievers: int, of_retriever: int, shared: list[str], on_cpu: bool
    ) -> Iterator[Work]:
        """Corpora that are encoded for several test sets, then the test sets, of retrievers that read alike."""
        if shared:
            corpora = {name: (self._sizes.corpus(name), self.jobs.tests.corpora[name].entry) for name in shared}
            tokens = sum(reader.of_passages(texts, name, entry) for name, (texts, entry) in corpora.items())
            number = retrievers * sum(texts.number for texts, _ in corpora.values())
            work = self._reads(f"encode_corpus{suffix}", retrievers * len(shared), reader, retrievers * tokens, number)
            yield work._replace(cpu=on_cpu)
        tokens, compared, number = 0.0, 0.0, 0
        width = reader.network.width if reader.network else 0
        for name, queries, passages, prompted, stored in self._searched():
            tokens += reader.of_queries(queries, name, prompted)
            tokens += 0 if stored else reader.of_passages(passages, name, prompted)
            number += queries.number + (0 if stored else passages.number)
            compared += cost.search(queries.number, passages.number, width)
        jobs = retrievers * of_retriever
        work = self._reads(f"evaluate{suffix}", jobs, reader, retrievers * tokens, retrievers * number)
        yield work._replace(search=retrievers * compared, cpu=on_cpu)

    def _searched(self) -> Iterator[tuple[str, Texts, Texts, Prompted, bool]]:
        """Name, queries, corpus and prompts of everything that a retriever is scored on, and whether that is stored."""
        tests = self.jobs.tests
        for dataset in tests.evaluated:
            if dataset != IN_DOMAIN:
                test = tests.chosen[dataset]
                queries, passages = self._sizes.queries(dataset), self._sizes.corpus(test.corpus)
                yield dataset, queries, passages, test.entry, tests.reads_shared(dataset)
                continue
            for name in tests.datasets(IN_DOMAIN):
                task = self._sizes.task(name)
                yield name, task.held_out_queries, task.held_out_passages, self.jobs.tasks[name], False

    def _bm25(self, jobs: int) -> Work:
        found = list(self._searched())
        light = jobs * LIGHT["evaluate_bm25"]
        light += sum(p.number / ROWS["bm25_passages"] + q.number / ROWS["bm25_queries"] for _, q, p, _, _ in found)
        largest = max((passages.number for _, _, passages, _, _ in found), default=0)
        return Work("evaluate_bm25", jobs, light=light, memory=cost.LIGHT + 1500 * largest)

    def _report(self) -> Iterator[Work]:
        asked = sum(queries.number for _, queries, _, _, _ in self._searched())
        compared = len(self._config.models) * len(self._config.mixtures) * asked
        # Resampling touches each query once a sample.
        light = LIGHT["report"] + compared * self._config.report.bootstrap_samples / 200e6
        yield Work("report", 1, light=light, memory=2 * cost.LIGHT)

    # Models.

    def _reads(self, rule: str, jobs: int, reader: Reader, tokens: float, texts: float, disk: float = 0) -> Work:
        """Jobs that only read so many tokens of so many texts with a model."""
        if reader.network is None:
            return self._unknown(rule, jobs, reader)
        flops = cost.forward(reader.network, tokens, tokens / max(1, texts))
        memory = cost.inference_memory(reader.network, reader.batch_size * reader.passage_length, half=reader.half)
        on_cpu = self._gpus == 0
        memory += cost.LIBRARIES if on_cpu else 0
        return Work(rule, jobs, reader.base, tokens, encoding=flops, disk=disk, memory=memory, cpu=on_cpu)

    def _unknown(self, rule: str, jobs: int, reader: Reader) -> Work:
        return Work(rule, jobs, reader.base, unknown=f"the network of {reader.base}")

    def _on_cpu(self, model: Model) -> bool:
        return self._gpus == 0 or launchfiles.uses_cpu(model.accelerate, self._root)

    def _of_model(self, model: Model) -> Reader:
        encoding = self._config.encoding
        asked = (encoding.query_length, encoding.passage_length, encoding.batch_size)
        return self._reader(model.base, model, *asked, layers=model.layers, static=model.static)

    def _reader(
        self,
        base: str,
        asked: Model | Encode,
        query_length: int,
        passage_length: int,
        batch_size: int,
        layers: int | None = None,
        static: int | None = None,
    ) -> Reader:
        folder = None
        if self._local:
            folder = models.folder_of(base, asked.sha256, asked.revision) or self._fetched(base, asked)
        network = models.read(base, folder, layers, static)
        count = counter(folder)
        if network is None:
            self.said.append(f"the network of {base} is not known: it is not on this machine, or of a kind not listed")
        if count is None:
            self.said.append(f"the tokenizer of {base} is not on this machine: tokens are guessed from bytes or words")
        own = own_of_folder(folder) if folder else Prompts()
        prompts = resolved(_by_task(asked.prompts), own, instructed=bool(network and network.decoder))
        half = self._config.encoding.precision == "bf16" and self._gpus > 0
        return Reader(base, network, count or by_bytes, prompts, query_length, passage_length, batch_size, half)

    def _fetched(self, base: str, asked: Model | Encode) -> Path | None:
        """The folder that the manifest of a hub model names."""
        job = model_job(base, asked.revision, asked.sha256)
        file = Path(self._layout.fetched(job.key)) if job and job.kind == "model" else None
        return models.folder_of_manifest(file) if file else None


def _by_task(prompts: Prompts) -> TaskPrompts:
    return prompts if isinstance(prompts, TaskPrompts) else TaskPrompts(**prompts.model_dump())


def _bytes(texts: Texts) -> float:
    if texts.sample:
        return texts.number * sum(len(text.encode()) for text in texts.sample) / len(texts.sample)
    return texts.number * texts.words * _WORD


def _layout(launch: Mapping) -> str:
    """How a launch configuration lays out a model."""
    if launch.get("distributed_type") == "FSDP":
        whole = launch.get("fsdp_config", {}).get("fsdp_reshard_after_forward", True)
        return cost.SHARDED if whole else cost.SHARDED_STATE
    if launch.get("distributed_type") == "DEEPSPEED":
        stage = launch.get("deepspeed_config", {}).get("zero_stage", 0)
        return {3: cost.SHARDED, 2: cost.SHARDED_STATE, 1: cost.SHARDED_STATE}.get(stage, cost.WHOLE)
    return cost.WHOLE

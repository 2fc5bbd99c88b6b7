"""The work of learning: plans, trainings, reference losses, weights; and the memory of a training."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tdro.config import launchfiles, mixturenames
from tdro.config.models import Model
from tdro.config.training import Optimisation, Tdro
from tdro.forecast import cost
from tdro.forecast.rates import LIGHT, ROWS
from tdro.forecast.readers import Reader, Readers
from tdro.forecast.sizes import Sizes
from tdro.forecast.work import Work
from tdro.pipeline.jobs import Jobs
from tdro.pipeline.soups import weighed


class Learning:
    """What the rules between training rows and retrievers do.

    Args:
        jobs: Jobs of a configuration.
        sizes: Its texts.
        readers: Its models.
        root: The project's folder, for launch configurations.
        gpus: GPUs of a training; 0 on a CPU.
    """

    def __init__(self, jobs: Jobs, sizes: Sizes, readers: Readers, root: Path, gpus: int) -> None:
        self._jobs, self._sizes, self._readers, self._root, self._gpus = jobs, sizes, readers, root, gpus
        self._config = jobs.config

    def all(self) -> Iterator[Work]:
        """The work, in the order of the walk of the data."""
        config = self._config
        seeds, trained = len(config.seeds), self._jobs.soups.trainings()
        courses, planned = len(self._jobs.run_courses), len(config.models) * len(trained)
        drawn = [self._jobs.training_rows(mixture) for mixture, _ in trained]
        rows = len(config.models) * sum(drawn)
        asked = config.tdro.steps * config.tdro.batch_size
        rows += seeds * asked if courses else 0
        plans = planned + (seeds if courses else 0)
        # The warm-up and the experts, of the proxy alone; the warm-up draws by the uniform weights.
        short = [self._jobs.training_rows(name) for name in self._jobs.experts]
        plans, rows = plans + seeds * len(short), rows + seeds * sum(short)
        derived = {*weighed(config), config.tdro.sampling, config.tdro.initial} - {"uniform"}
        weights = seeds * (len(config.models) + len(derived) + max(0, len(short) - 1))
        yield Work("derive", weights, light=weights * LIGHT["derive"])
        width = config.training.negatives + 5
        # Of the rows planned, and of one task's training rows at a time with their negatives.
        memory = cost.LIGHT + 60 * max(*drawn, asked if courses else 0)
        largest = max((self._sizes.task(name).rows for name in self._jobs.tasks), default=0)
        memory += largest * (40 + 5 * config.mining.select.samples)
        light = plans * LIGHT["plan"] + rows / ROWS["plan"]
        yield Work("plan", plans, light=light, disk=rows * width * 4, memory=memory)
        for model in config.models:
            number, learnt = len(trained), sum(drawn)
            if model.name == config.proxy:
                number, learnt = number + seeds * len(short), learnt + seeds * sum(short)
            work = self._trains("train", model, config.training, number, rows=learnt)
            yield work._replace(disk=work.jobs * self._bytes_of(model))
            yield from self._averages(model)
        if courses:
            proxy = self._jobs.model(config.proxy)
            tokens, _ = self.of_rows(self._readers.bases[proxy.name], config.tdro.negatives)
            texts = config.tdro.negatives + 2
            number = seeds * asked * texts
            reads = self._readers.reads(
                "reference", seeds, self._readers.bases[proxy.name], seeds * asked * tokens, number, number
            )
            yield reads._replace(cpu=self._readers.on_cpu(proxy))
            optimized, micro = seeds * courses, config.tdro.accumulation
            yield self._trains("optimize", proxy, config.tdro, optimized, micro, rows=optimized * asked)

    def _bytes_of(self, model: Model) -> float:
        """Of a trained model's weights."""
        network = self._readers.bases[model.name].network
        return cost.FLOAT * network.parameters if network else 0

    def _averages(self, model: Model) -> Iterator[Work]:
        """Soups: the disk's work, which reads every model that is averaged and writes one."""
        soups, seeds, size = self._jobs.soups, self._config.seeds, self._bytes_of(model)
        merged = [name for name in self._config.mixtures if mixturenames.parse(name).kind == "soup"]
        with_base = [name for name in merged if soups.has_base(name)]
        if with_base:
            base = self._readers.bases[model.name].base
            yield Work("base", 1, base, memory=cost.LIBRARIES + 2 * size)
        moved = [len(soups.made_of(name, seed)) + 1 + (name in with_base) for name in merged for seed in seeds]
        light = len(moved) * LIGHT["merge"] + sum(moved) * size / ROWS["merge"]
        yield Work("merge", len(moved), light=light, disk=len(moved) * size, memory=cost.LIBRARIES)

    def _trains(
        self, rule: str, model: Model, settings: Optimisation, jobs: int, accumulation: int = 1, *, rows: int
    ) -> Work:
        """Jobs that train on so many rows, all of them together."""
        reader = self._readers.bases[model.name]
        network, on_cpu = reader.network, self._readers.on_cpu(model)
        if network is None:
            return self._readers.unknown(rule, jobs, reader)
        of_row, length = self.of_rows(reader, settings.negatives)
        adapters = cost.adapters(network, model.lora.rank) if model.lora else 0
        tokens = rows * of_row
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
        return Work(rule, jobs, reader.base, tokens, flops, trains=True, memory=total, cpu=on_cpu)

    def memory(self, model: Model, settings: Optimisation, accumulation: int = 1) -> cost.Memory:
        """Bytes of one process of a training."""
        reader, on_cpu = self._readers.bases[model.name], self._readers.on_cpu(model)
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
        for name, prompted in self._jobs.tasks.items():
            task = self._sizes.task(name)
            query = reader.of_queries(task.queries._replace(number=1), name, prompted)
            passage = reader.of_passages(task.passages._replace(number=1), name, prompted)
            found.append(query + (1 + negatives) * passage)
        return found


def _layout(launch: Mapping) -> str:
    """How a launch configuration lays out a model."""
    if launch.get("distributed_type") == "FSDP":
        whole = launch.get("fsdp_config", {}).get("fsdp_reshard_after_forward", True)
        return cost.SHARDED if whole else cost.SHARDED_STATE
    if launch.get("distributed_type") == "DEEPSPEED":
        stage = launch.get("deepspeed_config", {}).get("zero_stage", 0)
        return {3: cost.SHARDED, 2: cost.SHARDED_STATE, 1: cost.SHARDED_STATE}.get(stage, cost.WHOLE)
    return cost.WHOLE

"""The models of a configuration as readers of texts: their networks, tokens and prompts."""

from pathlib import Path
from typing import NamedTuple

from tdro.artifacts.layout import Layout
from tdro.config import launchfiles
from tdro.config.mining import Encode
from tdro.config.models import Model
from tdro.config.prompts import Prompts, TaskPrompts, own_of_folder, resolved
from tdro.config.registry import Prompted
from tdro.forecast import cost, models
from tdro.forecast.sizes import Texts
from tdro.forecast.tokens import AROUND, Count, by_bytes, counter, mean_length
from tdro.forecast.work import Work
from tdro.pipeline.jobs import Jobs
from tdro.readers.fetch import model_job


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


class Readers:
    """The readers of a configuration.

    Args:
        jobs: Its jobs.
        layout: Where its results lie.
        root: The project's folder, for launch configurations.
        gpus: GPUs of a training; 0 on a CPU.
        local: Whether files of models that are on this machine count.

    Attributes:
        miner: The miner.
        bases: The bases, by the name of their model.
        said: Sentences on what is not known of them.
    """

    def __init__(self, jobs: Jobs, layout: Layout, root: Path, gpus: int, *, local: bool) -> None:
        self._config, self._layout, self._root, self._gpus, self._local = jobs.config, layout, root, gpus, local
        self.said: list[str] = []
        encode = self._config.mining.encode
        self.miner = self.reader(encode.model, encode, encode.max_length, encode.max_length, encode.batch_size)
        self.bases = {model.name: self._of_model(model) for model in self._config.models}

    def reads(self, rule: str, jobs: int, reader: Reader, tokens: float, texts: float, disk: float = 0) -> Work:
        """Jobs that only read so many tokens of so many texts with a model."""
        if reader.network is None:
            return self.unknown(rule, jobs, reader)
        flops = cost.forward(reader.network, tokens, tokens / max(1, texts))
        memory = cost.inference_memory(reader.network, reader.batch_size * reader.passage_length, half=reader.half)
        on_cpu = self._gpus == 0
        memory += cost.LIBRARIES if on_cpu else 0
        return Work(rule, jobs, reader.base, tokens, encoding=flops, disk=disk, memory=memory, cpu=on_cpu)

    def unknown(self, rule: str, jobs: int, reader: Reader) -> Work:
        """Jobs with a model that nobody knows."""
        return Work(rule, jobs, reader.base, unknown=f"the network of {reader.base}")

    def on_cpu(self, model: Model) -> bool:
        """Whether a model leaves GPUs alone, or there are none."""
        return self._gpus == 0 or launchfiles.uses_cpu(model.accelerate, self._root)

    def _of_model(self, model: Model) -> Reader:
        encoding = self._config.encoding
        asked = (encoding.query_length, encoding.passage_length, encoding.batch_size)
        return self.reader(model.base, model, *asked, layers=model.layers, static=model.static)

    def reader(
        self,
        base: str,
        asked: Model | Encode,
        query_length: int,
        passage_length: int,
        batch_size: int,
        layers: int | None = None,
        static: int | None = None,
    ) -> Reader:
        """A model and how it reads; what is not known of it is said."""
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

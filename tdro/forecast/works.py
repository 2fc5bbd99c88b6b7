"""What each rule of a configuration does: its jobs, with the tokens, operations, disk and memory of all of them."""

from collections.abc import Iterator
from pathlib import Path

from tdro.artifacts.layout import IN_DOMAIN, Layout
from tdro.config.mining import Encode
from tdro.forecast import cost
from tdro.forecast.choosing import Choosing
from tdro.forecast.evaluating import Evaluating
from tdro.forecast.learning import Learning
from tdro.forecast.rates import LIGHT, READ, ROWS
from tdro.forecast.readers import Readers
from tdro.forecast.sizes import COMPRESSED, Sizes, Texts, bytes_of
from tdro.forecast.work import Work
from tdro.pipeline.jobs import Jobs


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
        self.jobs, self._sizes, self._gpus, self._config = jobs, sizes, gpus, jobs.config
        self.readers = Readers(jobs, layout, root, gpus, local=local)
        self.learning = Learning(jobs, sizes, self.readers, root, gpus)
        self.choosing = Choosing(jobs, sizes, self.readers)
        self.evaluating = Evaluating(jobs, sizes, self.readers, gpus)
        self.mined = {name: (sizes.task(name), jobs.tasks[name]) for name in jobs.mined}

    def all(self, *, study: bool = False) -> list[Work]:
        """A row a rule and model, in the order of the walk of the data; of a study, which chooses, too, or of a run."""
        before = [*self._data(), *self._mining(), *self._rows(), *self.learning.all(), *self.choosing.all(study=study)]
        return [*before, *self.evaluating.all(), *self._report()]

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
        return Work(rule, len(datasets), light=light, disk=COMPRESSED * sum(map(bytes_of, texts)), memory=memory)

    # Mining.

    def _mining(self) -> Iterator[Work]:
        if not self.mined:
            return
        mining, jobs = self._config.mining, len(self.mined)
        tokens = texts = 0.0
        for name, (task, prompted) in self.mined.items():
            tokens += self.readers.miner.of_queries(task.queries, name, prompted)
            tokens += self.readers.miner.of_passages(task.passages, name, prompted)
            texts += task.queries.number + task.passages.number
        width = self.readers.miner.network.width if self.readers.miner.network else 0
        yield self.readers.reads(
            "encode", 1 if self._config.jobs == "one" else jobs, self.readers.miner, tokens, texts, texts * width * 2
        )
        if self.jobs.asks_for("chameleon"):
            light = LIGHT["task_means"] + texts * width * 2 / READ
            yield Work("task_means", 1, light=light, disk=jobs * width * 8, memory=cost.LIGHT + 256e6)
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
        reader = self.readers.reader(rescore.model, asked, rescore.max_length, rescore.max_length, rescore.batch_size)
        pairs, tokens = queries * min(depth, rescore.depth), 0.0
        for name, (task, prompted) in self.mined.items():
            of_query = reader.of_queries(task.queries, name, prompted) / max(1, task.queries.number)
            of_passage = reader.of_passages(task.passages, name, prompted) / max(1, task.passages.number)
            each = min(rescore.max_length, of_query + of_passage)
            tokens += task.queries.number * min(depth, rescore.depth) * each
        return self.readers.reads("rescore", len(self.mined), reader, tokens, pairs, pairs * 8)

    def _rows(self) -> Iterator[Work]:
        tasks = [self._sizes.task(name) for name in self.jobs.tasks]
        asked = sum(queries.number for _, queries, *_ in self.evaluating.searched())
        compared = sum(map(self._queries_of, self.jobs.compared)) + sum(t.dev for t in self.jobs.tasks.values())
        queries = sum(task.queries.number for task in tasks)
        samples = self._config.mining.select.samples
        # Each job reads the fingerprints of all evaluation queries anew.
        light = len(tasks) * (LIGHT["dedup"] + compared / ROWS["dedup"]) + queries / ROWS["dedup"]
        memory = cost.LIGHT + 40 * (compared + max(task.queries.number for task in tasks)) + 50e6
        yield Work("dedup", len(tasks), light=light, disk=queries * (samples + 2) * 4, memory=memory)
        # Texts of the training rows: a query and a positive each.
        read = sum(bytes_of(t.queries) + bytes_of(t.passages._replace(number=t.queries.number)) for t in tasks)
        light = LIGHT["leaks"] + read / ROWS["leaks"]
        yield Work("leaks", 1, light=light, memory=cost.LIGHT + 2 * asked * 64 * 8 * 1.4)

    def _queries_of(self, benchmark: str) -> int:
        names = self.jobs.tests.datasets(benchmark)
        if benchmark == IN_DOMAIN:
            return sum(self._sizes.task(name).held_out_queries.number for name in names)
        return sum(self._sizes.queries(name).number for name in names)

    def _report(self) -> Iterator[Work]:
        asked = sum(queries.number for _, queries, _, _, _ in self.evaluating.searched())
        compared = len(self._config.models) * len(self._config.mixtures) * asked
        # Resampling touches each query once a sample.
        light = LIGHT["report"] + compared * self._config.report.bootstrap_samples / 200e6
        yield Work("report", 1, light=light, memory=2 * cost.LIGHT)

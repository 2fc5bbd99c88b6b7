"""What evaluation does: jobs of each rule, and of each job that scores a retriever by itself."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

from tdro.artifacts.layout import IN_DOMAIN, sampled, whole
from tdro.config.models import Model
from tdro.config.registry import Prompted
from tdro.forecast import cost
from tdro.forecast.rates import LIGHT, ROWS
from tdro.forecast.readers import Reader, Readers
from tdro.forecast.sizes import COMPRESSED, Sizes, Texts, bytes_of
from tdro.forecast.work import Work
from tdro.pipeline.jobs import Jobs


@dataclass
class _Reading:
    """Texts that are read, and what comparing their embeddings takes."""

    tokens: float = 0.0
    texts: float = 0.0
    compared: float = 0.0

    @classmethod
    def together(cls, of: Iterable[Self]) -> Self:
        """All of them."""
        whole = cls()
        for one in of:
            whole.tokens, whole.texts = whole.tokens + one.tokens, whole.texts + one.texts
            whole.compared += one.compared
        return whole


class Scoring(NamedTuple):
    """A job that scores one retriever.

    Attributes:
        rule: ``search_corpus`` or ``evaluate``.
        name: The corpus or the test set.
        times: How many such jobs there are: parts of the corpus.
        work: What one of them does.
    """

    rule: str
    name: str
    times: int
    work: Work


class Evaluating:
    """The work of evaluating all retrievers of a configuration.

    Args:
        jobs: Its jobs.
        sizes: Its texts.
        readers: Its models.
        gpus: GPUs of a training; 0 on a CPU.
    """

    def __init__(self, jobs: Jobs, sizes: Sizes, readers: Readers, gpus: int) -> None:
        self._jobs, self._sizes, self._readers, self._gpus, self._config = jobs, sizes, readers, gpus, jobs.config

    def all(self) -> Iterator[Work]:
        """A row a rule and retriever."""
        config, tests = self._config, self._jobs.tests
        of_retriever = 1 if config.jobs == "one" else len(tests.evaluated)
        each = len(config.seeds) * len(config.mixtures)
        if tests.sampled:
            yield self._sample()
        for model in config.models:
            yield from self._scores("", self._readers.bases[model.name], each, self._readers.on_cpu(model))
        for name, retriever in self._jobs.untrained.items():
            if name == "bm25":
                yield self._bm25(of_retriever)
            else:
                reader, on_cpu = self._readers.miner, self._gpus == 0
                if isinstance(retriever, Model):
                    reader, on_cpu = self._readers.bases[retriever.name], self._readers.on_cpu(retriever)
                yield from self._scores("_untrained", reader, 1, on_cpu)
        yield from self._without_models(len(config.models) * each, len(set(self._jobs.untrained) - {"bm25"}))

    def _without_models(self, trained: int, untrained: int) -> Iterator[Work]:
        """What is done with the rankings of so many retrievers in corpora that are searched ahead."""
        tests = self._jobs.tests
        if not tests.searched:
            return
        merged = (trained + untrained) * len(tests.searched)
        yield Work("merge_rankings", merged, light=merged * LIGHT["merge_rankings"])
        if self._config.jobs != "one":
            sets = sum(map(tests.is_searched, tests.evaluated))
            yield Work("score", trained * sets, light=trained * sets * LIGHT["score"])
            if untrained:
                yield Work("score_untrained", untrained * sets, light=untrained * sets * LIGHT["score"])

    def _scores(self, suffix: str, reader: Reader, retrievers: int, on_cpu: bool) -> Iterator[Work]:
        """Corpora that are searched ahead, in parts, then the test sets, of retrievers that read alike."""
        for rule in ("search_corpus", "evaluate"):
            alike = [job for job in self.scoring(reader) if job.rule == rule]
            if alike:
                work = self._readers.reads(
                    f"{rule}{suffix}", retrievers * sum(job.times for job in alike), reader, 0, 0
                )
                yield work._replace(
                    tokens=retrievers * sum(job.times * job.work.tokens for job in alike),
                    encoding=retrievers * sum(job.times * job.work.encoding for job in alike),
                    search=retrievers * sum(job.times * job.work.search for job in alike),
                    cpu=on_cpu,
                )

    def scoring(self, reader: Reader) -> list[Scoring]:
        """The jobs that score one retriever: each part of a corpus that is searched ahead, and each other test set."""
        width = reader.network.width if reader.network else 0
        parts: dict[str, _Reading] = {}
        here: dict[str, _Reading] = {}
        for name, queries, passages, prompted, corpus in self.searched():
            found = parts.setdefault(corpus, _Reading()) if corpus else here.setdefault(name, _Reading())
            found.tokens += reader.of_queries(queries, name, prompted)
            found.texts += queries.number
            number = passages.number / self._jobs.tests.searched.get(corpus or "", 1)
            found.compared += cost.search(queries.number, number, width)
            if not corpus:
                found.tokens += reader.of_passages(passages, name, prompted)
                found.texts += passages.number
        for corpus, times in self._jobs.tests.searched.items():
            texts, entry = self._sizes.corpus(corpus), self._jobs.tests.corpora[whole(corpus)].entry
            parts[corpus].tokens += reader.of_passages(texts, whole(corpus), entry) / times
            parts[corpus].texts += texts.number / times
        jobs = [("search_corpus", corpus, self._jobs.tests.searched[corpus], one) for corpus, one in parts.items()]
        jobs += [("evaluate", name, 1, one) for name, one in self._in_jobs(here).items()]
        return [Scoring(rule, name, times, self._work(rule, reader, one)) for rule, name, times, one in jobs]

    def _in_jobs(self, here: dict[str, _Reading]) -> dict[str, _Reading]:
        """What is not searched ahead, by job: all of it is one, or the tasks of the in-domain benchmark are."""
        tests, grouped = self._jobs.tests, {}
        if self._config.jobs == "one":
            grouped = {"all benchmarks": list(here.values())}
        else:
            for name in (name for name in tests.evaluated if not tests.is_searched(name)):
                members = tests.datasets(IN_DOMAIN) if name == IN_DOMAIN else [whole(name)]
                grouped[name] = [here[member] for member in members]
        return {name: _Reading.together(of) for name, of in grouped.items()}

    def _work(self, rule: str, reader: Reader, read: _Reading) -> Work:
        return self._readers.reads(rule, 1, reader, read.tokens, read.texts)._replace(search=read.compared)

    def searched(self) -> Iterator[tuple[str, Texts, Texts, Prompted, str | None]]:
        """What a retriever is scored on: name, queries, corpus, prompts, and the corpus if that is searched ahead."""
        tests = self._jobs.tests
        for dataset in tests.evaluated:
            if dataset != IN_DOMAIN:
                name, corpus = whole(dataset), tests.corpus_of(dataset)
                queries, passages = self._sizes.queries(name), self._sizes.corpus(corpus)
                yield name, queries, passages, tests.chosen[name].entry, corpus if tests.is_searched(dataset) else None
                continue
            for name in tests.datasets(IN_DOMAIN):
                task = self._sizes.task(name)
                yield name, task.held_out_queries, task.held_out_passages, self._jobs.tasks[name], None

    def _sample(self) -> Work:
        """BM25 over each corpus that is sampled."""
        tests, light, disk, largest = self._jobs.tests, 0.0, 0.0, 0
        for name in tests.sampled:
            asked = sum(self._sizes.queries(test).number for test in tests.searching(name))
            passages = self._sizes.corpus(name).number
            light += LIGHT["evaluate_bm25"] + passages / ROWS["bm25_passages"] + asked / ROWS["bm25_queries"]
            disk += COMPRESSED * bytes_of(self._sizes.corpus(sampled(name)))
            largest = max(largest, passages)
        memory = cost.LIGHT + 1500 * largest
        return Work("sample_corpus", len(tests.sampled), light=light, disk=disk, memory=memory)

    def _bm25(self, jobs: int) -> Work:
        found = list(self.searched())
        light = jobs * LIGHT["evaluate_bm25"]
        light += sum(p.number / ROWS["bm25_passages"] + q.number / ROWS["bm25_queries"] for _, q, p, _, _ in found)
        largest = max((passages.number for _, _, passages, _, _ in found), default=0)
        return Work("evaluate_bm25", jobs, light=light, memory=cost.LIGHT + 1500 * largest)

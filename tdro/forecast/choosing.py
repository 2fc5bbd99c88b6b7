"""The work of choices: candidates of dev queries, retrievers measured on them, experts and soups merged in memory."""

from collections.abc import Iterator

from tdro.config.registry import Prompted
from tdro.forecast import cost
from tdro.forecast.rates import LIGHT, ROWS
from tdro.forecast.readers import Reader, Readers
from tdro.forecast.sizes import Sizes, Texts
from tdro.forecast.work import Work
from tdro.pipeline.jobs import Jobs

#: Passages that a dev query is ranked among: its own, the positive and the hard ones, and those of all queries of its
#: dataset (tdro.evaluation.dev_pool).
OWN, SHARED = 8, 255
# Dev queries of a dataset, its corpus, and how both are read.
_Asked = tuple[str, Texts, Texts, Prompted]


class Choosing:
    """What the rules of dev queries do, where a mixture or the share of a soup is chosen on them.

    Args:
        jobs: Jobs of a configuration.
        sizes: Its texts.
        readers: Its models.
    """

    def __init__(self, jobs: Jobs, sizes: Sizes, readers: Readers) -> None:
        self._jobs, self._sizes, self._readers = jobs, sizes, readers

    def all(self, *, study: bool = False) -> Iterator[Work]:
        """The work of a run, or of a study, which measures every retriever and chooses.

        Trainings without a task that `prune` may ask for are not known before.
        """
        chosen = study and self._jobs.tests.dev
        if not (chosen or self._jobs.experts or self._jobs.measured_soups):
            return
        found = list(self._asked())
        yield self._pools(found)
        yield from self._retrievers(found, study=study)
        yield from self._experts(found)
        yield from self._soups(found)
        if chosen:
            yield self._recommend(found)
            yield Work("overview", 1, light=LIGHT["overview"], memory=cost.LIGHT)

    def _pools(self, found: list[_Asked]) -> Work:
        """BM25 finds the hard negatives of benchmarks; those of a task are mined."""
        light, largest = len(found) * LIGHT["dev_pool"], 0
        for name, queries, passages, _ in found:
            if name not in self._jobs.tasks:
                light += passages.number / ROWS["bm25_passages"] + queries.number / ROWS["bm25_queries"]
                largest = max(largest, passages.number)
        return Work("dev_pool", len(found), light=light, memory=cost.LIGHT + 1500 * largest)

    def _retrievers(self, found: list[_Asked], *, study: bool) -> Iterator[Work]:
        """Retrievers that are measured: all of a study, else those of the proxy that experts foretell."""
        config = self._jobs.config
        jobs = len(config.seeds) * len(config.mixtures if study else self._jobs.told)
        for model in config.models if study else [self._jobs.model(config.proxy)]:
            reader = self._readers.bases[model.name]
            tokens, texts = self._read(reader, found)
            work = self._readers.reads("dev_scores", jobs, reader, jobs * tokens, jobs * texts)
            yield work._replace(cpu=self._readers.on_cpu(model))

    def _recommend(self, found: list[_Asked]) -> Work:
        """Resampling touches each query of each retriever once a sample."""
        config = self._jobs.config
        compared = len(config.models) * len(config.mixtures) * sum(queries.number for _, queries, _, _ in found)
        light = LIGHT["recommend"] + compared * config.report.bootstrap_samples / 200e6
        return Work("recommend", 1, light=light, memory=2 * cost.LIGHT)

    def _experts(self, found: list[_Asked]) -> Iterator[Work]:
        """Merged experts and what is told by them."""
        if not self._jobs.experts:
            return
        config, seeds = self._jobs.config, len(self._jobs.config.seeds)
        proxy = self._jobs.model(config.proxy)
        reader, on_cpu = self._readers.bases[proxy.name], self._readers.on_cpu(proxy)
        tokens, texts = self._read(reader, found)
        candidates = 1 + self._jobs.candidates
        work = self._readers.reads(
            "expert_scores", seeds, reader, seeds * candidates * tokens, seeds * candidates * texts
        )
        # Between two candidates the weights of the warm-up and of all experts are read.
        moved = len(self._jobs.experts) * (reader.network.parameters * cost.FLOAT if reader.network else 0)
        yield work._replace(cpu=on_cpu, light=seeds * candidates * moved / ROWS["merge"])
        yield Work("fit_law", seeds, light=seeds * LIGHT["fit_law"])
        if self._jobs.prunes:
            yield Work("prune_candidates", seeds, light=seeds * LIGHT["prune"], memory=cost.LIGHT + 100e6)
            yield Work("prune", seeds, light=seeds * LIGHT["prune"], memory=cost.LIGHT + 100e6)

    def _soups(self, found: list[_Asked]) -> Iterator[Work]:
        """Averages of trained models, and what they are made of."""
        averages = [
            self._averages(soup, seed) for soup in self._jobs.measured_soups for seed in self._jobs.config.seeds
        ]
        for model in self._jobs.config.models if averages else []:
            reader = self._readers.bases[model.name]
            tokens, texts = self._read(reader, found)
            work = self._readers.reads(
                "soup_scores", len(averages), reader, sum(averages) * tokens, sum(averages) * texts
            )
            yield work._replace(cpu=self._readers.on_cpu(model))

    def _averages(self, soup: str, seed: int) -> int:
        """Models that a job measures: the ingredients, and the soup with each share."""
        soups = self._jobs.soups
        alone = len(soups.made_of(soup, seed)) + soups.has_base(soup)
        return alone + max(1, len(soups.shares(soup)))

    def _asked(self) -> Iterator[_Asked]:
        """Dev queries of each dataset, its corpus, and how both are read."""
        for name in self._jobs.tests.dev:
            if name in self._jobs.tasks:
                task, entry = self._sizes.task(name), self._jobs.tasks[name]
                yield name, task.queries._replace(number=min(entry.dev, task.queries.number)), task.passages, entry
            else:
                test = self._jobs.tests.chosen[name]
                yield name, self._sizes.queries(name), self._sizes.corpus(test.corpus), test.entry

    @staticmethod
    def _read(reader: Reader, asked: list[_Asked]) -> tuple[float, float]:
        """Tokens and texts that measuring one model reads."""
        tokens = texts = 0.0
        for name, queries, passages, prompted in asked:
            ranked = passages._replace(number=min(passages.number, OWN * queries.number + SHARED))
            tokens += reader.of_queries(queries, name, prompted) + reader.of_passages(ranked, name, prompted)
            texts += queries.number + ranked.number
        return tokens, texts

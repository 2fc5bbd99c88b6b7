"""Retrievers that nothing is trained for, which anchor the report's table."""

from tdro.config.commands import Miner, Retriever
from tdro.config.mining import Encode
from tdro.config.models import Model
from tdro.config.schema import Config
from tdro.config.sections import cut
from tdro.models.kinds import is_embedder


def untrained(config: Config, mines: bool) -> dict[str, Retriever]:
    """Them by name; a base that is also the miner stands here once.

    Where no task is mined (``mines``), nobody has chosen the miner: it is here only if the configuration names it.
    """
    kinds, encode = set(config.evaluation.untrained), config.mining.encode
    if "untrained" not in config.evaluation.model_fields_set and not mines:
        kinds.discard("miner")
    bases = [model for model in config.models if is_embedder(model)] if "base" in kinds else []
    found: dict[str, Retriever] = {"bm25": "bm25"} if "bm25" in kinds else {}
    if "miner" in kinds and not any(_is_miner(model, encode) for model in bases):
        found["miner"] = cut(encode, Miner)
    return found | {f"base-{model.name}": model for model in bases}


def _is_miner(model: Model, encode: Encode) -> bool:
    """Whether a base before training is the miner, so that a table need not name it twice."""
    same = all(getattr(model, key) == getattr(encode, key) for key in ("revision", "sha256"))
    asked = {(p.query, p.passage) for p in (model.prompts, encode.prompts)}
    return same and model.base == encode.model and len(asked) == 1 and not (model.static or model.prompts.tasks)

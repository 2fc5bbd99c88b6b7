"""Runs of tDRO that there may be: the configuration's own, DoReMi's, and those of the sweep."""

from tdro.config import mixturenames
from tdro.config.schema import Config
from tdro.config.training import Tdro
from tdro.pipeline.soups import weighed

#: What DoReMi (Xie et al. 2023) does otherwise: it climbs the mean excess loss, unclipped and with a step size of 1,
#: and mixes in a little of the uniform weights; its result is the mean over the steps.
DOREMI = {
    "measure": "excess",
    "step_size": 1.0,
    "weight_optimizer": "sgd",
    "weight_clip": "none",
    "weight_schedule": "constant",
    "smoothing": 1e-3,
}


def courses(config: Config) -> dict[str, Tdro]:
    """Their settings, by the name of their folder; all share plan and reference losses."""
    variants = {f"tdro-{name}": changed for name, changed in config.sweep.variants(config.tdro).items()}
    return {"tdro": config.tdro, "tdro-doremi": config.tdro.model_copy(update=DOREMI), **variants}


def asked_for(config: Config) -> list[str]:
    """Those that a mixture or the sweep asks for."""
    parsed = map(mixturenames.parse, weighed(config))
    asked = {mixture.course for mixture in parsed if mixture.learnt}
    asked |= {f"tdro-{name}" for name in config.sweep.variants(config.tdro)}
    return [course for course in courses(config) if course in asked]

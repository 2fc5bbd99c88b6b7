"""tDRO: learn how much of each dataset a text-embedding model for search should be trained on."""

__version__ = "0.1.0"


def __getattr__(name: str):
    """What other programs use, loaded when it is asked for: it needs model libraries, and `import tdro` shall not."""
    if name == "weighted_batch_sampler":
        from tdro.training.batchsampler import weighted_batch_sampler

        return weighted_batch_sampler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The processes that ``accelerate launch`` has started for a job that only runs a model forwards."""


def processes():
    """Rank, number and barrier (accelerate's state); one process a GPU, or on the CPU where there is none."""
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available())

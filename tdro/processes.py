"""The processes that ``accelerate launch`` has started for a job."""


def processes():
    """Rank, number and barrier (accelerate's state); one process a GPU, or on the CPU where there is none.

    Whoever asks first decides how the processes talk: without ``cpu`` accelerate takes a backend that needs GPUs.
    """
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available())

"""How much work a training and tDRO are, and how long `longer` trains: with the compute that learning would have taken.

A run of 1,000 steps of 2,048 rows with one hard negative, whose weights take 100 steps of 2,048 rows with seven, reads
3 texts a row in training and 9 in tDRO. The reference reads these 9 once, tDRO goes over them forward and backward.
"""

from tdro.config.training import Optimisation, Tdro, Training

#: Passes over a text, in units of a forward pass: a backward one costs two (Kaplan et al. 2020).
_TRAINED, _READ = 3, 1


def steps_of_longer(training: Training, tdro: Tdro) -> int:
    r"""Steps of `training`, and as many more as learning the weights once costs.

    With :math:`T` steps of :math:`B` rows with :math:`m` hard negatives in a training, and :math:`T', B', m'` in tDRO,

    .. math:: T + \lceil T' B' (2 + m') (3 + 1) \,/\, (B (2 + m) 3) \rceil

    A row has a query, a positive and its negatives; each text counts 3 in a step of a training or of tDRO (forward and
    backward), and 1 for the reference, which reads every row of tDRO once. Texts count alike, whatever their length.
    The proxy counts as if it were as large as the model that is trained, and the baseline, which is the reference, is
    trained in any case and costs nothing here. Where the sweep asks for several runs of tDRO, one counts.

    The schedule stretches: warm-up and decay cover the same shares of a longer training
    (:func:`tdro.pipeline.equalcompute.lengthened`).
    """
    learning = of_learning(tdro) + of_reference(tdro)
    return training.steps - (-learning // (_texts(training) * _TRAINED))


def of_training(training: Training) -> int:
    """Work of a training, in forward passes over a text."""
    return training.steps * _texts(training) * _TRAINED


def of_learning(tdro: Tdro) -> int:
    """Work of a run of tDRO, without its reference losses."""
    return tdro.steps * _texts(tdro) * _TRAINED


def of_reference(tdro: Tdro) -> int:
    """Work of the reference losses, which all runs share."""
    return tdro.steps * _texts(tdro) * _READ


def lengthened(training: Training, steps: int) -> Training:
    """The same training over another number of steps: the warm-up keeps its share of them, the decay follows it."""
    warmup = round(training.warmup_steps * steps / training.steps)
    return training.model_copy(update={"steps": steps, "warmup_steps": warmup})


def _texts(settings: Optimisation) -> int:
    """Texts of an optimiser step."""
    return settings.batch_size * (2 + settings.negatives)

"""What the mixtures of a report are, in a sentence each: of those that were run, no others."""

from collections.abc import Sequence

from tdro.config.mixturenames import parse

_MEANINGS = {
    "uniform": "`uniform`: every task the same share.",
    "proportional": "`proportional`: shares as the tasks' numbers of rows.",
    "temperature": "`temperatureT`: shares as the T-th root of the tasks' numbers of rows.",
    "unimax": "`unimaxN`: as uniform as can be while each row is seen N times at most.",
    "curr": "`curr`: the weights after the last step of tDRO.",
    "mean": "`mean`: the mean of tDRO's weights over its steps.",
    "ema": "`ema`: their exponential moving average.",
    "top": "`topP`: the heaviest P% of the tasks, the same share each.",
    "bottom": "`bottomP`: the lightest P% of the tasks, the same share each.",
    "loss": "`loss`: every task the same share of the rows; the learnt weights scale the loss.",
    "doremi": "`doremi`: the weights that DoReMi learns.",
    "shuffled": "`shuffled-N`: the weights of `curr` given to other tasks, a control.",
    "random": "`randomP-N`: as many tasks as `topP` keeps, chosen by chance, a control.",
    "longer": "`longer`: `uniform` with the further steps that learning the weights would have bought, a control.",
    "chameleon": "`chameleon`: shares by how far the miner's embeddings of the tasks' texts stand apart.",
    "mergemix": "`mergemix`: the best mixture by the law of merged experts.",
    "transfer": "`transfer`: shares by how much each task helps all others.",
    "prune": "`prune`: all tasks but those that harm, the same share each.",
    "without": "`without-TASK`: all tasks but one, the same share each.",
    "file": "`file-NAME`: the weights of a file.",
    "bag": "`bagP-N`: `uniform` on P% of the rows of each task.",
    "averaged": "`averaged-NAME`: one training on the mean of the weights that a soup's models were trained on.",
    "soup": "`soup-NAME`: an average of trained models.",
}


def meanings(mixtures: Sequence[str]) -> list[str]:
    """A sentence for each kind of mixture among those given; what stands between backticks is code."""
    kinds = {parse(name).kind for name in mixtures}
    said = [sentence for kind, sentence in _MEANINGS.items() if kind in kinds]
    return said + (
        ["`@VARIANT`: of a run of tDRO in the sweep."] if any(parse(name).variant for name in mixtures) else []
    )

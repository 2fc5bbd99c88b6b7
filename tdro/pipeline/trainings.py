"""What a mixture costs: everything that has to be trained to get its model, in a project that has nothing yet.

`curr` of a run whose tDRO is as much work as 1.1 trainings costs 3.1: the baseline, which is the reference; the
reference losses and tDRO; and the training on the weights. A training on `uniform` costs 1.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tdro.config import mixturenames
from tdro.config.commands import BASELINE
from tdro.config.training import Tdro, Training
from tdro.pipeline import equalcompute
from tdro.pipeline.soups import Soups


class Learnt(NamedTuple):
    """A job that learns from texts, or measures what was learnt: its rule, what it is of (a mixture or a run of tDRO)
    and its seed."""

    rule: str
    of: str
    seed: int


class Costs:
    """What the mixtures of a configuration cost.

    Args:
        soups: Which models are averages of which trainings.
        experts: The warm-up and the experts of the tasks, as mixtures.
        courses: Settings of the runs of tDRO.
        training: Gives how a mixture is trained.
    """

    def __init__(
        self,
        soups: Soups,
        experts: Sequence[str],
        courses: Mapping[str, Tdro],
        training: Callable[[str], Training],
    ) -> None:
        self._soups, self._experts, self._courses, self._training = soups, experts, courses, training

    def trainings(self, mixture: str, seed: int) -> float:
        """The cost of a mixture's model of one seed, in units of a training on `uniform`.

        Texts count alike, whatever their length: 3 in a training or in tDRO (forward and backward), 1 where the
        reference reads them (:mod:`tdro.pipeline.equalcompute`). What several parts of a soup need counts once. The
        proxy counts as if it were as large as the model. Trainings without a task, of which `prune` asks for some, are
        not known before and left out, as are texts that nothing is learnt from, those of mining and of evaluations.
        """
        work = sum(map(self._work, self.needed(mixture, seed)))
        return work / equalcompute.of_training(self._training(BASELINE))

    def needed(self, mixture: str, seed: int) -> set[Learnt]:
        """The jobs of a model on the way to a mixture's retriever of a seed."""
        if mixturenames.parse(mixture).kind == "soup":
            return {part for made in self._soups.made_of(mixture, seed) for part in self.needed(*made)}
        return {Learnt("train", mixture, seed), *self._of_weights(mixture, self._soups.weights_seed(seed))}

    def _of_weights(self, mixture: str, seed: int) -> Iterator[Learnt]:
        parsed = mixturenames.parse(mixture)
        if parsed.of_others:
            for part in self._soups[parsed.name].of:
                yield from self._of_weights(part, seed)
        if parsed.of_experts:
            yield from (Learnt("train", expert, seed) for expert in self._experts)
        if parsed.kind == "prune":  # what is left is measured against the baseline
            yield from self.needed(BASELINE, seed)
        if parsed.learnt:
            yield from (Learnt("optimize", parsed.course, seed), Learnt("reference", "tdro", seed))
            yield from self.needed(BASELINE, seed)

    def _work(self, part: Learnt) -> int:
        if part.rule == "train":
            return equalcompute.of_training(self._training(part.of))
        tdro = self._courses[part.of]
        return equalcompute.of_learning(tdro) if part.rule == "optimize" else equalcompute.of_reference(tdro)

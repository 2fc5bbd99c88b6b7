"""Which trainings a configuration asks for: those of its mixtures, and those that its soups are made of."""

from typing import NamedTuple

from tdro.config import mixturenames
from tdro.config.nearest import hint
from tdro.config.schema import Config
from tdro.config.soups import Soup
from tdro.errors import UserError


class Trained(NamedTuple):
    """A training of a mixture under a seed."""

    mixture: str
    seed: int


class Soups:
    """The soups of a configuration, by their names."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._span = max(config.seeds) - min(config.seeds) + 1
        self._weights_of = {
            made.seed: seed
            for name in config.soups
            for seed in config.seeds
            for made in self.made_of(f"soup-{name}", seed)
            if made.seed not in config.seeds
        }

    def __getitem__(self, name: str) -> Soup:
        if name not in (known := self._config.soups):
            meant, others = hint(name, known), ", ".join(known) or "none"
            raise UserError(f"config: `soups` has no {name!r}{meant}; it has {others}.")
        return known[name]

    def made_of(self, mixture: str, seed: int) -> list[Trained]:
        """The trainings whose models are averaged to ``soup-NAME`` of a seed; of two seeds none is the same."""
        soup = self[mixturenames.parse(mixture).name]
        return [Trained(name, seed + turn * self._span) for name in soup.of for turn in range(soup.seeds)]

    def share(self, mixture: str) -> float | None:
        """The part of trained weights beside the base's; None where ``mixture`` has no base in it."""
        parsed = mixturenames.parse(mixture)
        return parsed.share or (self[parsed.name].base if parsed.kind == "soup" else None)

    def has_base(self, mixture: str) -> bool:
        """Whether it is a soup with the base before training in it."""
        return self.share(mixture) is not None

    def options(self, mixture: str) -> str:
        """How ``tdro merge`` averages to ``soup-NAME``."""
        share = [f"--share {self.share(mixture):g}"] if self.has_base(mixture) else []
        return " ".join([f"--method {self[mixturenames.parse(mixture).name].method}", *share])

    def trainings(self) -> list[Trained]:
        """All trainings of a model, each once."""
        asked = [
            trained
            for name in self._config.mixtures
            for seed in self._config.seeds
            for trained in (
                self.made_of(name, seed) if mixturenames.parse(name).kind == "soup" else [Trained(name, seed)]
            )
        ]
        return list(dict.fromkeys(asked))

    def weights_seed(self, seed: int | str) -> int:
        """The seed whose weights a training takes: of a further seed of a soup that of the soup, else its own."""
        return self._weights_of.get(int(seed), int(seed))


def weighed(config: Config) -> list[str]:
    """Every mixture whose weights are asked for: those named, and those that soups are made of."""
    of_others = [
        part
        for name in config.mixtures
        if (mixture := mixturenames.parse(name)).of_others
        for part in config.soups[mixture.name].of
    ]
    return list(dict.fromkeys([*config.mixtures, *of_others]))

"""Which trainings a configuration asks for: those of its mixtures, and those that its soups are made of."""

from typing import NamedTuple

from tdro.config import mixturenames
from tdro.config.commands import Curve
from tdro.config.nearest import hint
from tdro.config.schema import Config
from tdro.config.soups import ON_DEV, Method, Soup
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

    def shares(self, mixture: str) -> list[float]:
        """The parts of trained weights beside the base's: one, or several of which dev queries choose.

        None where ``mixture`` has no base in it.
        """
        parsed = mixturenames.parse(mixture)
        if parsed.kind != "soup":
            return []
        if parsed.share:
            return [parsed.share]
        soup = self[parsed.name]
        if soup.base == ON_DEV:
            return sorted(soup.shares)
        return [soup.base] if soup.base else []

    @property
    def fixed(self) -> dict[str, float]:
        """The share of each soup with a base that dev queries do not choose, by its name."""
        return {name: soup.base for name, soup in self._config.soups.items() if isinstance(soup.base, float)}

    def has_base(self, mixture: str) -> bool:
        """Whether it is a soup with the base before training in it."""
        return bool(self.shares(mixture))

    def is_chosen(self, mixture: str) -> bool:
        """Whether its share is chosen on dev queries."""
        return len(self.shares(mixture)) > 1

    def method(self, mixture: str) -> Method:
        """How its tensors are averaged."""
        return self[mixturenames.parse(mixture).name].method

    def options(self, mixture: str) -> str:
        """How ``tdro merge`` averages to ``soup-NAME``, without a share that is chosen."""
        shares = self.shares(mixture)
        share = [f"--share {shares[0]:g}"] if len(shares) == 1 else []
        return " ".join([f"--method {self.method(mixture)}", *share])

    def curves(self) -> dict[str, Curve]:
        """The soups of which several shares of the base are among the mixtures, by what their names have in common."""
        found: dict[str, dict[str, float | None]] = {}
        for mixture in filter(self.has_base, self._config.mixtures):
            share = None if self.is_chosen(mixture) else self.shares(mixture)[0]
            found.setdefault(mixturenames.parse(mixture).name, {})[mixture] = share
        return {
            name: Curve(shares=shares, whole=self._whole(name)) for name, shares in found.items() if len(shares) > 1
        }

    def _whole(self, name: str) -> str | None:
        """The mixture that a soup without the base would be, where that is one model and among the mixtures."""
        (first, *others), seeds = self[name].of, self[name].seeds
        return first if not others and seeds == 1 and first in self._config.mixtures else None

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

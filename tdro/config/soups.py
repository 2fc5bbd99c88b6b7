"""``soups``: models that are averages of trained ones."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tdro.config.sections import Section
from tdro.config.training import Mixture

#: How tensors are averaged (:mod:`tdro.models.average`).
Method = Literal["linear", "multislerp"]
#: The part that trained weights have beside those of the untrained base.
TrainedShare = Annotated[float, Field(gt=0, lt=1)]
#: The same, where it may be all.
TriedShare = Annotated[float, Field(gt=0, le=1)]
#: In the place of a share: the best on the dev queries.
ON_DEV: Literal["dev"] = "dev"


class Soup(Section):
    """A model that is the average of trained ones: the mixture `soup-NAME`.

    `averaged-NAME` is its control: one training on the mean of the weights that those were trained with.
    """

    of: list[Mixture] = Field(min_length=1)
    """Mixtures whose models are averaged, all alike. Those that do not stand under `mixtures` are trained for the soup
    and not evaluated."""
    seeds: int = Field(1, ge=1)
    """Trainings of each of them, with other seeds. With S the largest of the configuration's seeds less the smallest,
    plus 1, the soup of seed r is made of the seeds r, r + S, r + 2 S and so on: no two soups share a model. The further
    seeds train on the weights of seed r."""
    base: TrainedShare | Literal["dev"] | None = None
    """Share of that average in a mean with the base before training, where the base is itself an embedding model; null
    leaves the base out, and `dev` takes the one of `shares` that ranks the dev queries best, for each model and seed.
    `soup-NAME@0.5` is the same soup with a share of 0.5: list several to see what each gains in domain and costs
    outside of it."""
    shares: list[TriedShare] = Field([0.25, 0.5, 0.75, 1], min_length=2)
    """What `base: dev` chooses among; 1 is the average without the base. Of equally good ones it takes the largest."""
    method: Method = "linear"
    """`linear`: the weighted mean of every weight. `multislerp`: the mean on a sphere of the direction of each tensor,
    and the mean of its length."""

    @model_validator(mode="after")
    def _shares_are_chosen_among(self) -> Self:
        if self.base != ON_DEV and "shares" in self.model_fields_set:
            raise ValueError("shares are what `base: dev` chooses among; set that, or leave `shares` out")
        if len(set(self.shares)) < len(self.shares):
            raise ValueError("shares names one twice")
        return self

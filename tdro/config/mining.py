"""``mining``: hard negatives, by encoding, search, rescoring and selection."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tdro.config.prompts import INSTRUCTION, MinerPrompts, Prompts
from tdro.config.sections import Checksum, Reference, Section, Seed

#: Ranks of hard negatives in a large corpus, as in the paper; of a small one they are at most one passage in so many.
RANKS, NEAREST = (2, 100), 10


class Encode(Section):
    """The miner, an embedding model, and how it reads texts."""

    model: Reference = Field("BAAI/bge-base-en-v1.5", description="Miner: hub id, local folder or `package:...`.")
    revision: str | None = Field(None, description="Revision of a hub model.")
    sha256: Checksum | None = Field(None, description="Checksum of the package's archive.")
    prompts: MinerPrompts = Field(
        Prompts(), description="What stands before texts: `auto` (the miner's own), `none`, or `query` and `passage`."
    )
    max_length: int = Field(512, ge=8, description="Tokens of a text that the miner sees.")
    batch_size: int = Field(64, ge=1, description="Texts a forward pass.")
    shard_size: int = Field(16_384, ge=1, description="Texts a file of embeddings; what a killed run loses at most.")

    @model_validator(mode="after")
    def _prompts_are_whole(self) -> Self:
        if INSTRUCTION in f"{self.prompts.query}{self.prompts.passage}":
            raise ValueError(f"prompts: the miner reads all tasks alike; write words in the place of {INSTRUCTION}")
        return self


class Search(Section):
    """The nearest passages of each query."""

    index: str = Field("Flat", description="faiss factory string: `Flat` is exact; `IVF4096,Flat`, `HNSW32`.")
    depth: int = Field(100, ge=1, description="Candidates a query, its positives not counted.")
    nprobe: int | None = Field(None, ge=1, description="Lists that an IVF index looks into.")
    ef_search: int | None = Field(None, ge=1, description="Nodes that an HNSW index keeps in view.")


class Rescore(Section):
    """A cross-encoder that scores the best candidates anew."""

    model: Reference = Field(description="Cross-encoder: hub id, local folder or `package:...`.")
    revision: str | None = Field(None, description="Revision of a hub model.")
    sha256: Checksum | None = Field(None, description="Checksum of the package's archive.")
    depth: int = Field(100, ge=1, description="Candidates rescored a query; those behind them are left out.")
    max_length: int = Field(512, ge=8, description="Tokens of a pair that the cross-encoder sees.")
    batch_size: int = Field(64, ge=1, description="Pairs a forward pass.")
    activation: Literal["own", "none"] = Field(
        "own",
        description="`own`: scores as the model means them, often a sigmoid's, from 0 to 1; `none`: as the last layer "
        "gives them, for `training.distill`.",
    )


class Select(Section):
    """Which candidates become hard negatives."""

    ranks: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]] | None = Field(
        None,
        description="First rank kept, and the rank before which to stop; ranks start at 0. Null: from 2 to 100, in a "
        "corpus of fewer than 1,000 passages to a tenth of it, but at least to as many as `samples`.",
    )
    samples: int = Field(16, ge=1, description="Negatives sampled from those ranks, a query.")
    margin: float | None = Field(
        None, ge=0, lt=1, description="Drop candidates scoring above pos - |pos| * margin; null keeps them."
    )
    min_score: float | None = Field(None, description="Drop candidates scoring below it.")
    max_score: float | None = Field(None, description="Drop candidates scoring above it.")
    too_few: Literal["fill_random", "keep_with", "drop"] = Field(
        "fill_random", description="A query left with too few: random passages fill it up, it keeps them, or it goes."
    )
    seed: Seed = 42

    @model_validator(mode="after")
    def _limits_ordered(self) -> Self:
        if self.ranks and self.ranks[0] >= self.ranks[1]:
            raise ValueError(f"ranks {list(self.ranks)} must be [first, end) with first < end")
        if None not in (self.min_score, self.max_score) and self.min_score > self.max_score:
            raise ValueError(f"min_score {self.min_score} is above max_score {self.max_score}; no candidate fits")
        return self


class Mining(Section):
    """Hard negatives: what a miner model ranks high and nobody marked relevant."""

    encode: Encode = Encode()
    search: Search = Search()
    rescore: Rescore | None = Field(None, description="Rescoring of the candidates; null leaves it out.")
    select: Select = Select()

    @model_validator(mode="after")
    def _deep_enough(self) -> Self:
        ranks, deepest = self.select.ranks, self.rescore.depth if self.rescore else self.search.depth
        if ranks and ranks[1] > self.search.depth:
            raise ValueError(f"select.ranks {list(ranks)} end behind search.depth {self.search.depth}; raise the depth")
        if ranks and ranks[0] >= deepest:
            raise ValueError(f"select.ranks {list(ranks)} start behind rescore.depth {deepest}")
        if not ranks and RANKS[0] >= deepest:
            key = "rescore.depth" if self.rescore else "search.depth"
            raise ValueError(
                f"{key} {deepest} ends before rank {RANKS[0]}, the first that is kept; raise it or set ranks"
            )
        return self

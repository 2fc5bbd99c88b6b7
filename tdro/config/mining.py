"""``mining``: hard negatives, by encoding, search, rescoring and selection."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tdro.config.prompts import INSTRUCTION, MinerPrompts, Prompts
from tdro.config.sections import Checksum, Reference, Section, Seed, Unwatched

#: Ranks of hard negatives in a large corpus, as in the paper; of a small one they are at most one passage in so many.
RANKS, NEAREST = (2, 100), 10


class Encode(Section):
    """The miner, an embedding model, and how it reads texts."""

    model: Reference = "BAAI/bge-base-en-v1.5"
    """The miner, an embedding model: hub id, local folder or `package:...`."""
    revision: str | None = None
    """Commit, tag or branch of a hub model; null takes its main branch."""
    sha256: Checksum | None = None
    """Checksum of the package's archive, for `package:` only."""
    prompts: MinerPrompts = Prompts()
    """What stands before texts, as in `models`: `auto` is what the miner was saved with."""
    max_length: int = Field(512, ge=8)
    """Tokens that the miner sees of a text, its prompt included; where it reads fewer, that is its limit and the log
    says so."""
    batch_size: Annotated[int, Unwatched] = Field(64, ge=1)
    """Texts a forward pass: memory and speed, not results."""
    shard_size: int = Field(16_384, ge=1)
    """Texts a file of embeddings. A killed run loses at most one such file a process; the texts of one are sorted by
    length together."""

    @model_validator(mode="after")
    def _prompts_are_whole(self) -> Self:
        if INSTRUCTION in f"{self.prompts.query}{self.prompts.passage}":
            raise ValueError(f"prompts: the miner reads all tasks alike; write words in the place of {INSTRUCTION}")
        return self


class Search(Section):
    """The nearest passages of each query."""

    index: str = "Flat"
    """faiss factory string. `Flat` is exact; `IVF4096,Flat` and `HNSW32` are approximate. A task with fewer passages
    than the index asks for (39 a list of IVF) is searched exactly, with a line in the log."""
    depth: int = Field(100, ge=1)
    """Candidates kept a query, and as many more as it has positives. `select.ranks`, if given, must lie within."""
    nprobe: int | None = Field(None, ge=1)
    """Lists that an IVF index looks into; null is faiss's default of 1; refused with another index."""
    ef_search: int | None = Field(None, ge=1)
    """Nodes that an HNSW index keeps in view; null is faiss's default of 16; refused with another index."""


class Rescore(Section):
    """A cross-encoder that scores the best candidates anew."""

    model: Reference
    """The cross-encoder, which gives a pair one score: hub id, local folder or `package:...`."""
    revision: str | None = None
    """Commit, tag or branch of a hub model; null takes its main branch."""
    sha256: Checksum | None = None
    """Checksum of the package's archive, for `package:` only."""
    depth: int = Field(100, ge=1)
    """Best candidates rescored, positives not counted; those behind them are left out."""
    max_length: int = Field(512, ge=8)
    """Tokens that the cross-encoder sees of a pair; where it reads fewer, that is its limit and the log says so."""
    batch_size: Annotated[int, Unwatched] = Field(64, ge=1)
    """Pairs a forward pass: memory and speed, not results."""
    activation: Literal["own", "none"] = "own"
    """`own` keeps the scores that the model means; many end with a sigmoid, so that they lie between 0 and 1. `none`
    keeps those of the last layer, without bounds, which `training.distill` wants. The limits of `mining.select` compare
    with whichever is kept."""


class Select(Section):
    """Which candidates become hard negatives."""

    ranks: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]] | None = None
    """Candidates are the passages from the first rank up to, but without, the second; the best passage has rank 0. Top
    ranks are often unmarked positives. Each positive beyond a query's first moves the second rank back by one. Null is
    `[2, 100]` in a corpus of 1,000 passages or more; in a smaller one it ends at the nearest tenth (`[2, 30]` in 300),
    but not before there are as many ranks as `samples`. Ranks of your own are kept, with a warning where they reach
    behind the nearest tenth; the report counts the negatives from there."""
    samples: int = Field(16, ge=1)
    """Negatives drawn from the candidates for each query. Trainings cannot read more than these."""
    margin: float | None = Field(None, ge=0, lt=1)
    """Drop candidates that score above pos - abs(pos) x margin, pos being the lowest score of the query's positives;
    null keeps them."""
    min_score: float | None = None
    """Drop candidates that score below it; null keeps them."""
    max_score: float | None = None
    """Drop candidates that score above it; null keeps them."""
    too_few: Literal["fill_random", "keep_with", "drop"] = "fill_random"
    """What becomes of a query with fewer candidates than `samples`: random passages fill up, it keeps what it has, or
    it is dropped."""
    seed: Seed = 42
    """Decides the draw."""

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
    rescore: Rescore | None = None
    """A cross-encoder scores the best candidates anew; null leaves it out."""
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

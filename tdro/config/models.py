"""``models`` and ``encoding``: what becomes a retriever, and how it reads texts."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tdro.config.prompts import BasePrompts, TaskPrompts
from tdro.config.sections import Checksum, Name, Reference, Section

Pooling = Literal["auto", "lasttoken", "mean", "cls", "max", "weightedmean", "mean_sqrt_len_tokens"]


class Lora(Section):
    """Low-rank adapters beside the frozen weights (Hu et al. 2021); merged into them when the model is saved."""

    rank: int = Field(8, ge=1, description="Rank r of the update of each linear layer.")
    alpha: float = Field(32, gt=0, description="The update is scaled by alpha / rank.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout before the update, in training.")


class Model(Section):
    """A base that becomes a retriever: an embedding model, an encoder or a decoder."""

    name: Name
    base: Reference = Field(description="Hub id, local folder, or `package:NAME==VERSION/PATH` inside a pip package.")
    revision: str | None = Field(None, description="Revision of a hub model.")
    sha256: Checksum | None = Field(None, description="Checksum of the package's archive.")
    layers: int | None = Field(None, ge=1, description="Keep the first N layers; null keeps all.")
    static: int | None = Field(
        None,
        ge=1,
        description="Distil the base into a static embedding of so many dimensions first (model2vec): one vector a "
        "token, no attention.",
    )
    pooling: Pooling = Field(
        "auto",
        description="How token vectors become one: `auto` keeps an embedding model's own way, takes the last token of "
        "a decoder (an EOS is appended) and the mean of an encoder.",
    )
    prompts: BasePrompts = Field(
        TaskPrompts(),
        description="What stands before texts: `auto` (the base's own; instructions for a decoder without; else "
        "nothing), `instruct`, `none`, or `query`, `passage` and `tasks`.",
    )
    accelerate: Name = Field(
        "auto",
        description="Launch configuration: `auto` (one process a GPU of the job, or the CPU where there is none), or a "
        "file of config/accelerate without `.yaml`; `cpu` leaves GPUs alone.",
    )
    attention: Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"] | None = Field(
        None, description="Attention implementation of transformers; null lets it choose."
    )
    lora: Lora | None = Field(None, description="Train low-rank adapters only; null trains all weights.")
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="Type of the weights in training; `bfloat16` halves what frozen weights take (LoRA)."
    )

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

    query_length: int = Field(128, ge=8, description="Tokens of a query, instruction and EOS included.")
    passage_length: int = Field(512, ge=8, description="Tokens of a passage, EOS included.")
    precision: Literal["bf16", "fp32"] = Field("bf16", description="Autocast type; master weights are float32.")
    batch_size: int = Field(64, ge=1, description="Texts a forward pass outside training.")

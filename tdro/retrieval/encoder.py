"""A model that embeds texts: what stands before them, the precision of its forward pass, a check of what it gives."""

from typing import Literal

import numpy as np

from tdro.config.prompts import TaskPrompts
from tdro.config.registry import Prompted
from tdro.errors import UserError
from tdro.models.cuts import CutCounter
from tdro.models.lengths import batches
from tdro.models.precision import autocast
from tdro.models.room import check_model
from tdro.progress import Progress

Kind = Literal["query", "passage"]
#: Queries that are encoded at a time. Blocks are the same for whoever encodes them, and so are embeddings to the last
#: bit: how texts are batched is decided within a block.
QUERIES = 2048


class Encoder:
    """A SentenceTransformer whose embeddings have unit length.

    Args:
        model: The retriever.
        query_prompt: Put before every query; None: what the model puts there of its own accord.
        passage_prompt: The same of every passage.
        precision: ``bf16`` or ``fp32``, for the forward pass only.
        batch_size: Texts a forward pass.
        name: What the model is called in the user's files, for errors.

    Attributes:
        model: The retriever.
        cuts: Counts texts read and cut.
    """

    def __init__(
        self,
        model,
        query_prompt: str | None,
        passage_prompt: str | None,
        precision: str = "fp32",
        batch_size: int = 32,
        name: str = "the model",
    ) -> None:
        self.model, self._precision, self._batch_size, self._name = model, precision, batch_size, name
        self.cuts = CutCounter(model)
        self.query_prompt, self.passage_prompt = query_prompt, passage_prompt

    def read_as(self, name: str, prompted: Prompted, prompts: TaskPrompts) -> None:
        """Read the texts of a test set from now on.

        Raises:
            UserError: naming the test set, a prompt of it and the lengths, when the prompt leaves no room for texts.
        """
        check_model(self.model, {name: prompted}, prompts)
        instruction = prompted.instruction[0]
        self.query_prompt = prompts.of_query(name, instruction)
        self.passage_prompt = prompts.of_passage(name, instruction, symmetric=prompted.symmetric)

    def queries(self, texts: list[str]) -> np.ndarray:
        """Embeddings of unit length, float32 of shape (len(texts), dimension), made in blocks of :data:`QUERIES`.

        Raises:
            UserError: when an embedding is not finite.
        """
        blocks = [texts[start : start + QUERIES] for start in range(0, len(texts), QUERIES)]
        return np.concatenate([self._encode(self.model.encode_query, block, self.query_prompt) for block in blocks])

    def passages(self, texts: list[str]) -> np.ndarray:
        """The same of passages."""
        return self._encode(self.model.encode_document, texts, self.passage_prompt)

    def by_tokens(self, texts: list[str], kind: Kind, progress: Progress) -> tuple[np.ndarray, dict[str, int]]:
        """The same of many texts, and what it took: tokens, positions computed (``padded``), texts cut.

        All texts are tokenised at once and batched by their number of tokens (:mod:`tdro.models.lengths`), so that
        little is padded, and each batch is progress.
        """
        from tdro.models.features import positions, rows_of, text_lengths

        cut = self.cuts.cut.total()
        prompt = self.query_prompt if kind == "query" else self.passage_prompt
        features = self.model.preprocess(texts, prompt=prompt)
        lengths = text_lengths(features)
        order, parts, padded = [], [], 0
        for places in batches(lengths, self._batch_size):
            batch = rows_of(features, places)
            padded += positions(batch)
            parts.append(self._forward(batch))
            order += places
            progress.add(len(places))
        embeddings = np.empty((len(texts), parts[0].shape[1]), dtype=np.float32)
        embeddings[order] = np.concatenate(parts)
        counts = {"tokens": sum(lengths), "padded": padded, "cut": self.cuts.cut.total() - cut}
        return self._checked(embeddings), counts

    def _forward(self, batch: dict) -> np.ndarray:
        import torch
        from sentence_transformers.util import batch_to_device

        with torch.inference_mode(), autocast(self._precision, self.model.device):
            output = self.model(batch_to_device(batch, self.model.device))["sentence_embedding"]
        return output.float().cpu().numpy()

    def _encode(self, encode, texts: list[str], prompt: str | None) -> np.ndarray:
        with autocast(self._precision, self.model.device):
            embeddings = encode(texts, prompt=prompt, batch_size=self._batch_size, show_progress_bar=False)
        return self._checked(np.array(embeddings, dtype=np.float32, order="C"))

    def _checked(self, embeddings: np.ndarray) -> np.ndarray:
        """Embeddings of unit length, outside of autocast, where a norm would have three digits."""
        if not np.isfinite(embeddings).all():
            raise UserError(
                f"{self._name} gives embeddings that are not finite, as after a training that diverged; train it again "
                "with a smaller `learning_rate`, or take another."
            )
        return unit(embeddings)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors scaled to unit length; a zero vector stays."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(norms, np.finfo(np.float32).tiny)

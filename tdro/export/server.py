"""Embeddings of a running server with OpenAI's interface, as vLLM, Ollama and others have."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tdro.errors import UserError
from tdro.export.losses import Answer, Comparison, compare_served
from tdro.export.texts import texts_for
from tdro.models.load import load_trained

#: Texts of a request; text-embeddings-inference takes 32 unless told otherwise.
_BATCH = 16
_SECONDS = 120
#: Where clients of OpenAI's interface look for a key.
_KEY = "OPENAI_API_KEY"


class Server(NamedTuple):
    """A server.

    Attributes:
        url: Its address, with or without the path ``/v1``.
        name: What it calls the model; None: the first model that it names.
    """

    url: str
    name: str | None = None

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings of texts, sent as they are, float32 of shape (texts, dimension).

        Raises:
            UserError: when the server cannot be reached, refuses, or answers something else.
        """
        name, rows = self.name or self._first(), []
        for start in range(0, len(texts), _BATCH):
            part = list(texts[start : start + _BATCH])
            asked = {"model": name, "input": part, "encoding_format": "float"}
            rows += self._rows(self._ask("embeddings", asked), len(part))
        if len({len(row) for row in rows}) != 1:
            raise UserError(f"{self.url} gives embeddings of several dimensions; it does not serve one model.")
        return np.array(rows, dtype=np.float32)

    def _first(self) -> str:
        """The name of the first model; a server that names none takes any."""
        try:
            return str(self._ask("models")["data"][0]["id"])
        except (UserError, KeyError, IndexError, TypeError):
            return "default"

    def _rows(self, answer: Any, number: int) -> list[list[float]]:
        try:
            rows = [row["embedding"] for row in sorted(answer["data"], key=lambda row: row["index"])]
            if len(rows) == number and all(isinstance(value, int | float) for row in rows for value in row):
                return rows
        except (KeyError, TypeError):
            pass
        raise UserError(f"{self.url} answers no embeddings of {number} texts in OpenAI's form; name another address.")

    def _ask(self, what: str, content: Any = None) -> Any:
        base = self.url.rstrip("/")
        address = f"{base}/{what}" if base.endswith("/v1") else f"{base}/v1/{what}"
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(_KEY):
            headers["Authorization"] = f"Bearer {key}"
        try:
            request = urllib.request.Request(
                address, None if content is None else json.dumps(content).encode(), headers
            )
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            said = " ".join(error.read().decode(errors="replace").split())[:300]
            raise UserError(f"{address} refuses with {error.code}: {said or error.reason}.") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise UserError(f"{address} cannot be asked ({reason}); start the server or correct the address.") from None


def check(folder: Path, server: Server) -> Comparison:
    """Compare what a server gives for the 64 texts with what the model gives, and say what it lost.

    Prompts are put before the texts here, as a client has to, and the server gets whole texts.

    Args:
        folder: The model that it serves, as ``tdro train`` or ``tdro export`` wrote it.
        server: The server.

    Raises:
        UserError: when the folder holds no model, or as :meth:`Server.embed` does.
    """
    model = load_trained(folder)
    texts = texts_for(model)
    served = server.embed([text.prompt + text.text for text in texts])
    return compare_served(model, texts, Answer(server.url, served))

"""What a server lost on the way from a model's folder to its embeddings.

A server that pools otherwise, leaves out EOS or normalises nothing answers all the same, and retrieval is quietly
worse. So the texts are also embedded here in each of these wrong ways; the one that gives the server's embeddings is
what happened. A difference of lengths is none of direction: it is told apart from them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tdro.errors import UserError
from tdro.export.checks import AT_LEAST, cosine
from tdro.export.texts import Text
from tdro.models.networks import pooling_of
from tdro.report.plain import plain, plain_table

#: By how much the lengths of vectors may differ, as a share.
_UNIT = 0.01
#: A wrong way explains a server whose embeddings it meets as closely as this (servers compute in 16 bits, too).
_EXPLAINS = 0.995
_POOLINGS = {"lasttoken": "last-token", "mean": "mean", "cls": "first-token", "max": "max"}


class Answer(NamedTuple):
    """What a server gave.

    Attributes:
        url: Its address.
        embeddings: Of the texts, shape (texts, dimension).
    """

    url: str
    embeddings: np.ndarray


class Wrong(NamedTuple):
    """A wrong way to embed.

    Attributes:
        what: What was lost or added, as a sentence's part.
        mend: What to do.
        texts: The texts as they are read, prompts and all.
        pooling: Another pooling; None: the model's.
        eos: Whether texts end with EOS, where the model's do.
    """

    what: str
    mend: str
    texts: list[str]
    pooling: str | None = None
    eos: bool = True


@dataclass(frozen=True)
class Comparison:
    """A server compared.

    Attributes:
        url: Its address.
        cosines: Of each text, shape (texts,).
        texts: The texts.
        length: Mean length of the server's embeddings.
        expected_length: That of the model's.
        cause: What the server probably lost, and what to do; None where nothing was lost.
    """

    url: str
    cosines: np.ndarray
    texts: list[Text]
    length: float
    expected_length: float
    cause: str | None


def compare_served(model, texts: list[Text], answer: Answer) -> Comparison:
    """Compare a server's embeddings with the model's, and find what it lost.

    Args:
        model: The model that it should serve.
        texts: What was embedded.
        answer: What the server gave.

    Raises:
        UserError: when its embeddings have another number of dimensions.
    """
    expected = _embedded(model, Wrong("", "", [text.prompt + text.text for text in texts]))
    if answer.embeddings.shape != expected.shape:
        raise UserError(
            f"{answer.url} gives embeddings of {answer.embeddings.shape[1]} numbers, the model {expected.shape[1]}: it "
            "serves another model, or was told to shorten embeddings."
        )
    cosines = cosine(expected, answer.embeddings)
    length, own = (float(np.linalg.norm(each, axis=1).mean()) for each in (answer.embeddings, expected))
    cause = None
    if cosines.min() < AT_LEAST:
        cause = _cause(model, texts, answer.embeddings, cosines)
    elif abs(length - own) > _UNIT * own:
        cause = (
            f"normalisation: its vectors are {length:.3g} long, the model's {own:.3g}; their directions agree. Have "
            "the server normalise as the model does, or scale each vector."
        )
    return Comparison(answer.url, cosines, texts, length, own, cause)


def report(found: Comparison) -> str:
    """The comparison as text.

    Raises:
        UserError: when the server lost something.
    """
    shown = plain_table()
    for heading in ("texts", "number", "mean cosine", "lowest"):
        shown.add_column(heading, justify="left" if heading == "texts" else "right")
    for name, places in _parts(found.texts):
        cosines = found.cosines[places]
        shown.add_row(name, str(len(places)), f"{cosines.mean():.6f}", f"{cosines.min():.6f}")
    text = plain(shown)
    if found.cause:
        raise UserError(f"{found.url} does not give the model's embeddings. Probably lost: {found.cause}\n{text}")
    return f"{found.url} gives the model's embeddings (cosine {AT_LEAST} or more, vectors of the same length).\n{text}"


def _parts(texts: Sequence[Text]) -> Iterator[tuple[str, list[int]]]:
    """Places of the queries of each prompt and of the passages."""
    for kind, name in dict.fromkeys((text.kind, text.prompt_name) for text in texts):
        places = [place for place, text in enumerate(texts) if (text.kind, text.prompt_name) == (kind, name)]
        yield f"{'queries' if kind == 'query' else 'passages'}, prompt {name or 'none'}", places


def _cause(model, texts: list[Text], served: np.ndarray, cosines: np.ndarray) -> str:
    """The wrong way that explains the server best, or what can be said without one."""
    best, how_close = None, cosines.min()
    for wrong in _wrong_ways(model, texts):
        close = cosine(_embedded(model, wrong), served).min()
        if close > how_close:
            best, how_close = wrong, close
    if best and how_close >= _EXPLAINS:
        return f"{best.what} (so embedded, the texts agree to a cosine of {how_close:.4f}). {best.mend}"
    if cosines.min() >= 0.98:
        return (
            f"precision: every text is close (lowest cosine {cosines.min():.4f}) and none exact, as with weights of 8 "
            "bits or less. Serve weights of 16 or 32 bits, or accept it."
        )
    return (
        f"unknown (lowest cosine {cosines.min():.4f}; no wrong pooling, prompt or end of text explains it). See "
        "whether the server runs these weights, with this tokenizer, unquantised."
    )


def _wrong_ways(model, texts: list[Text]) -> Iterator[Wrong]:
    whole = [text.prompt + text.text for text in texts]
    own = pooling_of(model)
    if any(text.prompt for text in texts):
        yield Wrong(
            "the prompts: it embeds texts without what was sent before them",
            "Send texts to the endpoint that takes them as they are, and let no template or prefix setting cut them.",
            [text.text for text in texts],
        )
        yield Wrong(
            "nothing, but prompts stand before texts twice: it puts there its own, too",
            "Start the server without a default prompt, or send texts without.",
            [text.prompt + text.prompt + text.text for text in texts],
        )
    for added in dict.fromkeys(text.prompt for text in texts if text.prompt):
        yield Wrong(
            f"nothing, but it puts the prompt {added!r} before every text",
            "Start the server without a default prompt.",
            [added + text for text in whole],
        )
    if own is None:
        return
    ends = _ends_with_eos(model)
    for other, name in _POOLINGS.items():
        if other != own.pooling_mode:
            what = f"pooling: it takes {name} pooling, the model {_POOLINGS.get(own.pooling_mode, own.pooling_mode)}"
            yield Wrong(what, "Set the pooling (docs/serving.md names the option of each server).", whole, other)
    if ends:
        lost = "EOS: it embeds texts without the token that ends them"
        mend = "Serve the tokenizer.json of the exported folder, or end each text with the EOS token yourself."
        yield Wrong(lost, mend, whole, eos=False)
        for other, name in _POOLINGS.items():
            if other != own.pooling_mode:
                yield Wrong(f"EOS and pooling: texts do not end with it, pooling is {name}", mend, whole, other, False)


def _embedded(model, way: Wrong) -> np.ndarray:
    """Embeddings of texts in one way, float32 of shape (texts, dimension); prompts are in the texts."""
    import torch
    from sentence_transformers.util import batch_to_device

    rows = []
    with _pooled(model, way.pooling), torch.inference_mode():
        for text in way.texts:
            features = batch_to_device(model.preprocess([text]), model.device)
            if not way.eos:
                features = {name: _shorter(value) for name, value in features.items()}
            rows.append(model(features)["sentence_embedding"][0].float().cpu().numpy())
    return np.stack(rows)


@contextmanager
def _pooled(model, mode: str | None) -> Iterator[None]:
    """The model pools otherwise for a while."""
    module = pooling_of(model) if mode else None
    if module is None:
        yield
        return
    before, module.pooling_mode = module.pooling_mode, mode
    try:
        yield
    finally:
        module.pooling_mode = before


def _shorter(value):
    """A row of tokens without the last; anything else as it is."""
    return value[:, :-1] if getattr(value, "ndim", 0) == 2 and value.shape[1] > 1 else value


def _ends_with_eos(model) -> bool:
    ids = model.tokenizer("a")["input_ids"]
    ends = {getattr(model.tokenizer, f"{name}_token_id", None) for name in ("eos", "sep")} - {None}
    return len(ids) > 1 and ids[-1] in ends

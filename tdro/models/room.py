"""Whether a prompt leaves room for the text behind it.

With 16 tokens a query and an instruction of 20, all queries are cut to the same 16 tokens and get the same vector. That
is no error to a tokenizer, so it has to be looked for, before a training learns from nothing.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from tdro.config.models import Encoding, Model
from tdro.config.prompts import Prompts, TaskPrompts, own_of_folder, resolved
from tdro.config.registry import Prompted
from tdro.errors import UserError
from tdro.models.kinds import is_decoder
from tdro.models.modelfiles import read_config
from tdro.readers.fetch import PREFIX, is_local

log = logging.getLogger(__name__)

#: Tokens of a text that are too few to tell it by.
LITTLE = 8
#: What `tokens_of` gives: the number of tokens of a text, uncut.
Count = Callable[[str], int]
_QUERY, _PASSAGE = "encoding.query_length", "encoding.passage_length"


def check_prompts(
    prompts: TaskPrompts, tasks: Mapping[str, Prompted], lengths: Mapping[str, int | None], count: Count
) -> None:
    """Check what stands before the texts of tasks against the lengths that texts are cut to.

    Args:
        prompts: What stands before texts.
        tasks: Instructions and symmetry, by the task's name.
        lengths: Tokens of a query and of a passage, by key; null cuts nothing.
        count: Tokens of a text.

    Raises:
        UserError: when a prompt leaves no room for a text.
    """
    for name, prompted in tasks.items():
        for wording in prompted.instruction:
            query = prompts.of_query(name, wording)
            passage = prompts.of_passage(name, wording, symmetric=prompted.symmetric)
            for prompt, key in ((query, _QUERY), (passage, _PASSAGE)):
                carried = f"the instruction {wording!r}" if wording in prompt else f"the prompt {prompt!r}"
                check_prompt(f"{name}: {carried}", prompt, key, lengths[key], count)


def check_prompt(what: str, prompt: str, key: str, length: int | None, count: Count) -> None:
    """Check one prompt against the tokens of a text, the prompt included.

    Raises:
        UserError: when it leaves no room.
    """
    if not prompt.strip() or length is None:
        return
    tokens = count(prompt.rstrip())  # the space behind it becomes part of the text's first token
    if tokens >= length:
        raise UserError(
            f"{what} takes {tokens} tokens, {key} is {length}: nothing would be left of the texts, and all would be "
            f"read as the same one; shorten it, or raise {key} (to {tokens + 4 * LITTLE}, say)."
        )
    if length - tokens < LITTLE:
        log.warning("%s takes %d of the %d tokens of %s: little is read of the texts", what, tokens, length, key)


def look_at_prompts(model: Model, encoding: Encoding, tasks: Mapping[str, Prompted]) -> None:
    """The same of a base in a local folder, by its files and without torch; others are passed over.

    Raises:
        UserError: when a prompt leaves no room for a text.
    """
    folder = Path(model.base).expanduser()
    file = folder / "tokenizer.json"
    if model.base.startswith(PREFIX) or not is_local(model.base) or not file.is_file():
        return
    own = own_of_folder(folder)
    # Whether it is a decoder is looked up only where that decides: the list of decoders takes a second to import.
    instructed = model.prompts.query is None and own == Prompts() and is_decoder(read_config(folder))
    prompts = resolved(model.prompts, own, instructed=instructed)
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing more special
        raise UserError(f"{file} cannot be read as a tokenizer ({error}); get the file anew.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    lengths = {_QUERY: encoding.query_length, _PASSAGE: encoding.passage_length}
    check_prompts(prompts, tasks, lengths, lambda text: len(tokenizer.encode(text).ids))


def check_model(model, tasks: Mapping[str, Prompted], prompts: TaskPrompts) -> None:
    """The same of a loaded SentenceTransformer; how many tokens it reads is saved with it."""
    lengths = {_QUERY: length_of(model, "query"), _PASSAGE: length_of(model, "document")}
    check_prompts(prompts, tasks, lengths, tokens_of(model))


def length_of(model, task: str | None) -> int | None:
    """Tokens that a SentenceTransformer reads of a ``query`` or a ``document``; None for one that cuts nothing."""
    own = getattr(model[0], f"{task}_length", None)
    length = own if own is not None else model.max_seq_length
    return None if length is None or length == float("inf") else int(length)


def tokens_of(model) -> Count:
    """Counts the tokens of a text, uncut."""
    tokenizer = model.tokenizer
    return lambda text: len(tokenizer(text, truncation=False, verbose=False)["input_ids"])

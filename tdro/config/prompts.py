"""What stands before a text, so that a model knows what it is: a query or a passage, and of which kind of search.

A decoder is told by an instruction (``Instruct: Retrieve the answer.`` and a second line ``Query: ``), E5 by a word
(``query: ``, ``passage: ``), most encoders by nothing. A configuration says which (:class:`TaskPrompts`), the base may
have prompts of its own, and :func:`resolved` makes one of both. What it gives is put before every text in training and
in evaluation, and saved with the model under the names of :func:`named`.
"""

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tdro.artifacts.foreign import read_foreign
from tdro.artifacts.shapes import expecting
from tdro.config.nearest import hint
from tdro.config.registry import DOCUMENT, QUERY, Prompted
from tdro.config.sections import Name, Section

log = logging.getLogger(__name__)

#: Stands for the instruction of a task in a prompt.
INSTRUCTION = "{instruction}"
_PLACEHOLDER = re.compile(r"\{[A-Za-z_]+\}")
#: E5's way to write an instruction before a query.
INSTRUCT = f"Instruct: {INSTRUCTION}\nQuery: "
#: Where a model keeps what stands before a passage; sentence-transformers looks in this order.
OF_PASSAGES = (DOCUMENT, "passage", "corpus")


class Prompts(Section):
    """What stands before queries and before passages; null is the model's own, or nothing."""

    query: str | None = None
    """Before each query; null is the model's own."""
    passage: str | None = None
    """Before each passage; null is the model's own."""


class TaskPrompts(Prompts):
    """The same by task: `{instruction}` becomes the task's instruction, and single tasks may have others."""

    tasks: dict[Name, Prompts] = Field({})
    """Other prompts of single tasks or benchmarks: `{faq: {query: "question: "}}`."""

    @model_validator(mode="after")
    def _passages_answer_no_instruction(self) -> Self:
        """A passage is embedded once for all who search it; only where it is a query itself does it carry one."""
        passages = [self.passage, *(prompts.passage for prompts in self.tasks.values())]
        if any(INSTRUCTION in (passage or "") for passage in passages):
            raise ValueError(f"`passage` cannot hold {INSTRUCTION}: a passage is read alike whoever asks")
        return self

    @property
    def instructs(self) -> bool:
        """Whether any prompt carries the instruction of a task."""
        return any(INSTRUCTION in (one.query or "") for one in (self, *self.tasks.values()))

    def of_query(self, name: str, instruction: str) -> str:
        """What stands before a query of the task or test set ``name``."""
        own = self._of(name).query
        return ((self.query if own is None else own) or "").replace(INSTRUCTION, instruction)

    def of_passage(self, name: str, instruction: str, *, symmetric: bool) -> str:
        """The same of a passage; those of a symmetric task are read as queries are."""
        own = self._of(name).passage
        if symmetric and own is None:
            return self.of_query(name, instruction)
        return (self.passage if own is None else own) or ""

    def _of(self, name: str) -> Prompts:
        return self.tasks.get(name, Prompts())


#: What a single word in the place of prompts stands for.
_WORDS: Mapping[str, Mapping[str, str]] = {
    "auto": {},
    "none": {"query": "", "passage": ""},
    "instruct": {"query": INSTRUCT},
}


def _spelled(*words: str) -> Callable[[Any], Any]:
    """Reads one of the words in the place of a section."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value not in words:
            raise ValueError(f"{value!r}{hint(value, words)} is none of {', '.join(words)}, nor `query` and `passage`")
        return _WORDS[value]

    return read


Asked = TypeVar("Asked", bound=Prompts)


def _one_placeholder(asked: Asked) -> Asked:
    """Another word in braces would be read by the model as it stands; those of a model itself are meant so."""
    for one in (asked, *getattr(asked, "tasks", {}).values()):
        for found in _PLACEHOLDER.findall(f"{one.query or ''}{one.passage or ''}"):
            if found != INSTRUCTION:
                raise ValueError(
                    f"{found} stands for nothing: only {INSTRUCTION} is replaced, and the text follows the prompt"
                )
    return asked


#: How a configuration names the prompts of a base.
BasePrompts = Annotated[
    TaskPrompts,
    BeforeValidator(
        _spelled("auto", "instruct", "none"), json_schema_input_type=Literal["auto", "instruct", "none"] | TaskPrompts
    ),
    AfterValidator(_one_placeholder),
]
#: How it names those of an embedding model that is used as it is.
MinerPrompts = Annotated[
    Prompts,
    BeforeValidator(_spelled("auto", "none"), json_schema_input_type=Literal["auto", "none"] | Prompts),
    AfterValidator(_one_placeholder),
]


def own_prompts(prompts: Mapping[str, str | None]) -> Prompts:
    """Those that a model of sentence-transformers has been saved with, as its `encode_query` and `encode_document`
    find them."""
    passage = next((prompts[name] for name in OF_PASSAGES if prompts.get(name)), None)
    return Prompts(query=prompts.get(QUERY) or None, passage=passage)


def own_of_folder(folder: Path) -> Prompts:
    """The same of a folder's files, without torch."""
    file = folder / "config_sentence_transformers.json"
    with expecting(file, "configuration of a model", "get the file anew"):
        return own_prompts(read_foreign(file).get("prompts", {}))


def resolved(asked: TaskPrompts, own: Prompts, *, instructed: bool) -> TaskPrompts:
    """The prompts that a model is trained and evaluated with, none of them left open.

    Args:
        asked: What the configuration says.
        own: What the base was saved with.
        instructed: Whether a model without prompts of its own gets instructions, as decoders do.
    """
    default = INSTRUCT if instructed and own == Prompts() else own.query or ""
    query = default if asked.query is None else asked.query
    passage = (own.passage or "") if asked.passage is None else asked.passage
    return TaskPrompts(query=query, passage=passage, tasks=asked.tasks)


def take_prompts(what: str, model, asked: Prompts, *, instructed: bool = False) -> TaskPrompts:
    """The prompts of a model of sentence-transformers, which from now on puts none before a text of its own accord.

    Whoever embeds texts puts them there, so that training and evaluation do it alike.

    Args:
        what: The model, for a warning.
        model: The model; its own prompts are taken off.
        asked: What the configuration says.
        instructed: Whether a model without prompts of its own gets instructions, as decoders do.
    """
    own = own_prompts(model.prompts)
    model.prompts, model.default_prompt_name = {}, None
    _warn_of_own(what, asked, own)
    return resolved(TaskPrompts(**asked.model_dump()), own, instructed=instructed)


def _warn_of_own(what: str, asked: Prompts, own: Prompts) -> None:
    """Say where a configuration replaces prompts that a model was saved with: it was trained to read those."""
    for side in ("query", "passage"):
        before, now = getattr(own, side), getattr(asked, side)
        if before and now is not None and now != before:
            log.warning(
                "%s was saved with the %s prompt %r, which it was trained with; the configuration takes %r instead "
                "(`prompts: auto` keeps the model's own)",
                *(what, side, before, now),
            )


def named(prompts: TaskPrompts, tasks: Mapping[str, Prompted]) -> tuple[dict[str, str], str | None]:
    """The prompts as a model keeps them, and the name of the one that serves every text, if one does.

    A task's name stands for what is put before its queries, and before its passages where it is symmetric; of several
    wordings the first. ``NAME-passage`` is there where the passages of a task have a prompt of their own. ``query`` and
    ``document`` stand for what all tasks share, and are empty where they differ.
    """
    first = {name: task.instruction[0] for name, task in tasks.items()}
    queries = {name: prompts.of_query(name, first[name]) for name in tasks}
    passages = {name: prompts.of_passage(name, first[name], symmetric=t.symmetric) for name, t in tasks.items()}
    common = {QUERY: _common(queries.values()), DOCUMENT: prompts.passage or ""}
    apart = {
        _passages_of(name): passage
        for name, passage in passages.items()
        if passage != common[DOCUMENT] and not (tasks[name].symmetric and passage == queries[name])
    }
    serves_all = set(queries.values()) == set(passages.values()) and common[QUERY] != ""
    return {**common, **queries, **apart}, QUERY if serves_all else None


def passages_name(task: str, prompts: Mapping[str, str], *, symmetric: bool) -> str | None:
    """The name in :func:`named` of what stands before the passages of a task; None: that of all passages."""
    return _passages_of(task) if _passages_of(task) in prompts else task if symmetric else None


def _passages_of(task: str) -> str:
    return f"{task}-passage"


def _common(prompts) -> str:
    found = set(prompts)
    return found.pop() if len(found) == 1 else ""

"""MKQA (Longpre et al., 2021) as a retrieval benchmark: questions in 25 languages, English passages, answer strings.

As in the retrieval literature (Asai et al., 2021; Izacard et al., 2022; Chen et al., 2024), questions that have only
answers of the types unanswerable, binary (yes or no) and long_answer are left out, for no passage could contain
their answer; 6,619 remain. Numbers, dates and all others are matched as strings (:mod:`tdro.text.answers`). The answers
are the English ones with their aliases, whatever the question's language, because the passages are English.
"""

from collections.abc import Iterator
from pathlib import Path

from tdro.errors import UserError
from tdro.readers.base import Passage
from tdro.readers.fields import identifier, optional, passage_of, required, unquoted
from tdro.readers.files import Malformed, text_of
from tdro.readers.parts import either
from tdro.readers.testsets.base import Topic
from tdro.readers.testsets.lines import need, objects, texts

#: Types of answers that no passage contains as a string.
UNMATCHED = ("unanswerable", "binary", "long_answer")
#: The language of the passages, hence of the answers.
PASSAGES = "en"


class Format:
    """A folder, or the file of questions in it; the part is the questions' language (``ar``, ``zh_cn``, ...)."""

    def __init__(self, path: str, part: str | None) -> None:
        given = Path(path)
        self._folder = given.parent if given.is_file() else given
        self._file = given if given.is_file() else None
        self._language = part or PASSAGES

    def documents(self) -> Iterator[Passage]:
        """The passages beside the questions: DPR's ``psgs_w100.tsv``, or ``corpus.jsonl`` as in BEIR."""
        if table := either(self._folder, "psgs_w100.tsv"):
            return _psgs(table)
        file = either(self._folder, "corpus.jsonl")
        if file is None:
            raise UserError(
                f"{self._folder} has neither psgs_w100.tsv nor corpus.jsonl (or .gz); add the passages, or name the "
                "benchmark whose passages are to be searched under `corpus`."
            )
        return objects(file, passage_of)

    def queries(self) -> Iterator[Topic]:
        """The questions in one language; those without an answer that can be matched have none."""
        file = self._file or need(self._folder, "mkqa.jsonl", "MKQA")
        empty = True
        for topic in objects(file, self._topic):
            empty = empty and not topic.answers
            yield topic
        if empty:
            raise UserError(f"{file} holds no question with an answer that a passage could contain.")

    def corpus_files(self) -> list[Path]:
        """The passages."""
        return list(filter(None, [either(self._folder, "psgs_w100.tsv") or either(self._folder, "corpus.jsonl")]))

    def query_files(self) -> list[Path]:
        """The questions with their answers."""
        return list(filter(None, [self._file or either(self._folder, "mkqa.jsonl")]))

    def _topic(self, value: dict) -> Topic:
        """One question, with no answers where a passage could contain none."""
        query_id, answers, queries = identifier(value, "example_id"), _answers(value), value.get("queries")
        if not isinstance(queries, dict) or not optional(queries, self._language):
            known = ", ".join(queries) if isinstance(queries, dict) else "none"
            raise Malformed(f"has no question in {self._language!r}; its languages are {known}")
        return Topic(query_id, required(queries, self._language), answers=answers)


def _answers(value: dict) -> tuple[str, ...]:
    """Texts and aliases of the English answers of all types that can be matched."""
    answers = value.get("answers")
    listed = answers.get(PASSAGES) if isinstance(answers, dict) else None
    if not isinstance(listed, list):
        raise Malformed(f"has no list `answers.{PASSAGES}`; expected MKQA's format")
    if not all(isinstance(answer, dict) for answer in listed):
        raise Malformed(f"has an `answers.{PASSAGES}` that lists no objects with `type` and `text`, as MKQA has them")
    matched = [answer for answer in listed if answer.get("type") not in UNMATCHED]
    texts = [text for answer in matched for text in (optional(answer, "text"), *_aliases(answer))]
    return tuple(dict.fromkeys(text for text in texts if text.strip()))


def _aliases(answer: dict) -> list[str]:
    aliases = answer.get("aliases") or []
    return [optional({"aliases": alias}, "aliases") for alias in (aliases if isinstance(aliases, list) else [aliases])]


def _psgs(path: Path) -> Iterator[Passage]:
    """DPR's passages: id, text, title, separated by tabs, quoted as CSV, with a header."""

    def passage(number: int, line: bytes) -> Passage | None:
        cells = text_of(line).split("\t")
        if len(cells) != 3 or not cells[0].strip():
            raise Malformed("is not `id<TAB>text<TAB>title`")
        passage_id, text, title = map(unquoted, cells)
        return None if number == 1 and passage_id == "id" else Passage(text, title, passage_id.strip())

    return texts(path, passage)

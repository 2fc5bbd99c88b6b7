"""MKQA (Longpre et al., 2021) as a retrieval benchmark: questions in 25 languages, English passages, answer strings.

As in the retrieval literature (Asai et al., 2021; Izacard et al., 2022; Chen et al., 2024), questions that have only
answers of the types unanswerable, binary (yes or no) and long_answer are left out, for no passage could contain
their answer; 6,619 remain. Numbers, dates and all others are matched as strings (:mod:`tdro.answers`). The answers
are the English ones with their aliases, whatever the question's language, because the passages are English.
"""

from collections.abc import Iterator
from pathlib import Path

from tdro.errors import UserError
from tdro.testsets import Document, Topic
from tdro.testsets.lines import either, existing, lines, need, objects, string

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

    def documents(self) -> Iterator[Document]:
        """The passages beside the questions: DPR's ``psgs_w100.tsv``, or ``corpus.jsonl`` as in BEIR."""
        if table := either(self._folder, "psgs_w100.tsv"):
            yield from _psgs(table)
            return
        file = either(self._folder, "corpus.jsonl")
        if file is None:
            raise UserError(
                f"{self._folder} has neither psgs_w100.tsv nor corpus.jsonl (or .gz); add the passages, or name the "
                "benchmark whose passages are to be searched under `corpus`."
            )
        for value, place in objects(file):
            yield Document(string(value, "_id", place), value.get("title") or "", string(value, "text", place))

    def queries(self) -> Iterator[Topic]:
        """The questions in one language that have an answer which can be matched."""
        file = self._file or need(self._folder, "mkqa.jsonl", "MKQA")
        empty = True
        for value, place in objects(file):
            answers = _answers(value, place)
            if answers:
                empty = False
                yield Topic(str(value["example_id"]), self._question(value, place), answers=answers)
        if empty:
            raise UserError(f"{file} holds no question with an answer that a passage could contain.")

    def corpus_files(self) -> list[Path]:
        """The passages."""
        return existing(either(self._folder, "psgs_w100.tsv") or either(self._folder, "corpus.jsonl"))

    def query_files(self) -> list[Path]:
        """The questions with their answers."""
        return existing(self._file or either(self._folder, "mkqa.jsonl"))

    def _question(self, value: dict, place: str) -> str:
        queries = value.get("queries")
        if not isinstance(queries, dict) or not isinstance(queries.get(self._language), str):
            known = ", ".join(queries) if isinstance(queries, dict) else "none"
            raise UserError(f"{place} has no question in {self._language!r}; its languages are {known}.")
        return queries[self._language]


def _answers(value: dict, place: str) -> tuple[str, ...]:
    """Texts and aliases of the English answers of all types that can be matched."""
    answers = value.get("answers")
    if "example_id" not in value or not isinstance(answers, dict) or not isinstance(answers.get(PASSAGES), list):
        raise UserError(f"{place} has no `example_id` or no `answers.{PASSAGES}`; expected MKQA's format.")
    if not all(isinstance(answer, dict) for answer in answers[PASSAGES]):
        raise UserError(f"{place}: `answers.{PASSAGES}` must list objects with `type` and `text`, as MKQA has them.")
    matched = [answer for answer in answers[PASSAGES] if answer.get("type") not in UNMATCHED]
    texts = [text for answer in matched for text in (answer.get("text"), *(answer.get("aliases") or ()))]
    return tuple(dict.fromkeys(text for text in texts if isinstance(text, str) and text.strip()))


def _psgs(path: Path) -> Iterator[Document]:
    """DPR's passages: id, text, title, separated by tabs, quoted as CSV, with a header."""
    for number, (line, place) in enumerate(lines(path), start=1):
        cells = line.split("\t")
        if len(cells) != 3:
            raise UserError(f"{place} is not `id<TAB>text<TAB>title`.")
        if number > 1 or cells[0] != "id":
            yield Document(cells[0], _unquoted(cells[2]), _unquoted(cells[1]))


def _unquoted(cell: str) -> str:
    quoted = len(cell) > 1 and cell.startswith('"') and cell.endswith('"')
    return cell[1:-1].replace('""', '"') if quoted else cell

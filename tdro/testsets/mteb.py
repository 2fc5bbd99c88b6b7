"""Retrieval tasks of mteb, which loads them from the hub (or from its cache, with HF_HUB_OFFLINE)."""

from collections.abc import Iterator
from pathlib import Path

from tdro.errors import UserError
from tdro.testsets import Document, Topic


class Format:
    """A task by its name; the part is one of its subsets (MIRACL's languages)."""

    def __init__(self, path: str, part: str | None) -> None:
        import mteb

        try:
            self._task = mteb.get_task(path, hf_subsets=[part] if part else None)
        except (KeyError, ValueError) as error:
            raise UserError(f"mteb has no task {path!r}, or not the part {part!r} of it: {error}.") from None
        if self._task.metadata.type != "Retrieval":
            raise UserError(f"mteb's {path!r} is no retrieval task but {self._task.metadata.type}; name another.")
        self._subset = part or "default"

    def documents(self) -> Iterator[Document]:
        """The corpus."""
        for row in self._data()["corpus"]:
            yield Document(row["id"], row.get("title") or "", row["text"])

    def queries(self) -> Iterator[Topic]:
        """The queries with a passage graded above 0."""
        data = self._data()
        for row in data["queries"]:
            judged = data["relevant_docs"].get(row["id"], {})
            grades = {passage: grade for passage, grade in judged.items() if grade > 0}
            if grades:
                yield Topic(row["id"], row["text"], grades=grades)

    def corpus_files(self) -> list[Path]:
        """None: mteb knows where they are."""
        return []

    query_files = corpus_files

    def _data(self) -> dict:
        """The task's own split: its first, which of MS MARCO and MIRACL is dev."""
        try:
            self._task.load_data()
        except (OSError, ValueError) as error:
            raise UserError(f"mteb cannot load {self._task.metadata.name}: {' '.join(str(error).split())}.") from error
        return self._task.dataset[self._subset][self._task.eval_splits[0]]

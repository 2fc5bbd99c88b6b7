"""From a plan's integers to the texts a retriever reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from tdro.artifacts.layout import TEXTS, Layout
from tdro.config.prompts import TaskPrompts
from tdro.config.registry import Prompted
from tdro.errors import UserError
from tdro.text.strings import choose, passage_text
from tdro.training.kepttexts import KeptTexts


class Text(NamedTuple):
    """A query or passage by its place, with the wording of the instruction that it carries."""

    task: str
    kind: str
    row: int
    wording: int


class Texts:
    """The texts of the tasks of a plan, looked up by row.

    Args:
        folder: What :func:`tdro.training.kepttexts.keep_texts` has filled with the texts of the plan.
        tasks: Instructions and symmetry of each task.
        seed: Decides which of several instructions a row carries.
        prompts: What stands before the texts.
    """

    def __init__(self, folder: Path, tasks: Mapping[str, Prompted], seed: int, prompts: TaskPrompts) -> None:
        self._folder = folder
        self._tasks = tasks
        #: What stands before them.
        self.prompts = prompts
        self._seed = seed
        self._open: dict[tuple[str, str], KeptTexts] = {}

    def __getitem__(self, text: Text) -> str:
        """The text as the retriever reads it, its prompt included."""
        prompted = self._prompted(text.task)
        instruction = prompted.instruction[text.wording]
        if text.kind == "query":
            prompt = self.prompts.of_query(text.task, instruction)
            return prompt + self._kept(text, "queries")[0]
        prompt = self.prompts.of_passage(text.task, instruction, symmetric=prompted.symmetric)
        return prompt + passage_text(*self._kept(text, "corpus"))

    def of_row(self, row: Mapping[str, Any]) -> list[Text]:
        """Query, positive and negatives of one row of a plan.

        All of them carry one wording of the task's instruction, decided by seed, task and query. Passages of a task
        that is not symmetric carry the first, so that each of them is one text.
        """
        task = row["task"]
        prompted = self._prompted(task)
        wording = choose(len(prompted.instruction), self._seed, task, row["query"])
        of_passages = wording if prompted.symmetric else 0
        passages = [Text(task, "passage", p, of_passages) for p in (row["positive"], *row["negatives"])]
        return [Text(task, "query", row["query"], wording), *passages]

    def close(self) -> None:
        """Let go of the files; what is asked for later opens them again.

        A file that a process still maps leaves a name behind on NFS, and its folder cannot be removed.
        """
        self._open.clear()

    def _prompted(self, task: str) -> Prompted:
        if task not in self._tasks:
            raise UserError(f"the plan holds task {task!r}, but the settings name only {', '.join(self._tasks)}.")
        return self._tasks[task]

    def _kept(self, text: Text, file: str) -> list[str]:
        key = (text.task, file)
        if key not in self._open:
            self._open[key] = KeptTexts(self._folder, *key)
        return self._open[key][text.row]


def files_of(plan: pa.Table, results: str | Path) -> list[Path]:
    """The files that the texts of a plan are read from."""
    layout, tasks = Layout(results), plan["task"].unique().to_pylist()
    return [Path(layout.task(task, file)) for task in tasks for file in TEXTS]


def columns(negatives: int) -> list[str]:
    """Names of the texts of a row, in order."""
    return ["query", "positive", *(f"negative_{i + 1}" for i in range(negatives))]


def dataset(plan: pa.Table, texts: Texts):
    """A ``datasets.Dataset`` over the rows of a plan that looks the texts up when a batch is asked for.

    An item maps ``query``, ``positive``, ``negative_1``, ... to texts and ``label`` to the row of the plan.
    """
    from datasets import Dataset
    from datasets.table import InMemoryTable

    table = plan.append_column("label", pa.array(range(plan.num_rows), pa.int64()))

    def look_up(batch: dict[str, list]) -> dict[str, Sequence]:
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        texts_of_rows = [[texts[t] for t in texts.of_row(row)] for row in rows]
        names = columns(len(rows[0]["negatives"]))
        return {**dict(zip(names, zip(*texts_of_rows, strict=True), strict=True)), "label": batch["label"]}

    # The name keeps datasets from making one up out of all rows, for a cache that nothing here uses. It pickles them
    # for that, which on Python 3.12 ends in an error (datasets 5.2, dill 0.4).
    return Dataset(InMemoryTable(table), fingerprint="plan").with_transform(look_up)

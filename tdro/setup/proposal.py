"""How the datasets of a folder are trained on and evaluated: entries of a registry, with what is held out by size."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tdro.artifacts.layout import DEV_ROWS, IN_DOMAIN
from tdro.checking.newtask import NewTask, new_task
from tdro.config.nearest import hint
from tdro.config.registry import Source
from tdro.errors import UserError
from tdro.readers.base import Row, rows
from tdro.setup.datafiles import Found, datasets

#: Rows below which a dataset is no task: nothing could be held out and learnt from both.
LEAST = 20
# Shares of a task's rows that are reported on and chosen on, and how many at most.
_HELD_OUT, _DEV = (0.1, 1000), (0.05, 500)
# Rows that are looked at.
_LOOKED_AT = 2000
# Names that a registry keeps for itself.
_KEPT = {IN_DOMAIN, DEV_ROWS, "query", "document"}


class Proposed(NamedTuple):
    """A dataset with its entry.

    Attributes:
        name: Its name in the registry.
        entry: Its entry, as YAML has it.
        use: ``train``, ``test`` or ``dev``.
        rows: How many it has.
        more: Whether there are more, which were not counted.
        words: Mean words of a passage.
        odd: Sentences on what is odd about it.
    """

    name: str
    entry: dict[str, Any]
    use: str
    rows: int
    more: bool
    words: float
    odd: list[str]


class Proposal(NamedTuple):
    """Datasets, and sentences on what is left out."""

    datasets: list[Proposed]
    left_out: list[str]

    def of(self, *uses: str) -> list[Proposed]:
        """The datasets for these uses."""
        return [dataset for dataset in self.datasets if dataset.use in uses]


def propose(data: Path, project: Path, instructions: Mapping[str, str]) -> Proposal:
    """Look at every dataset below a folder.

    Args:
        data: The folder.
        project: Where the registry will lie; paths below it are written as seen from it, others as a whole.
        instructions: What a searcher wants of some datasets, by name.

    Raises:
        UserError: where there is no such folder, no task is found, or an instruction is for none of them.
    """
    if not data.is_dir():
        raise UserError(f"{data} is no folder; name the one that holds your data: --from FOLDER.")
    found, others = datasets(data)
    left_out = [f"{path}: no data that a reader knows" for path in others]
    proposed: list[Proposed] = []
    for one in found:
        name = _free(one.name, {other.name for other in proposed} | _KEPT)
        try:
            proposed.append(_proposed(one._replace(name=name, path=_seen_from(project, one.path)), one, instructions))
        except UserError as error:
            left_out.append(str(error))
    if not any(one.use == "train" for one in proposed):
        why = f": {'; '.join(left_out[:3])}" if left_out else "; it has no file of a known kind"
        raise UserError(f"{data} holds nothing to train on{why}. docs/howto/own-data.md says what rows look like.")
    names = [one.name for one in proposed]
    if unknown := sorted(set(instructions) - set(names)):
        raise UserError(
            f"--instruction names {unknown[0]!r}{hint(unknown[0], names)}; the datasets are {', '.join(names)}."
        )
    return Proposal(proposed, left_out)


def _proposed(found: Found, here: Found, instructions: Mapping[str, str]) -> Proposed:
    """The entry of one dataset.

    Args:
        found: The dataset with the name and the path that are written.
        here: The same with the path as it is read now.
        instructions: By name.
    """
    if found.use != "train" and Path(here.path).is_dir():
        return _benchmark_of_beir(found, here, instructions)
    task = new_task(here.path, _LOOKED_AT, found.name)
    look = task.facts.look
    if look.rows < LEAST and found.use == "train":
        raise UserError(f"{here.path}: {look.rows} rows are too few to learn from; {LEAST} are the least")
    entry = task.entry | {"source": {**task.entry["source"], "path": found.path}}
    entry.pop("held_out", None)
    if found.name in instructions:
        entry["instruction"] = instructions[found.name]
    if found.use == "train":
        entry |= {"held_out": _part(look.rows, *_HELD_OUT), "dev": _part(look.rows, *_DEV)}
    else:
        entry = {key: entry[key] for key in ("language", "instruction", "source")}
    entry["expected_rows"] = _expected(task)
    odd = [finding.text for finding in task.findings]
    return Proposed(found.name, entry, found.use, look.rows, not look.ended, task.facts.passage_words, odd)


def _benchmark_of_beir(found: Found, here: Found, instructions: Mapping[str, str]) -> Proposed:
    queries = sum(isinstance(item, Row) for item in rows(Source(reader="beir", path=here.path), "test"))
    instruction = instructions.get(found.name, "Given a query, retrieve the passage that answers it.")
    source = {"reader": "beir", "path": found.path}
    entry = {"language": "en", "instruction": instruction, "source": source}
    return Proposed(found.name, entry, found.use, queries, more=False, words=0.0, odd=[])


def _expected(task: NewTask) -> dict[str, Any]:
    """What `tdro forecast` reckons with before the dataset is prepared."""
    facts = task.facts
    share = facts.look.rows / max(1, len(facts.look.pairs))
    return {
        "queries": max(1, round(len(facts.queries) * share)),
        "passages": max(1, round(len(facts.passages) * share)),
        "query_words": max(1.0, round(facts.query_words, 1)),
        "passage_words": max(1.0, round(facts.passage_words, 1)),
    }


def _part(rows_: int, share: float, most: int) -> int:
    """So large a share of the rows, as a number that is easy to read."""
    number = min(most, max(2, int(rows_ * share)))
    size = 10 ** max(0, len(str(number)) - 2)
    return number // size * size


def _free(name: str, taken: set[str]) -> str:
    """The name, or with a number behind it where another dataset has it."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def _seen_from(project: Path, path: str) -> str:
    """A path as a registry in ``project`` names it."""
    whole, folder = Path(path).absolute(), project.absolute()
    return str(whole.relative_to(folder) if whole.is_relative_to(folder) else whole)

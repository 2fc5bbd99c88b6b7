"""The registry of kinds: how a file is told, and which function shows it.

A Parquet file is told by its columns, a JSON file by its keys, a folder by a file that it holds, and others by their
names, so that a file may lie anywhere and be called anything. Of several kinds that fit, the one that asks for most is
taken: a row of candidates has all that a dev pool has, and more.
"""

from collections.abc import Callable, Collection, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from tdro.artifacts import schemas
from tdro.artifacts.files import column_names, read_given_json
from tdro.errors import UserError
from tdro.formats import abridged
from tdro.report.show import (
    choices,
    devscores,
    duplicates,
    models,
    notes,
    plans,
    scores,
    texts,
    trajectories,
    weights,
)
from tdro.report.show.view import Asked, View

_ROWS = frozenset({"rows", "row"})


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        name: What it is called in messages.
        view: Shows one file.
        columns: Schemas, one of which a Parquet file has.
        keys: Sets of keys, one of which a JSON file has.
        names: Patterns, one of which the name of another file has.
        holds: A file whose presence makes a folder this kind; a pattern.
        takes: What of :class:`Asked` it makes use of, beside ``whole``.
        together: Shows several files beside each other; None: they come one after the other.
    """

    name: str
    view: Callable[[Path, Asked], View]
    columns: tuple[pa.Schema, ...] = ()
    keys: tuple[frozenset[str], ...] = ()
    names: tuple[str, ...] = ()
    holds: str | None = None
    takes: frozenset[str] = frozenset()
    together: Callable[[Sequence[Path], Asked], View] | None = None


def _keys(*names: str) -> tuple[frozenset[str], ...]:
    return (frozenset(names),)


_JUST_ROWS = frozenset({"rows"})
# Evaluations of before have not kept what was found first.
_WITHOUT_FIRST = pa.schema([field for field in schemas.QUERY_SCORES if field.name != schemas.FIRST])

KINDS = (
    Kind(
        "weights",
        weights.one,
        keys=_keys("domain_weights"),
        takes=frozenset({"drawn"}),
        together=weights.several,
    ),
    Kind("corpus", texts.corpus, columns=(schemas.CORPUS, schemas.SAMPLED_CORPUS), takes=_ROWS),
    Kind("queries", texts.queries, columns=(schemas.QUERIES, schemas.DEV_QUERIES, schemas.TEST_QUERIES), takes=_ROWS),
    Kind("candidates", texts.candidates, columns=(schemas.CANDIDATES,), takes=_ROWS),
    Kind("negatives", texts.negatives, columns=(schemas.NEGATIVES,), takes=_ROWS),
    Kind(
        "training or dev rows",
        texts.train,
        columns=(schemas.TRAIN, schemas.SCORED_TRAIN, schemas.DEV_ROWS),
        takes=_ROWS,
    ),
    Kind("rows for other programs", notes.exported, holds="about.yaml"),
    Kind("duplicates", duplicates.duplicates, columns=(schemas.DUPLICATES,), takes=_ROWS),
    Kind("leaks", duplicates.leaks, columns=(schemas.LEAKS,), takes=_ROWS),
    Kind("plan", plans.plan, columns=(schemas.PLAN,), takes=_ROWS),
    Kind("reference losses", plans.reference, columns=(schemas.REFERENCE,)),
    Kind("trajectory", trajectories.trajectory, columns=(schemas.TRAJECTORY,)),
    Kind("heaviest rows", trajectories.heaviest, columns=(schemas.HEAVIEST,), takes=_ROWS),
    Kind("rankings", texts.rankings, columns=(schemas.RANKINGS,), takes=_ROWS),
    Kind("scores of queries", scores.queries, columns=(schemas.QUERY_SCORES, _WITHOUT_FIRST), takes=_ROWS),
    Kind("scores", scores.one, keys=_keys("benchmark", "datasets"), together=scores.several),
    Kind("dev pool", texts.pool, columns=(schemas.DEV_POOL,), takes=_ROWS),
    Kind("dev scores", devscores.retriever, columns=(schemas.DEV_SCORES,), takes=_ROWS),
    Kind("scores of merged experts", devscores.experts, columns=(schemas.EXPERT_SCORES,), takes=_JUST_ROWS),
    Kind("law of merged experts", choices.law, keys=_keys("floors", "slopes", "transfer"), takes=_JUST_ROWS),
    Kind("tasks that harm", choices.harmful, keys=(*_keys("merged", "asked"), *_keys("merged", "dropped"))),
    Kind("soup", choices.soup, keys=_keys("ingredients", "soups")),
    Kind("recommendation", choices.recommendation, keys=_keys("settings", "models")),
    Kind("model", models.folder, holds="modules.json"),
    Kind("package", models.archive, names=("*.tar.gz", "*.tgz")),
    Kind("embeddings", models.embeddings, keys=_keys("shards", "dimension"), holds="*/manifest.json"),
    Kind("shard of embeddings", models.shard, names=("*.npy",), takes=_ROWS),
    Kind("task means", models.means, columns=(schemas.TASK_MEANS,)),
    Kind("manifest of a download", models.fetched, keys=_keys("request", "files"), takes=_JUST_ROWS),
    Kind("checksums", models.sums, keys=_keys("files"), takes=_JUST_ROWS),
    Kind("project", notes.project, keys=_keys("registry", "datasets")),
    Kind("version", notes.version, keys=_keys("code", "libraries"), takes=_JUST_ROWS),
    Kind("digest", notes.digest, names=("*.digest",)),
    Kind("mark", notes.mark, names=("prepared", "deduplicated")),
    Kind("rankings in TREC's format", notes.run, names=("*.trec",), holds="*.trec", takes=_ROWS),
    Kind("results.csv", scores.results, names=("*.csv",)),
    Kind("page", notes.page, names=("*.html",)),
    Kind("Markdown", notes.markdown, names=("*.md",)),
    Kind("text", notes.text, names=("*.txt", "*.log")),
)


def kind_of(path: Path) -> Kind:
    """The kind of a file or folder that is there.

    Raises:
        UserError: for a file of none of the kinds, or one that cannot be read.
    """
    kind = known(path)
    if kind is None:
        names = ", ".join(kind.name for kind in KINDS)
        raise UserError(f"{path} is none of the files that `tdro show` knows{_why(path)}; it knows {names}.")
    return kind


def known(path: Path) -> Kind | None:
    """The same; None where the file is of none of the kinds."""
    if path.is_dir():
        return next((kind for kind in KINDS if kind.holds and any(path.glob(kind.holds))), None)
    if path.suffix == ".parquet":
        return _most(set(column_names(path, ours=False)), lambda kind: [schema.names for schema in kind.columns])
    if path.suffix == ".json":
        content = read_given_json(path)
        return _most(set(content), lambda kind: kind.keys) if isinstance(content, dict) else None
    return next((kind for kind in KINDS if any(fnmatch(path.name, name) for name in kind.names)), None)


def _most(has: set[str], asks: Callable[[Kind], Collection[Collection[str]]]) -> Kind | None:
    """The kind that asks for most of what is there."""
    fits = [(len(names), kind) for kind in KINDS for names in asks(kind) if has.issuperset(names)]
    return max(fits, key=lambda pair: pair[0])[1] if fits else None


def _why(path: Path) -> str:
    """What it has in the place of what a kind asks for."""
    if path.is_dir():
        return ""
    if path.suffix == ".parquet":
        return f" (its columns are {abridged(column_names(path, ours=False), 8)})"
    if path.suffix == ".json":
        content = read_given_json(path)
        return f" (its keys are {abridged(content, 8)})" if isinstance(content, dict) else " (it is no JSON object)"
    return ""

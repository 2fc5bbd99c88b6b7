"""A look at local files before any job: where nothing lies, whether first rows can be read, whether a model can be one.

It takes a second and spares hours: a job would find out only after all that runs before it.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path

from tdro.artifacts import strictyaml
from tdro.config.models import Encoding, Model
from tdro.config.nearest import path_hint
from tdro.config.registry import Benchmark, Prompted, Source, Task
from tdro.config.schema import Config
from tdro.errors import UserError
from tdro.models.modelfiles import check_model_folder
from tdro.models.positions import check_lengths
from tdro.models.room import look_at_prompts
from tdro.readers.base import BadRow, Passage, Row, Split, rows
from tdro.readers.markupseen import MarkupSeen
from tdro.readers.parts import local_files
from tdro.readers.queryfiles import read_queries
from tdro.readers.testsets.base import is_testset, open_testset
from tdro.text.relations import said


class Absent(UserError):
    """Nothing lies at a path."""


#: Rows that are looked at; where all of them are malformed, so is the source.
ROWS = 20
# Fewer may all repeat their query by chance.
_SEVERAL = 3


def complaints(
    registry: str, tasks: Mapping[str, Task], benchmarks: Mapping[str, Benchmark], config: Config
) -> Iterator[tuple[str, bool]]:
    """A sentence on each dataset and model whose local files cannot be used.

    Each comes with whether its data may be still to come: a folder that is not there at all is taken for one that will
    be downloaded, a file that is missing in a folder for a mistake.
    """
    datasets: dict[str, Task | Benchmark] = {**tasks, **benchmarks}
    for name, dataset in datasets.items():
        try:
            _look_at_dataset(dataset)
        except UserError as error:
            yield f"{registry}: {name}: {error}", isinstance(error, Absent) and _to_come(dataset.source)
    for file in config.dedup.queries:
        try:
            next(read_queries(file), None)
        except UserError as error:
            yield f"config: `dedup.queries`: {error}", False
    mined = any(task.negatives == "mined" for task in tasks.values()) or "miner" in config.evaluation.untrained
    for look in _looks_at_models(config, datasets, mined):
        try:
            look()
        except UserError as error:
            yield f"config: {error}", False


def oddities(registry: str, tasks: Mapping[str, Task]) -> Iterator[str]:
    """A sentence on each task of which all first rows, if they are several, have a positive that repeats the query, and
    one on each of which texts look like markup that nobody has spoken of."""
    for name, task in tasks.items():
        if not _is_local(task.source):
            continue
        try:
            found = [item for item in islice(rows(task.source, "train"), ROWS) if isinstance(item, Row)]
        except UserError:  # what cannot be read is complained of elsewhere
            continue
        if len(found) >= _SEVERAL and all(map(_echoes, found)):
            yield (
                f"{registry}: {name}: the first {len(found)} positives all say the same as their query; see whether "
                "query and positive are two different columns"
            )
        seen = MarkupSeen(name, task.source)
        for row in found:
            seen.add(row)
        if marked := seen.sentence():
            yield f"{registry}: {name}: {marked}"


def _echoes(row: Row) -> bool:
    texts = [passage.text for passage in row.positives if isinstance(passage, Passage)]
    return bool(texts) and all(said(text) == said(row.query) for text in texts)


def of_settings(root: Path) -> Iterator[str]:
    """A sentence on each file of launch configurations and profiles that says a thing twice or is no YAML."""
    for pattern in ("config/accelerate/*.yaml", "profiles/*/config*.yaml", "slurm/config*.yaml"):
        for file in sorted(root.glob(pattern)):
            try:
                strictyaml.read_file(file)
            except UserError as error:
                yield str(error)


def _looks_at_models(config: Config, datasets: Mapping[str, Prompted], mined: bool) -> Iterator[Callable[[], None]]:
    """What looks at each model: its files, and whether it reads what is asked, which a miner need not."""
    for model in config.models:
        yield partial(_look_at_base, model, config.encoding, datasets)
    if mined:
        yield partial(check_model_folder, config.mining.encode.model)
        if config.mining.rescore:
            yield partial(check_model_folder, config.mining.rescore.model)


def _look_at_base(model: Model, encoding: Encoding, datasets: Mapping[str, Prompted]) -> None:
    check_model_folder(model.base)
    lengths = {"encoding.query_length": encoding.query_length, "encoding.passage_length": encoding.passage_length}
    check_lengths(model.base, lengths)
    look_at_prompts(model, encoding, datasets)


def _look_at_dataset(dataset: Task | Benchmark) -> None:
    source = dataset.source
    if not _is_local(source):
        return
    if isinstance(dataset, Benchmark) and is_testset(source):
        for part in dataset.parts or [None]:
            _look_at_testset(source, part, with_corpus=not dataset.corpus)
    else:
        _there(source.path)
        _look_at_rows(source, "train" if isinstance(dataset, Task) else "test")


def _is_local(source: Source) -> bool:
    return bool(source.path) and not (source.hub or source.package or source.reader == "mteb")


def _look_at_testset(source: Source, part: str | None, *, with_corpus: bool) -> None:
    path = source.path.replace("{part}", part or "")
    _there(path)
    testset = open_testset(source, part)
    if not testset.query_files():
        raise UserError(f"{path} holds no queries or judgements in the layout of {source.reader!r}; correct `path`.")
    next(iter(testset.queries()), None)
    if with_corpus:
        next(iter(testset.documents()), None)


def _look_at_rows(source: Source, split: Split) -> None:
    """Refuse a source that is none, or of which nothing of what comes first is a row."""
    first = list(islice(rows(source, split), ROWS))
    bad = [item for item in first if isinstance(item, BadRow)]
    if bad and len(bad) == len(first):
        raise UserError(f"{bad[0].place} {bad[0].reason}; so do all of the first {len(first)} rows.")


def _there(path: str) -> None:
    """Refuse a path, or pattern, where nothing lies; name what is called nearly so."""
    if Path(path).expanduser().exists() or local_files(path):
        return
    raise Absent(f"nothing lies at {path}{path_hint(path)}; correct `path` or put the data there.")


def _to_come(source: Source) -> bool:
    parts = Path(source.path or "").parts
    return len(parts) > 1 and not Path(parts[0]).exists()

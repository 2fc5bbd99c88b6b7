"""Which project a folder of results belongs to, and where the files of a project are looked for.

Two registries that share one ``results/`` would replace each other's files, job by job and without a word. So the first
real run notes its registry in ``results/project.json``, and a run with another one is refused.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tdro.artifacts.files import read_json, write_json
from tdro.config.registry import Benchmark, Registry, Task
from tdro.config.schema import Config
from tdro.errors import UserError
from tdro.readers.testsets.base import is_testset


def beside(path: str, root: Path) -> str:
    """A path in the working folder, or in the project where only that has its first part."""
    first = Path(path).parts[:1]
    if not first or Path(path).is_absolute() or first[0] == "~" or Path(first[0]).exists():
        return path
    return str(root / path) if (root / first[0]).exists() else path


def registry_file(name: str, root: Path) -> Path:
    """The file of datasets; relative to the working folder or to the project."""
    path = Path(name).expanduser()
    return path if path.exists() else root / name


def located(registry: Registry, root: Path) -> Registry:
    """The same datasets with the paths of local data as :func:`beside` finds them."""

    def entry(dataset):
        source = dataset.source
        if source.hub or source.package or not source.path:
            return dataset
        return dataset.model_copy(update={"source": source.model_copy(update={"path": beside(source.path, root)})})

    return registry.model_copy(
        update={
            "tasks": {name: entry(task) for name, task in registry.tasks.items()},
            "benchmarks": {name: entry(benchmark) for name, benchmark in registry.benchmarks.items()},
        }
    )


def located_models(config: Config, root: Path) -> Config:
    """The same configuration with local models and files of queries of the project, where only that has them."""

    def there(path: str) -> str:
        return str(root / path) if not Path(path).exists() and (root / path).exists() else path

    encode, rescore = config.mining.encode, config.mining.rescore
    mining: dict[str, Any] = {"encode": encode.model_copy(update={"model": there(encode.model)})}
    if rescore:
        mining["rescore"] = rescore.model_copy(update={"model": there(rescore.model)})
    return config.model_copy(
        update={
            "models": [model.model_copy(update={"base": there(model.base)}) for model in config.models],
            "mining": config.mining.model_copy(update=mining),
            "dedup": config.dedup.model_copy(update={"queries": [there(file) for file in config.dedup.queries]}),
        }
    )


def same_sources(tasks: Mapping[str, Task], benchmarks: Mapping[str, Benchmark]) -> Iterator[str]:
    """A sentence on every dataset that reads the same rows as one before it."""
    first: dict[str, str] = {}
    datasets: dict[str, Task | Benchmark] = {**tasks, **benchmarks}
    for name, dataset in datasets.items():
        rows = dataset.source.model_dump_json()
        if isinstance(dataset, Benchmark):
            rows += f"{is_testset(dataset.source) or ''}{dataset.parts or ''}{dataset.corpus or ''}"
        if first.setdefault(rows, name) != name:
            yield f"{first[rows]} and {name} have the same `source`; correct the one that was copied"


def claim(file: Path, registry: Path, datasets: Registry) -> None:
    """Note at the start of a run that the results are those of this registry.

    Raises:
        UserError: as :func:`check_claim`.
    """
    check_claim(file, registry, datasets)
    noted = {"registry": _name(registry), "datasets": dict(_sources(datasets))}
    if not file.exists() or read_json(file) != noted:
        write_json(file, noted)


def check_claim(file: Path, registry: Path, datasets: Registry) -> None:
    """Refuse results that another registry has made.

    The same file may change as it likes: what changed is made again. A file of another name passes as a copy or renamed
    where both have a task, and every dataset that both have comes from the same source.

    Args:
        file: ``results/project.json``; where there is none, nothing is refused.
        registry: The file of datasets of this run.
        datasets: Its content.

    Raises:
        UserError: with the way out.
    """
    if not file.exists() or not _holds_results(file):
        return
    noted = read_json(file)
    sources = dict(_sources(datasets))
    shared = [name for name in sources if name in noted["datasets"]]
    same = any(name in datasets.tasks for name in shared)
    same = same and all(sources[name] == noted["datasets"][name] for name in shared)
    if noted["registry"] == _name(registry) or same:
        return
    raise UserError(
        f"{file.parent}/ holds what was made with the registry {noted['registry']}; a run with {_name(registry)} would "
        "replace it. Give each project a folder of its own with `--directory FOLDER`, where its results, logs and "
        f"checkpoints then lie. If both are one project, delete {file} and start again."
    )


def _holds_results(file: Path) -> bool:
    """Whether anything lies beside the note."""
    notes = file.parent / ".versions"
    return any(path.is_file() and path != file and notes not in path.parents for path in file.parent.rglob("*"))


def _sources(datasets: Registry) -> Iterator[tuple[str, Any]]:
    entries: dict[str, Task | Benchmark] = {**datasets.tasks, **datasets.benchmarks}
    for name, entry in entries.items():
        yield name, entry.source.model_dump(exclude_none=True)


def _name(registry: Path) -> str:
    """The file as seen from the working folder, so that a folder may be moved with its results."""
    whole = registry.resolve()
    return str(whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole)

"""The start of a run: a configuration is read and checked, and what is odd about it is told."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tdro.artifacts import strictyaml
from tdro.artifacts.strictyaml import Place
from tdro.config import mixturenames
from tdro.config.nearest import path_hint
from tdro.config.registry import Registry
from tdro.config.schema import Config
from tdro.config.sections import load, parse
from tdro.errors import UserError
from tdro.pipeline import clock, firstlook
from tdro.pipeline.checks import check, undistilled, unembedded, unlearnt
from tdro.pipeline.jobs import Jobs
from tdro.pipeline.project import check_claim, located, located_models, registry_file, same_sources


def values_of(file: Path) -> dict[str, Any]:
    """What a configuration file says, not validated yet.

    Raises:
        UserError: when it is not there, cannot be read or has no keys.
    """
    if not file.exists():
        raise UserError(f"nothing lies at {file}{path_hint(file)}; name a configuration.")
    values = strictyaml.read_file(file).values
    if not isinstance(values, dict):
        raise UserError(f"{file} holds no keys; expected a configuration, which begins with `registry: FILE`.")
    return values


def check_place(root: Path) -> None:
    """Raises UserError: for a project in a folder whose name Snakemake takes for a pattern of its own."""
    if {"{", "}"} & set(str(root)):
        raise UserError(f"the project lies in {root}, and Snakemake takes braces in its path for wildcards; move it.")


def read(values: Mapping[str, Any], root: Path, files: Iterable[Path] = ()) -> Jobs:
    """The jobs of a configuration that is not validated yet.

    Args:
        values: Content of a configuration file, or of several with what the command line changes.
        root: Where its registry is looked for when the working folder has none of that path.
        files: The files that the values come from. They are read again for what the values do not show: a key
            that stands twice, and how a word was written.

    Raises:
        UserError: for anything wrong in the configuration or its registry, with a line each.
    """
    config, registry = _all_of(
        lambda: parse(Config, dict(values), "config", _written(files)), lambda: _registry(values, root)
    )
    jobs = Jobs(located_models(config, root), located(registry, root), root)
    check(jobs, root)
    return jobs


def unusable(jobs: Jobs, root: Path) -> tuple[list[str], list[str]]:
    """Sentences on local files that cannot be used, and on those that may be still to come."""
    found = list(firstlook.complaints(jobs.config.registry, jobs.tasks, jobs.benchmarks, jobs.config))
    wrong = [*firstlook.of_settings(root), *(line for line, to_come in found if not to_come)]
    return wrong, [line for line, to_come in found if to_come]


def of_configuration(jobs: Jobs) -> list[str]:
    """What is odd about a configuration by itself, though a run can go on."""
    return [
        *mixturenames.remarks(jobs.config.mixtures, len(jobs.tasks), jobs.soups.fixed),
        *same_sources(jobs.tasks, jobs.benchmarks),
        *undistilled(jobs),
        *unembedded(jobs),
        *unlearnt(jobs),
    ]


def remarks(jobs: Jobs, note: Path) -> list[str]:
    """What is odd about it, its first rows and its results, and whose results would be replaced, if it is another's."""
    found = [*of_configuration(jobs), *firstlook.oddities(jobs.config.registry, jobs.tasks)]
    found += clock.remarks(note.parent)
    try:
        check_claim(note, jobs.registry_file, jobs.registry)
    except UserError as error:
        found.append(str(error))
    return found


def _all_of(*steps: Callable[[], Any]) -> list[Any]:
    """What each step gives, or, where some refuse, all of their sentences."""
    results, sentences = [], []
    for step in steps:
        try:
            results.append(step())
        except UserError as error:
            sentences.append(str(error))
    if sentences:
        raise UserError("\n".join(sentences))
    return results


def _written(files: Iterable[Path]) -> dict[Place, str]:
    """How the words of the files were written that YAML does not read as text; of several files the last one counts."""
    documents = _all_of(*(partial(strictyaml.read_file, file) for file in files))
    return {place: word for document in documents for place, word in document.written.items()}


def _registry(values: Mapping[str, Any], root: Path) -> Registry | None:
    """The registry that a configuration names; None where it names none, which its own validation says."""
    name = values.get("registry")
    if not isinstance(name, str) or not name.strip():
        return None
    file = registry_file(name, root)
    if not file.exists():
        raise UserError(
            f"config: `registry`: nothing lies at {name}{path_hint(name)}, seen from {_seen_from(root)}; "
            "name the file of datasets, or go to the folder that its path begins at."
        )
    return load(file, Registry)


def _seen_from(root: Path) -> str:
    """The folders that a path of the configuration may begin at."""
    return " or ".join(dict.fromkeys(str(folder.resolve()) for folder in (Path(), root)))

"""Results made by another version of the code or of a library: said at the start of a run, never silently mixed."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from tdro.artifacts import versions

_UNNOTED = "{results} was made by a version that did not note which it was; to make all of it again: --forceall"


def warning(
    results: Path,
    notes: Path,
    commands: Mapping[str, Callable],
    rule_of: Callable[[str], str | None],
    *,
    libraries: bool,
) -> str | None:
    """One line about finished outputs of other versions; None where there are none.

    Args:
        results: The folder of results.
        notes: Where it is noted what made them (:mod:`tdro.artifacts.versions`).
        commands: What each command runs, by its name.
        rule_of: The rule that makes an output in this configuration; None for what it does not make.
        libraries: Whether jobs use the libraries of this Python, so that those can be compared.
    """
    if not notes.is_dir():
        # Prepared data are the first that a run makes.
        return _UNNOTED.format(results=results) if any((results / "data").glob("*/corpus.parquet")) else None
    rules: dict[str, set[str]] = defaultdict(set)
    for command, made_by, folder in versions.noted(notes):
        now = versions.of_command(commands[command]) if command in commands else None
        differs = versions.difference(made_by, now, libraries=libraries) if now else ["the code"]
        for rule in _rules(folder, rule_of) if differs else ():
            rules[rule] |= set(differs)
    if not rules:
        return None
    found = [f"{rule} ({', '.join(sorted(differs))})" for rule, differs in sorted(rules.items())]
    return (
        f"Results were made by another version: {', '.join(found)}. What this run does not make again stays; to "
        f"make all of it again: --forcerun {' '.join(sorted(rules))}"
    )


def _rules(notes: Path, rule_of: Callable[[str], str | None]) -> set[str]:
    return {rule for output in versions.outputs(notes) if (rule := rule_of(output))}

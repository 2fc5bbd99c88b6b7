"""What is wrong with a key, in a sentence: what was found, what was expected, and what was probably meant."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from tdro.artifacts.strictyaml import Place, reading
from tdro.config.nearest import hint

#: What a text must look like, and what a message calls it.
PATTERNS = {
    "name": (r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", "letters, digits, `_`, `-` and `.`, the first a letter or digit"),
    "checksum": (r"^[0-9a-f]{64}$", "64 hexadecimal digits, 0 to 9 and a to f"),
    "text": (r"\S", "a text that is not blank"),
    "repository": (r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$", "ORG/NAME"),
    "package": (r"^[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+$", "NAME==VERSION"),
}
_CALLED = dict(PATTERNS.values())

#: What is expected where pydantic tells why a text is no number, by its kinds of errors.
_EXPECTED = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "a whole number is expected"),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), "a number is expected"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "true or false is expected"),
}
# Limits, by the same, with the name of the limit.
_LIMITS = {
    "greater_than_equal": ("ge", "{} or more"),
    "greater_than": ("gt", "more than {}"),
    "less_than_equal": ("le", "{} or less"),
    "less_than": ("lt", "less than {}"),
}

# What pydantic calls by Python's names.
_KINDS = {
    "model_type": "keys with values below it, as `key: value`",
    "dict_type": "names with values below it, as `name: value`",
    "list_type": "a list, as [a, b]",
    "tuple_type": "a list, as [a, b]",
}


def complaints(
    error: ValidationError, section: type[BaseModel], where: str, written: Mapping[Place, str]
) -> Iterator[str]:
    """A line for each wrong key.

    Args:
        error: What validation found.
        section: What was expected.
        where: The file's name.
        written: How the words were written that YAML does not read as text, by their place.
    """
    for problem in error.errors():
        place = problem["loc"]
        key = _key(place)
        if problem["type"] == "extra_forbidden":
            yield f"{where}: unknown key `{key}`{_known(section, place)}"
        elif problem["type"] == "missing":
            yield f"{where}: key `{key}` is missing"
        else:
            yield f"{where}: {f'`{key}`: ' if key else ''}{_wrong(problem, written.get(place))}"


def switches(values: Any, checked: Any, where: str, written: Mapping[Place, str], place: Place = ()) -> Iterator[str]:
    """A line for each true or false that validation took for a number, as `seeds: [yes]` would be 1."""
    if isinstance(values, bool) and isinstance(checked, list):  # a single value that needs no list
        yield from switches(values, checked[0], where, written, place)
    elif isinstance(values, bool) and not isinstance(checked, bool):
        yield f"{where}: `{_key(place)}`: a number is expected; {_read_as(values, written.get(place))}"
    elif isinstance(values, Mapping):
        for key, value in values.items():
            below = getattr(checked, key, None) if isinstance(checked, BaseModel) else checked[key]
            yield from switches(value, below, where, written, (*place, key))
    elif isinstance(values, list | tuple) and isinstance(checked, list | tuple):
        for number, (value, below) in enumerate(zip(values, checked, strict=True)):
            yield from switches(value, below, where, written, (*place, number))


def _key(place: Place) -> str:
    return ".".join(str(part) for part in place if part != "[key]")  # pydantic's word for a name below a key


def _wrong(problem: Any, word: str | None) -> str:
    """The sentence on a value, which YAML may have read from an unquoted ``word``."""
    value, kind = problem["input"], problem["type"]
    if value is None and kind == "string_type":
        return "is empty; a text is expected"
    if kind == "string_type":
        return f"a text is expected; {_read_as(value, word)}"
    if kind in _EXPECTED:
        return f"{_EXPECTED[kind]}, not {_shown(value)}"
    if kind in _LIMITS:
        limit, must = _LIMITS[kind]
        return f"must be {must.format(problem['ctx'][limit])}, not {_shown(value)}"
    if kind == "too_short":
        return f"has {problem['ctx']['actual_length']}, and needs {problem['ctx']['min_length']} or more"
    if value is None and kind in _KINDS:
        return f"is empty; expected {_KINDS[kind]}"
    if kind in _KINDS:
        return f"expected {_KINDS[kind]}, not {_shown(value)}"
    if kind == "string_pattern_mismatch":
        pattern = problem["ctx"]["pattern"]
        return f"{_shown(value)} must be {_CALLED.get(pattern, f'of the form {pattern}')}"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if kind == "literal_error":
        expected = problem["ctx"]["expected"]
        known = re.findall(r"'([^']*)'", expected)
        found = hint(value, known) if isinstance(value, str) else f"; {_read_as(value, word)}"
        return f"expected {expected}, not {_shown(value)}{found}"
    return message


def _read_as(value: Any, word: str | None) -> str:
    """What YAML made of a word, and what helps."""
    if isinstance(value, Mapping | list | tuple):
        return f"not {_shown(value)}"
    if word is None:  # not from a file
        return f"{reading(value)} was read, which YAML also makes of unquoted words such as `yes` and `no`"
    return f'YAML reads `{word}` as {reading(value)}; where a text is meant, quotes help: "{word}"'


def _shown(value: Any) -> str:
    """A value as a message quotes it, not too long."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _known(section: type[BaseModel], place: Place) -> str:
    """The keys there are where an unknown one stands, the one probably meant, or the sections that have it."""
    known = known_keys(section, place[:-1])
    if not known:
        return ""
    name = str(place[-1])
    elsewhere = [] if hint(name, known) else [found for found, keys in _sections(section) if name in keys]
    home = f" (it is a key of {' and '.join(f'`{found}`' for found in elsewhere[:3])})" if elsewhere else ""
    return f"{hint(name, known)}{home}; known keys are {', '.join(known)}"


def known_keys(section: type[BaseModel] | None, place: Place) -> list[str]:
    """Keys of the section that ``place`` leads to from ``section``; [] when it leads elsewhere."""
    for part in place:  # numbers of list entries and names stay within the section
        if field := section.model_fields.get(str(part)):
            section = _below(field.annotation)
        if section is None:
            return []
    return list(section.model_fields)


def _below(annotation: Any) -> type[BaseModel] | None:
    """The section that a key holds, alone, in a list or by names; None where it holds none."""
    inner = [a for a in (annotation, *getattr(annotation, "__args__", ())) if isinstance(a, type)]
    return next((a for a in inner if issubclass(a, BaseModel)), None)


def _sections(section: type[BaseModel], path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Every section below one, by its keys joined with dots, and its keys."""
    for key, field in section.model_fields.items():
        if found := _below(field.annotation):
            yield f"{path}{key}", list(found.model_fields)
            yield from _sections(found, f"{path}{key}.")

"""YAML that says each thing once, and means what it seems to mean.

PyYAML keeps the last of two equal keys and says nothing, reads `no` as false, `010` as 8 and `1:30` as 90. Here a key
that stands twice, a key that is no text, and a number of another base than ten or sixteen are errors that name the
line. What an unquoted word was read as is kept, so that a later complaint can tell why `language: no` is no text.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tdro.errors import UserError

#: A key's place: names of keys and numbers of list entries, from the top.
Place = tuple[str | int, ...]

_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
# What may be half of a character that JSON writes as two escapes.
_HALVES = re.compile(r"\\u[dD][89a-fA-F]")
# Bytes of a file that is read at all, and characters of one in YAML, of which a second reads about 50,000.
_LARGEST, _LONGEST = 1 << 26, 1 << 22
# Values of a document where each alias stands for what it names: nine lines can make a billion of them.
_MOST_VALUES = 1_000_000
# YAML 1.1 reads 010 as eight and 1:30 as ninety.
_SURPRISING = re.compile(r"[-+]?(0_*[0-7][0-7_]*|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")


class Document(NamedTuple):
    """What a text says, and how its unquoted words that are no text were written, by their place."""

    values: Any
    written: dict[Place, str]


def read_file(path: str | Path) -> Document:
    """The content of a file.

    Raises:
        UserError: when it cannot be read, or as :func:`read` does.
    """
    try:
        _check_size(path, Path(path).stat().st_size, _LARGEST)
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not YAML: byte {error.start} is not UTF-8; save the file as UTF-8.") from None
    return read(text, str(path))


def read(text: str, where: str) -> Document:
    """The content of a text in YAML or JSON.

    Args:
        text: One document.
        where: The file's name, for messages.

    Raises:
        UserError: with a line for each thing that is wrong, naming ``where`` and the line.
    """
    try:
        return Document(read_json(text, where), {})
    except (ValueError, RecursionError):  # no JSON
        pass
    _check_size(where, len(text), _LONGEST)
    try:
        return _yaml(text, where)
    except yaml.MarkedYAMLError as error:
        raise UserError(f"{where} is not YAML: {_syntax(error)}") from None
    except (yaml.YAMLError, ValueError) as error:  # a character or a date that there is not
        raise UserError(f"{where} is not YAML: {' '.join(str(error).split())}.") from None
    except RecursionError:
        raise UserError(f"{where} is not YAML that can be read: it is nested too deeply.") from None


def _check_size(where: object, size: int, most: int) -> None:
    if size > most:
        raise UserError(
            f"{where} is {size / 1e6:,.0f} MB long, which no file of settings is; name the file that was meant."
        )


def read_json(text: str, where: str) -> Any:
    """The content of a text in JSON.

    Raises:
        UserError: when a key stands twice.
        ValueError: when it is no JSON, or holds half of a character.
    """
    try:
        value = json.loads(text, object_pairs_hook=_once)
        _refuse_halves(value, text)
        return value
    except _TwiceError as error:
        twice = str(error)
    # YAML tells the lines, unless a key is too long for it. JSON may be indented by tabs; its strings hold none.
    with contextlib.suppress(yaml.YAMLError):
        _yaml(text.replace("\t", " "), where)
    raise UserError(f"{where}: `{twice}` stands twice; keep one of them.")


def _refuse_halves(value: Any, text: str) -> None:
    """Raises ValueError: where the value of a text holds half of a character, which no file can hold."""
    if _HALVES.search(text):
        try:
            json.dumps(value, ensure_ascii=False, default=str, skipkeys=True).encode()
        except UnicodeEncodeError as error:
            half = ord(error.object[error.start])
            raise ValueError(f"it holds half of a character, \\u{half:04x} without its other half") from None


class _TwiceError(Exception):
    """A key stands twice in an object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs, where no key repeats."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _TwiceError(key)
        found[key] = value
    return found


def _yaml(text: str, where: str) -> Document:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        _refuse_bombs(node, where)
        problems = sorted(_problems(node, set()))
        if problems:
            raise UserError("\n".join(f"{where}, line {line}: {problem}." for line, problem in problems))
        values = loader.construct_document(node) if node else None
        _refuse_halves(values, text)
        return Document(values, dict(_written(node, (), set())))
    finally:
        loader.dispose()


def _refuse_bombs(node: yaml.Node | None, where: str) -> None:
    """Raises UserError: for a document whose aliases repeat one another until no memory holds it."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        """Values below a node, those of aliases each time; of one that holds itself, those until it comes again."""
        if id(node) not in sizes:
            sizes[id(node)] = 1
            below = node.value if isinstance(node, yaml.CollectionNode) else []
            parts = (part for entry in below for part in (entry if isinstance(entry, tuple) else (entry,)))
            sizes[id(node)] = 1 + sum(map(size, parts))
        return sizes[id(node)]

    if node is not None and size(node) > _MOST_VALUES:
        raise UserError(
            f"{where}: its aliases (`*name`) stand for {sizes[id(node)]:,} values; write out what is meant, at most "
            f"{_MOST_VALUES:,}."
        )


def _problems(node: yaml.Node | None, seen: set[int]) -> Iterator[tuple[int, str]]:
    """What is wrong below a node, each behind its line; a node that is referred to again is looked at once."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield from _keys(node)
        for key, value in node.value:
            yield from _problems(key, seen)
            yield from _problems(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _problems(value, seen)
    elif isinstance(node, yaml.ScalarNode):
        yield from _value(node)


def _value(node: yaml.ScalarNode) -> Iterator[tuple[int, str]]:
    if not _fits(node):
        yield _line(node), f"`{node.value}` is none of the kind `!!{node.tag.rpartition(':')[2]}`; take that away"
    elif node.tag in _NUMBERS and node.style is None and _SURPRISING.fullmatch(node.value):
        meant = _read(node)
        yield (
            _line(node),
            f'YAML reads `{node.value}` as {meant}; write {meant} if that is meant, or "{node.value}" in quotes '
            "where it is text",
        )


def _fits(node: yaml.ScalarNode) -> bool:
    """Whether a value is one of the kind that a tag before it names, as in ``!!int four``."""
    if node.tag not in (_TEXT, _MERGE):
        try:
            yaml.constructor.SafeConstructor().construct_object(node)
        except (AttributeError, LookupError):  # what PyYAML raises where it takes a value for right
            return False
    return True


def _keys(node: yaml.MappingNode) -> Iterator[tuple[int, str]]:
    first: dict[str, int] = {}
    for key, _ in node.value:
        line = _line(key)
        if not isinstance(key, yaml.ScalarNode):
            yield line, "a list or mapping stands where a key is expected"
        elif key.tag not in (_TEXT, _MERGE):
            yield line, f'YAML reads the key `{key.value}` as {reading(_read(key))}; write it in quotes: "{key.value}"'
        elif key.value in first:
            yield line, f"`{key.value}` stands here a second time, after line {first[key.value]}; keep one of them"
        else:
            first[key.value] = line


def _written(node: yaml.Node | None, place: Place, above: set[int]) -> Iterator[tuple[Place, str]]:
    """The unquoted words below a node that YAML does not read as text."""
    if node is None or id(node) in above:
        return
    if isinstance(node, yaml.ScalarNode):
        if node.tag != _TEXT and node.style is None:
            yield place, node.value
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _written(value, (*place, number), above | {id(node)})
    else:
        for key, value in node.value:
            yield from _written(value, (*place, key.value), above | {id(node)})


def reading(value: Any) -> str:
    """What YAML made of a word, as a sentence says it."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    return f"the {type(value).__name__} {value}"


def _read(node: yaml.ScalarNode) -> Any:
    """What YAML makes of a word."""
    try:
        return yaml.safe_load(node.value)
    except (yaml.YAMLError, ValueError):
        return node.value


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _syntax(error: yaml.MarkedYAMLError) -> str:
    """One sentence on a text that YAML cannot read: the line, what is wrong, and the usual cause."""
    mark = error.problem_mark or error.context_mark
    line = f"line {mark.line + 1}: " if mark else ""
    problem = " ".join(str(error.problem or error.context).split())
    if "'\\t'" in problem:
        return f"{line}a tab stands where only spaces may; indent by spaces."
    if "mapping values are not allowed" in problem:
        return f"{line}a second `:` in one line, or a wrong indentation; quote a text that holds `: `."
    if "block end" in problem or "block mapping" in str(error.context or ""):
        return f"{line}wrong indentation ({problem}); the keys of one section begin in the same column."
    return f"{line}{problem}; texts with `: `, ` #` or brackets want quotes."

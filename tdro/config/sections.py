"""What every part of the configuration has in common: validation, and errors that name the key."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.fields import FieldInfo

from tdro.artifacts import strictyaml
from tdro.artifacts.strictyaml import Place
from tdro.config.complaints import PATTERNS, complaints, switches
from tdro.config.localpaths import expanded, no_variable
from tdro.errors import UserError

# Names become folder names and Snakemake wildcards, so neither slashes nor spaces are possible.
Name = Annotated[str, StringConstraints(pattern=PATTERNS["name"][0])]
Text = Annotated[str, StringConstraints(pattern=PATTERNS["text"][0])]
# A local file or folder, or a model's name, which may be that of a folder.
LocalPath = Annotated[Text, AfterValidator(expanded)]
Reference = Annotated[Text, AfterValidator(no_variable)]
Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Checksum = Annotated[str, StringConstraints(pattern=PATTERNS["checksum"][0])]


def as_name(text: str, joint: str = "_") -> str:
    """A text as a name may be, with ``joint`` for whatever no name has; empty where nothing is left."""
    return re.sub(r"[^A-Za-z0-9_.-]+", joint, text).strip("_.-")


def same_folder(names: Iterable[str]) -> str | None:
    """What is wrong with two names that differ in case alone: some disks (macOS, Windows) take them for one folder.

    None where no two do.
    """
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(name.casefold(), name)
        if other != name:
            return f"{other!r} and {name!r} differ in case alone and are one folder on some disks; rename one"
    return None


class Unwatched:
    """Marks a key that changes no result, such as how often a training writes checkpoints: a change reruns nothing."""


def _is_unwatched(field: FieldInfo) -> bool:
    return any(mark is Unwatched for mark in field.metadata)


def _described(schema: dict[str, Any], section: type["Section"]) -> None:
    """Descriptions as JSON schemas have them: the docstrings that stand below keys, without their line breaks."""
    for key, described in schema.get("properties", {}).items():
        if "description" in described:
            told = [described["description"]]
            told += ["A change reruns nothing."] if _is_unwatched(section.model_fields[key]) else []
            described["description"] = " ".join(" ".join(told).split())


class Section(BaseModel):
    """A part of the configuration. Unknown keys are errors; values never change once read.

    A docstring below a key is its description, in the JSON schema as in config/README.md.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        json_schema_extra=_described,
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_takes_defaults(cls, values: Any) -> Any:
        """A section or list whose lines are all commented out is null in YAML: it has its defaults."""
        if not isinstance(values, Mapping):
            return values
        empty = {key for key, value in values.items() if value is None and _has_default(cls.model_fields.get(key))}
        return {key: value for key, value in values.items() if key not in empty} if empty else values

    def watched(self) -> dict[str, Any]:
        """The values that decide a result, as JSON has them: those of all keys but the :class:`Unwatched` ones."""
        return _watched(self, self.model_dump(mode="json"))


def _watched(value: Any, dumped: Any) -> Any:
    """``dumped``, which is ``value`` as JSON has it, without what is marked in any section of it."""
    if isinstance(value, Section):
        fields = type(value).model_fields
        kept = [key for key in dumped if not _is_unwatched(fields[key])]
        return {key: _watched(getattr(value, key), dumped[key]) for key in kept}
    if isinstance(value, Mapping):
        return {str(key): _watched(part, dumped[str(key)]) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_watched(part, told) for part, told in zip(value, dumped, strict=True)]
    return dumped


def _has_default(field: FieldInfo | None) -> bool:
    """Whether a key holds a section, a list or names, none of which null stands for, and may be left out."""
    if field is None or field.is_required():
        return False
    kind = get_origin(field.annotation) or field.annotation
    return isinstance(kind, type) and issubclass(kind, Section | list | tuple | dict)


SectionType = TypeVar("SectionType", bound=Section)


def cut(entry: Section, section: type[SectionType]) -> SectionType:
    """The keys of a larger entry that ``section`` has."""
    return section(**{key: getattr(entry, key) for key in section.model_fields})


def parse(
    section: type[SectionType], values: Any, where: str, written: Mapping[Place, str] | None = None
) -> SectionType:
    """Validate ``values`` as ``section``.

    Args:
        section: What is expected.
        values: What was read.
        where: The file's name, for messages.
        written: How the words were written that YAML does not read as text, by their place.

    Raises:
        UserError: with one line a wrong key, naming ``where`` and the key.
    """
    written = written or {}
    try:
        checked = section.model_validate(values)
    except ValidationError as error:
        raise UserError("\n".join(complaints(error, section, where, written))) from None
    wrong = list(switches(values, checked, where, written))
    if wrong:
        raise UserError("\n".join(wrong))
    return checked


def load(path: str | Path, section: type[SectionType]) -> SectionType:
    """Read and validate a YAML file."""
    document = strictyaml.read_file(path)
    return parse(section, document.values, str(path), document.written)


def settings(section: type[SectionType], text: str | None) -> SectionType:
    """The section written in ``text`` (YAML, hence also JSON), in the file that ``@FILE`` names, or its defaults."""
    if text and text.startswith("@"):
        return load(Path(text[1:]).expanduser(), section)
    document = strictyaml.read(text or "{}", "--settings")
    return parse(section, document.values, "--settings", document.written)

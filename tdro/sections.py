"""What every part of the configuration has in common: validation, and errors that name the key."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from tdro.errors import UserError

# Names become folder names and Snakemake wildcards, so neither slashes nor spaces are possible.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Checksum = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Section(BaseModel):
    """A part of the configuration. Unknown keys are errors; values never change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


SectionType = TypeVar("SectionType", bound=Section)


def parse(section: type[SectionType], values: Any, where: str) -> SectionType:
    """Validate ``values`` as ``section``.

    Raises:
        UserError: with one line a wrong key, naming ``where`` and the key.
    """
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise UserError(_sentence(error, section, where)) from None


def load(path: str | Path, section: type[SectionType]) -> SectionType:
    """Read and validate a YAML file."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    return parse(section, values, str(path))


def settings(section: type[SectionType], text: str | None) -> SectionType:
    """The section written in ``text`` (YAML, hence also JSON), in the file that ``@FILE`` names, or its defaults."""
    if text and text.startswith("@"):
        return load(text[1:], section)
    try:
        values = yaml.safe_load(text or "{}")
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"--settings is not YAML: {' '.join(str(error).split())}") from None
    return parse(section, values, "--settings")


def _sentence(error: ValidationError, section: type[Section], where: str) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            parent = problem["loc"][:-1]
            known = _known_keys(section, parent)
            hint = f"; known keys are {', '.join(known)}" if known else ""
            lines.append(f"{where}: unknown key `{key}`{hint}")
        elif problem["type"] == "missing":
            lines.append(f"{where}: key `{key}` is missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            message = message[:1].lower() + message[1:]
            lines.append(f"{where}: {f'`{key}`: ' if key else ''}{message}")
    return "\n".join(lines)


def _known_keys(section: Any, loc: tuple) -> list[str]:
    """Keys of the section that ``loc`` leads to from ``section``; [] when it leads elsewhere."""
    for part in loc:
        field = getattr(section, "model_fields", {}).get(part)
        candidate = field.annotation if field else section
        inner = [a for a in (candidate, *getattr(candidate, "__args__", ())) if isinstance(a, type)]
        section = next((a for a in inner if issubclass(a, Section)), None) or (section if not field else None)
        if section is None:
            return []
    return list(getattr(section, "model_fields", {}))

"""JSON of other programs, such as the files of a model: what they wrote, and what is written for them."""

import json
from pathlib import Path
from typing import Any

from tdro.artifacts.files import json_text, replacing
from tdro.artifacts.shapes import said
from tdro.errors import UserError

_CALLED = {dict: "JSON object", list: "list in JSON"}


def read_foreign(file: Path, kind: type[dict] | type[list] = dict) -> Any:
    """The object or list of a file; empty where there is no file.

    Raises:
        UserError: when it is something else.
    """
    if not file.is_file():
        return kind()
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{file} cannot be read: it is cut off or no JSON ({said(error)}); get the file anew."
        ) from None
    if not isinstance(content, kind):
        raise UserError(f"{file} cannot be read: expected a {_CALLED[kind]}; get the file anew.")
    return content


def write_foreign(file: Path, value: Any) -> None:
    """Write a value as indented JSON, without a seal, which other programs may not expect."""
    with replacing(file) as temporary:
        temporary.write_text(json_text(value), encoding="utf-8")

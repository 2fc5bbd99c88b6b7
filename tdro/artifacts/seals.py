"""What every artifact says of itself: the number of its format, the version that wrote it, and a checksum.

A Parquet file says it in its footer and in a record before it (:mod:`tdro.artifacts.parquetsums`), a JSON object under
its last key:

    "written": {"format": 2, "tdro": "0.9.0", "crc32": "1c291ca3"}

The checksum of an object is that of its content, so that blanks and line breaks do not count.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tdro import __version__
from tdro.artifacts.makers import maker
from tdro.errors import UserError

#: Grows when a file of before would be read wrongly, or lacks what a reader verifies. A file of another format is
#: refused. Format 1 had no checksums.
FORMAT = 2
#: The key of a JSON object that holds its seal.
WRITTEN = "written"


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """An object with its seal as the last key."""
    seal = {"format": FORMAT, "tdro": __version__}
    return {**value, WRITTEN: {**seal, "crc32": _checksum(value, seal)}}


def opened(content: Any, path: str | Path) -> dict[str, Any]:
    """The object of a file of ours without its seal.

    Raises:
        UserError: when it has no seal, one of another format, or another content than was written.
    """
    if not isinstance(content, dict) or WRITTEN not in content:
        raise unknown(path)
    seal = content[WRITTEN]
    value = {key: part for key, part in content.items() if key != WRITTEN}
    if not isinstance(seal, dict) or set(seal) != {"format", "tdro", "crc32"}:
        raise damaged(path)
    check_format(path, seal["format"], seal["tdro"])
    if not _fits(value, seal):
        raise damaged(path)
    return value


def check_format(path: str | Path, found: Any, version: Any) -> None:
    """Compare the number of a file's format with ours.

    Raises:
        UserError: when they differ.
    """
    if found == FORMAT:
        return
    if isinstance(found, int) and found < FORMAT:
        raise UserError(f"{path} was written by an older tDRO ({version}), in another form than now. {again(path)}")
    raise UserError(
        f"{path} was written by tDRO {version}, which is newer than this one ({__version__}). Install that one, or: "
        f"{again(path)}"
    )


def damaged(path: str | Path) -> UserError:
    """What is said of a file that no longer holds what was written."""
    return UserError(f"{path} is damaged: its content is not what was written. {again(path)}")


def unknown(path: str | Path) -> UserError:
    """What is said of a file without a seal."""
    return UserError(
        f"{path} has no checksum: another program or an older tDRO wrote it, or it is damaged. {again(path)}"
    )


def again(path: str | Path) -> str:
    """What to do with a file that cannot be used, with the rule that makes it where the place tells which."""
    made = maker(path)
    if made is None:
        return "Delete the file and let the workflow make it again."
    output = "the file" if made.output == Path(path) else f"the folder {made.output}"
    rules = " or ".join(f"`{rule}`" for rule in made.rules)
    return f"Delete {output} and let the workflow make it again (rule {rules})."


def advice(path: str | Path) -> str:
    """The same for a file that may be a person's: what to do where a rule makes it, else nothing."""
    return f" {again(path)}" if maker(path) else ""


def _fits(value: Mapping[str, Any], seal: Mapping[str, Any]) -> bool:
    try:
        return seal["crc32"] == _checksum(value, {key: part for key, part in seal.items() if key != "crc32"})
    except RecursionError:  # what is nested so deeply can be read, but not written
        return False


def _checksum(value: Mapping[str, Any], seal: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps([value, seal]).encode()):08x}"

"""Paths as people write them in YAML, where no shell reads them: `~` is a home, `$DATA` and addresses are refused."""

import os
import re

# `s3://bucket/x`, `https://...`, `file:///x`
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_VARIABLE = re.compile(r"\$(\w+|\{\w*\}?|\()|%[A-Za-z_]+%")


def expanded(path: str) -> str:
    """A local path with its ``~`` or ``~user`` replaced by that home.

    Raises:
        ValueError: for an address, a variable, or a home that there is not.
    """
    if _ADDRESS.match(path):
        raise ValueError(
            f"{path!r} is an address, and only local files are read; download it and write its path (a dataset of the "
            "Hugging Face hub goes under `hub`)"
        )
    no_variable(path)
    whole = os.path.expanduser(path)  # noqa: PTH111 - keeps what is no home as it is
    if path.startswith("~") and whole == path and not os.path.exists(path):  # noqa: PTH110
        raise ValueError(f"{path!r} begins with the home of a user whom there is not; write the whole path")
    return whole


def no_variable(path: str) -> str:
    """The same path.

    Raises:
        ValueError: when it has a variable, unless a file is called so.
    """
    if (found := _VARIABLE.search(path)) and not os.path.exists(path):  # noqa: PTH110
        raise ValueError(
            f"{path!r} has a variable, `{found[0]}`, which only a shell replaces; write what it stands for"
        )
    return path

"""Writes docs/licences.md: each package of envs/demo.lock with its licence, as its metadata has it (`make lock`)."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE, LOCK = ROOT / "docs/licences.md", ROOT / "envs/demo.lock"
_HEAD = """# Licences

What `make` installs, with the licence that each package states of itself: the packages of `envs/demo.lock`, with their
versions. The data of the demo have licences of their own ([SOURCES.md](../resources/SOURCES.md)). tDRO itself is under
the Apache License 2.0. `make lock` writes this page.

| package | version | licence |
|---|---|---|
"""
# Words of classifiers that say nothing.
_PREFIX = re.compile(r"^License :: (OSI Approved :: )?")
# A licence may stand as its whole text; its name is in the first line.
_LONGEST = 80


def pins() -> dict[str, str]:
    """Version of each locked package."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE))


def licence(package: Distribution) -> str:
    """What a package states: an SPDX expression, or classifiers, or words of its own."""
    said = package.metadata
    if expression := said.get("License-Expression"):
        return expression
    classified = [_PREFIX.sub("", one) for one in said.get_all("Classifier", []) if one.startswith("License ::")]
    words = (said.get("License") or "").strip().splitlines()
    stated = words[0].strip() if words else ""
    return ", ".join(classified) or (stated if 0 < len(stated) <= _LONGEST else _of_file(package))


def _of_file(package: Distribution) -> str:
    """The first line of a licence that a package brings."""
    for file in package.files or ():
        if file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")):
            return file.read_text().strip().splitlines()[0].strip()
    return "not stated"


def lines() -> dict[str, str]:
    """The line of each locked package that is installed here in that version."""
    found = {}
    for name, version in pins().items():
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue
        if package.version == version:
            found[name] = f"| {name} | {version} | {licence(package).replace('|', '/')} |"
    return found


def main() -> None:
    """Write the page, for which all packages must be installed."""
    made = lines()
    if missing := sorted(set(pins()) - set(made)):
        raise SystemExit(f"not installed as envs/demo.lock has them: {', '.join(missing)}")
    PAGE.write_text(_HEAD + "\n".join(made.values()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Looks the packages of envs/demo.lock up among known vulnerabilities, without a network.

    git clone --depth 1 https://github.com/pypa/advisory-database      # once, where there is a network
    .venv/bin/python envs/audit.py advisory-database

The folder holds an advisory a file (OSV, https://ossf.github.io/osv-schema/). It knows what its last commit knows, and
packages of PyPI alone: nothing of what torch or faiss carry inside. The status is 1 where a locked version is affected.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import Version

LOCK = Path(__file__).with_name("demo.lock")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def locked(lock: Path = LOCK) -> dict[str, Version]:
    """Version of each locked package."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in pins}


def advisories(folder: Path, packages: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Advisories of some packages, each behind the package; one that was withdrawn is none."""
    for file in sorted((folder / "vulns").glob("*/*.yaml")):
        if canonicalize_name(file.parent.name) in packages:
            advisory = yaml.load(file.read_text(encoding="utf-8"), _LOADER)
            if "withdrawn" not in advisory:
                yield canonicalize_name(file.parent.name), advisory


def affects(advisory: dict[str, Any], name: str, version: Version) -> bool:
    """Whether a version is one of those that an advisory names, or in one of its ranges."""
    for affected in advisory.get("affected", ()):
        if canonicalize_name(affected["package"]["name"]) != name:
            continue
        if version.public in affected.get("versions", ()) or any(
            _within(entry["events"], version) for entry in affected.get("ranges", ()) if entry["type"] == "ECOSYSTEM"
        ):
            return True
    return False


def _within(events: list[dict[str, str]], version: Version) -> bool:
    inside = False
    for event in events:
        if "introduced" in event:
            inside |= version >= Version(event["introduced"])
        elif "fixed" in event:
            inside &= version < Version(event["fixed"])
        elif "last_affected" in event:
            inside &= version <= Version(event["last_affected"])
    return inside


def main(folder: Path) -> int:
    """Print what affects the locked packages."""
    pins = locked()
    if not (folder / "vulns").is_dir():
        sys.exit(f"{folder} holds no folder vulns; clone https://github.com/pypa/advisory-database there.")
    looked_at, newest, found = defaultdict(int), "", []
    for name, advisory in advisories(folder, set(pins)):
        looked_at[name] += 1
        newest = max(newest, str(advisory.get("modified", ""))[:10])
        if affects(advisory, name, pins[name]):
            found.append(f"{name} {pins[name]}: {advisory['id']} {', '.join(advisory.get('aliases', ()))}")
    print("\n".join(found) or "none of the locked versions is affected")
    total = sum(looked_at.values())
    print(f"{len(pins)} packages; {total} advisories on {len(looked_at)} of them, the last one of {newest}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

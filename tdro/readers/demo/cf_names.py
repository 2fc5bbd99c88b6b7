"""CF standard names: the name of a quantity of climate or ocean -> its description (compliance-checker)."""

import re
from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree

from tdro.readers.archives import Archive
from tdro.readers.base import Passage, Row
from tdro.readers.demo.cleaning import tidy

_TABLE = "compliance_checker/data/cf-standard-name-table.xml"
_SENTENCE_END = re.compile(r"""(?<=[.;])\s+(?=[A-Z"'])""")
# A sentence that more names share explains a word of theirs, such as "tendency", and tells none of them apart.
_MOST_NAMES = 10


def read(archive: Archive) -> Iterator[Row]:
    """Yield a row a name, with those sentences of its description that few others share.

    Names of radioactivity are left out: they say the same of each of some hundred isotopes.
    """
    described = {}
    for entry in ElementTree.fromstring(archive.read(_TABLE)).iter("entry"):
        if "radioactivity" not in entry.get("id", ""):
            text = tidy(entry.findtext("description") or "")
            described[entry.get("id", "")] = list(dict.fromkeys(_SENTENCE_END.split(text)))
    shared = Counter(sentence for sentences in described.values() for sentence in sentences)
    for name, sentences in described.items():
        own = " ".join(sentence for sentence in sentences if shared[sentence] <= _MOST_NAMES)
        if own:
            yield Row(name.replace("_", " "), [Passage(own)])

"""The corpus of a benchmark in its own format to ``corpus.parquet``, once for all query sets that are searched in it.

Unlike training data (:mod:`tdro.data.prepare`) nothing is mended, merged or dropped, for published scores are made so;
only what UTF-8 cannot hold becomes U+FFFD.
"""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import ne
from pathlib import Path

from tdro.artifacts.digests import write_digests
from tdro.artifacts.files import table_writer
from tdro.artifacts.schemas import CORPUS
from tdro.config.data import Data
from tdro.config.registry import Source
from tdro.errors import UserError
from tdro.progress import Progress
from tdro.readers.base import Passage
from tdro.readers.markupseen import MarkupSeen
from tdro.readers.testsets.base import open_testset
from tdro.text.strings import cut

log = logging.getLogger(__name__)

#: Passages written at a time: a bound on memory.
_BLOCK = 1 << 16


def prepare_corpus(name: str, source: Source, part: str | None, data: Data, output: Path) -> None:
    """Write the corpus of a benchmark, streaming.

    Args:
        name: Name of the benchmark, for messages.
        source: Where it lies.
        part: Its part, if it has any and they do not share one corpus.
        data: Passages are cut to ``data.max_words``; published scores need null.
        output: The ``corpus.parquet`` to write.

    Raises:
        UserError: for files that are missing or malformed, or a corpus without passages.
    """
    progress, counts = Progress(f"{name}: read", "passages"), {"passages": 0, "passage cut": 0}
    with table_writer(output, CORPUS, counts) as file:
        documents = MarkupSeen(f"benchmark {name}", source).through(open_testset(source, part).documents())
        for block in _blocks(documents):
            texts, titles, ids = zip(*block, strict=True)
            shown = [cut(text, data.max_words) for text in texts]
            file.append({"passage_id": ids, "title": titles, "text": shown})
            counts["passages"] += len(block)
            counts["passage cut"] += sum(map(ne, texts, shown))
            progress.add(len(block))
        if not counts["passages"]:
            raise UserError(f"benchmark {name}: its source holds no passage.")
    write_digests([output])
    log.info("%s: %d passages, %d of them cut", name, *counts.values())


def _blocks(passages: Iterable[Passage]) -> Iterator[list[Passage]]:
    stream = iter(passages)
    while block := list(islice(stream, _BLOCK)):
        yield block

"""The paper's released training sets: ``{task}.jsonl.tar.gz``, read as a stream and never unpacked.

A line is ``{"query_id", "query", "positive_passages": [{"docid", "title", "text"}], "negative_passages": [...]}``
(dataset ``tdro-llm/finetune_data``).
"""

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from tdro.errors import UserError
from tdro.sources import Row, Split
from tdro.sources.jsonl import rows_of, unreadable


def read(path: Path, split: Split) -> Iterator[Row]:
    """Yield a row a line of every ``.jsonl`` file in the archive, which is one split.

    Raises:
        UserError: for a missing or broken archive, one without such a file, or a line that is no row.
    """
    found = False
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".jsonl"):
                    found = True
                    yield from rows_of(archive.extractfile(member), f"{path}:{member.name}")
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise unreadable(path, error) from None
    if not found:
        raise UserError(f"{path} holds no .jsonl file; expected the released form, one TASK.jsonl in a .tar.gz.")

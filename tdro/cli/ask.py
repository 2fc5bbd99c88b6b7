"""Questions to a trained retriever."""

import sys
from collections.abc import Iterator
from pathlib import Path

from tdro.cli.arguments import argument, command, count
from tdro.errors import UserError


@command(
    "ask",
    argument("model", metavar="MODEL"),
    argument("query", nargs="?"),
    argument("--corpus", type=Path, required=True, metavar="FILE", help="passages to search"),
    argument("--top", type=count, default=5, metavar="N", help="passages to show; default: 5"),
    argument(
        "--prompt",
        metavar="NAME",
        help="prompt of the model that stands before queries; default: its prompt for queries",
    ),
    settings=False,
    made=lambda options: None,
)
def _ask(options) -> None:
    """Find the passages of a corpus that answer a query.

    input    a SentenceTransformer folder (such as results/*/seed*/*/model), a hub id or package:NAME==VERSION/PATH;
             a file of passages: corpus.parquet or another Parquet file with a column `text`, .jsonl (`text`,
             perhaps `title` and `_id`), .tsv (identifier, tab, passage) or .txt (a passage a line)
    output   on a terminal the best passages with the cosines of their embeddings; elsewhere a line each, with tabs
             between query, rank, score, identifier and passage

    Without a query, queries are read from standard input, one a line; on a terminal the command asks for them.
    The model is loaded once. The embeddings of the corpus are kept in the folder ask of $TDRO_CACHE (default:
    ~/.cache/tdro).

    tdro ask results/minilm/seed42/curr/model --corpus results/data/az_cli/heldout/corpus.parquet "stop a machine"
    """
    if options.query is not None and not options.query.strip():
        raise UserError("the query is empty; write what to look for.")
    from rich.console import Console

    from tdro.asking.ask import searcher
    from tdro.asking.hits import embedding, show, table

    output = Console(highlight=False, markup=False, emoji=False)
    with searcher(options.model, options.corpus.expanduser(), options.prompt, embedding()) as asked:
        for query in [options.query] if options.query is not None else _queries():
            hits = asked.best(query, options.top)
            if output.is_terminal:
                show(output, hits)
            else:
                print(table(query, hits), flush=True)


def _queries() -> Iterator[str]:
    """Queries from standard input, as they come."""
    number = 0
    for line in _typed() if sys.stdin.isatty() else sys.stdin.buffer:
        try:
            query = (line if isinstance(line, str) else line.decode("utf-8-sig")).strip()
        except UnicodeDecodeError:
            raise UserError(f"query {number + 1} of standard input is not UTF-8; convert it with iconv.") from None
        if query:
            number += 1
            yield query
    if not number:
        raise UserError("standard input holds no query; write one a line, or behind the corpus.")


def _typed() -> Iterator[str]:
    """What is typed, until an empty line or the end (Ctrl-D)."""
    try:
        while line := input("query> "):
            yield line
    except EOFError:
        print()


COMMANDS = (_ask,)

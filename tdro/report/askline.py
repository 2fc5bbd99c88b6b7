"""A command that asks one of the trained retrievers, to be typed as it stands."""

import shlex
import sys
from pathlib import Path

from tdro.artifacts.files import read_texts
from tdro.artifacts.foreign import read_foreign
from tdro.artifacts.layout import IN_DOMAIN, Layout
from tdro.config.commands import BASELINE, Content

# Characters of a query that is short enough to be an example.
_SHORT = 80


def command(settings: Content, layout: Layout) -> str | None:
    """``tdro ask`` with a trained retriever, the held-out passages of a task, and one of its queries.

    None where a retriever or such passages are not there.
    """
    mixture = settings.challengers[0] if settings.challengers else BASELINE
    model = Path(layout.run(settings.proxy, settings.seeds[0], f"{mixture}/model"))
    if not (model / "modules.json").is_file():
        return None
    for task in settings.benchmarks.get(IN_DOMAIN, []):
        corpus, query = layout.held_out(task, "corpus.parquet"), _query(Path(layout.held_out(task, "queries.parquet")))
        if query and Path(corpus).is_file():
            prompts = _prompts(model)
            prompt = ["--prompt", task] if prompts.get(task, "") != prompts.get("query", "") else []
            return shlex.join([*_program(), "ask", str(model), "--corpus", corpus, *prompt, query])
    return None


def _query(queries: Path) -> str | None:
    """The first query that fits a line."""
    found = read_texts(queries, "query") if queries.is_file() else iter(())
    return next((query for query in found if len(query) <= _SHORT and query.isprintable() and query.strip()), None)


def _prompts(model: Path) -> dict[str, str]:
    return read_foreign(model / "config_sentence_transformers.json").get("prompts", {})


def _program() -> list[str]:
    """``tdro`` of the environment that this process runs in, as it is called from the working folder."""
    program = Path(sys.executable).with_name("tdro")
    if not program.is_file():
        return [sys.executable, "-m", "tdro"]
    return [str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program)]

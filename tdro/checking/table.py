"""What was found, as a terminal shows it."""

from collections.abc import Iterator

from tdro.checking.check import Checked
from tdro.checking.cuttexts import Cut
from tdro.checking.facts import Facts
from tdro.checking.findings import Finding
from tdro.config.registry import Source
from tdro.config.templates import columns_of as named_columns
from tdro.forecast import table as forecast_table
from tdro.forecast.forecast import Forecast
from tdro.formats import abridged
from tdro.readers.peek import columns_of, is_empty
from tdro.report.plain import plain, plain_table

_HEADINGS = ("dataset", "rows", "queries", "passages", "words", "languages", "cut")
# Languages that a cell names, and the share that one needs; columns that a line names.
_LANGUAGES, _LEAST, _COLUMNS = 3, 0.01, 12


def text(checked: Checked) -> str:
    """All of it: datasets, their columns, mixtures, time, and what is odd."""
    return "\n".join(
        [
            plain(_datasets(checked)).rstrip(),
            "rows: a + says that there may be more. queries, passages: distinct ones among the rows looked at.\n"
            "words: of a query, of a passage. languages: by script and function words.\n"
            f"cut: queries and passages that {checked.proxy} reads only in part.",
            *_columns(checked),
            "",
            *([plain(_mixtures(checked)).rstrip(), *_later(checked)] if checked.shares else []),
            *([time(checked.forecast), ""] if checked.forecast else []),
            *(f"- {sentence}" for sentence in checked.said),
            verdict(checked.findings),
        ]
    )


def _datasets(checked: Checked):
    shown = plain_table()
    for at, heading in enumerate(_HEADINGS):
        shown.add_column(heading, justify="left" if at in (0, 5) else "right", overflow="fold")
    for facts in checked.facts:
        shown.add_row(*_cells(facts, checked.cuts[facts.look.name], checked.proxy))
    return shown


def _cells(facts: Facts, cuts: list[Cut], proxy: str) -> tuple[str, ...]:
    look = facts.look
    if look.wrong or look.absent:
        return look.name, "none" if look.wrong else "not here", *[""] * 5
    own = {cut.side: f"{cut.share:.0%}" for cut in cuts if cut.model == proxy}
    told = facts.languages.total()
    common = [(name, number / told) for name, number in facts.languages.most_common(_LANGUAGES)]
    spoken = [f"{name} {share:.0%}" for name, share in common if share >= _LEAST]
    return (
        look.name,
        f"{look.rows:,}{'' if look.ended else '+'}",
        f"{len(facts.queries):,}",
        f"{len(facts.passages):,}",
        f"{facts.query_words:.0f}, {facts.passage_words:.0f}",
        ", ".join(spoken),
        f"{own.get('queries', '')}, {own.get('passages', '')}",
    )


def _columns(checked: Checked) -> Iterator[str]:
    """A line on the columns of each table: those that are read, with the share of empty cells, and the others."""
    for facts in checked.facts:
        if facts.look.records:
            yield f"{facts.look.name}: {columns(facts.look.entry.source, facts.look.records)}"


def columns(source: Source, records: list[dict]) -> str:
    """What the columns of some records are taken for, and which are left."""
    has, used = columns_of(records), {}
    for role, named in source.columns.model_dump(exclude_none=True).items():
        for column in named_columns([named]):
            used.setdefault(column, []).append(role)
    for column in source.where:
        used.setdefault(column, []).append("where")
    told = []
    for column, roles in used.items():
        empty = sum(is_empty(record.get(column)) for record in records)
        share = f", {empty / len(records):.0%} empty" if empty else ""
        told.append(f"{column} ({' and '.join(roles)}{share})")
    left = [column for column in has if column not in used]
    return f"columns {', '.join(told)}" + (f"; not read: {abridged(left, _COLUMNS)}" if left else "")


def _mixtures(checked: Checked):
    """Shares of the tasks, with how often a training goes over each."""
    shown = plain_table()
    shown.add_column("task")
    shown.add_column("queries", justify="right")
    known = [name for name, found in checked.shares.items() if found is not None]
    for name in known:
        shown.add_column(name, justify="right", overflow="fold")
    for task, (size, more) in checked.sizes.items():
        cells = [
            f"{checked.shares[name][task]:.0%} ({checked.shares[name][task] * checked.rows[name] / size:.1f}x)"
            for name in known
        ]
        shown.add_row(task, f"{size:,}{'+' if more else ''}", *cells)
    return shown


def _later(checked: Checked) -> Iterator[str]:
    yield "Share of a training's rows, and how often it goes over the task."
    if learnt := [name for name, found in checked.shares.items() if found is None]:
        yield f"Told by the run itself: {', '.join(learnt)}."


def time(forecast: Forecast) -> str:
    """How long a run takes."""
    return forecast_table.line(forecast)


def verdict(found: list[Finding]) -> str:
    """All findings, a line each, and how many there are."""
    lines = [f"{'error' if one.fatal else 'warning'}: {one.dataset}: {one.text}" for one in found]
    fatal = sum(one.fatal for one in found)
    if not found:
        return "Nothing odd was found."
    ends = f"{fatal} of these stop a run." if fatal else "None of these stops a run."
    return "\n".join([*lines, ends])

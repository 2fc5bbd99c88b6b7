"""Tables of scores in the terminal: plain ASCII, at most 120 columns wide."""

from collections.abc import Sequence

from rich.table import Table

from tdro.config.commands import BASELINE, Content
from tdro.formats import count, listed, percent, plural, signed
from tdro.report.plain import plain, plain_table
from tdro.report.scores.comparison import bounds
from tdro.report.scores.controls import Controlled
from tdro.report.scores.gains import Gain
from tdro.report.scores.previews import sentence
from tdro.report.scores.queries import UNTRAINED
from tdro.report.scores.rows import Results, Row
from tdro.report.scores.tables import cell, columns, main_metrics

# Mixtures beside the baseline that fit the terminal's width.
_MIXTURES_A_TABLE = 2


def scores(settings: Content, results: Results) -> str:
    """Each benchmark (rows) and mixture (columns), some mixtures a table."""
    blocks = [
        settings.challengers[start : start + _MIXTURES_A_TABLE]
        for start in range(0, max(1, len(settings.challengers)), _MIXTURES_A_TABLE)
    ]
    metric = main_metrics(settings, results)
    parts: list[str | Table] = []
    if settings.untrained:
        parts.append(f"{UNTRAINED}, {metric}")
        parts.append(_table(settings, results, [(name, UNTRAINED, name) for name in settings.untrained]))
    for model in settings.models:
        parts.append(
            f"{model}, {metric}, {plural(len(settings.seeds), 'seed')} ({', '.join(map(str, settings.seeds))})"
        )
        for challengers in blocks:
            parts.append(_table(settings, results, [(model, m, m) for m in (BASELINE, *challengers)]))
    notes = [_note(settings)] if settings.challengers else []
    return plain(*parts, *notes, *filter(None, [sentence(settings)]))


def _note(settings: Content) -> str:
    level = settings.report.confidence
    over = "queries and seeds" if len(settings.seeds) > 1 else "queries"
    return (
        f"Differences are to {BASELINE}, with {percent(level)} intervals over {over}; * marks p < {1 - level:.2g}, "
        "corrected (Holm) for all comparisons of a model, and an interval without zero."
    )


def _table(settings: Content, results: Results, retrievers: list[tuple[str, str, str]]) -> Table:
    """One column a retriever: its model, its mixture, its heading."""
    table = plain_table()
    table.add_column("benchmark", overflow="fold")
    table.add_column("queries", justify="right")
    for _, _, heading in retrievers:
        table.add_column(heading, no_wrap=True)
    for column in columns(settings):
        rows = [results.find(model, mixture, column.benchmark) for model, mixture, _ in retrievers]
        table.add_row(column.heading, count(rows[0].queries), *map(_cell, rows))
    return table


def _cell(row: Row) -> str:
    shown = cell(row)
    mark = "*" if shown.verdict in ("gain", "loss") else ""
    return " ".join(part for part in (shown.score, shown.difference, shown.interval, mark) if part)


def gains(settings: Content, found: Sequence[Gain]) -> str:
    """A table a model: a line an average, a column an untrained retriever."""
    parts: list[str | Table] = []
    for model in dict.fromkeys(gain.model for gain in found):
        table = plain_table()
        table.add_column("benchmark")
        for name in settings.untrained:
            table.add_column(name, no_wrap=True)
        for heading in dict.fromkeys(gain.heading for gain in found):
            cells = [_gain(gain) for gain in found if (gain.model, gain.heading) == (model, heading)]
            if cells:
                table.add_row(heading, *cells)
        parts += [f"{model}, what training on {BASELINE} has gained over", table]
    return plain(*parts)


def controls(found: Sequence[Controlled]) -> str:
    """A table a model: a line a mixture and kind of control, a column an average."""
    parts: list[str | Table] = []
    for model in dict.fromkeys(one.model for one in found):
        mine = [one for one in found if one.model == model]
        table = plain_table()
        table.add_column("mixture against", overflow="fold")
        for heading in dict.fromkeys(one.heading for one in mine):
            table.add_column(heading, no_wrap=True)
        for control in dict.fromkeys(one.control for one in mine):
            cells = [_gain(one) for one in mine if one.control == control]
            table.add_row(f"{control.mixture} against {listed(list(control.pooled))}", *cells)
        parts += [f"{model}, against controls", table]
    return plain(*parts)


def _gain(gain: Gain | Controlled) -> str:
    mark = "" if gain.judged.verdict == "unclear" else " *"
    return f"{signed(gain.judged.difference.mean)} {bounds(gain.judged.difference)}{mark}"

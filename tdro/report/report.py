"""The report: one self-contained HTML page, a CSV, and a table for the terminal.

    print(build(content, Layout("results"), "logs", Path("index.html"), Path("results.csv")))

The same inputs give the same bytes.
"""

import logging
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from tdro import formats
from tdro.artifacts.files import replacing
from tdro.artifacts.layout import IN_DOMAIN, Layout
from tdro.config.commands import BASELINE, Content
from tdro.report import askline, glossary
from tdro.report.scores import (
    answer,
    controls,
    curve,
    examples,
    forest,
    gains,
    previews,
    price,
    queries,
    reading,
    rows,
    soups,
    tables,
    terminal,
)
from tdro.report.stages import costs, counts, cuttexts, duplicates, forecasts, jobs, leaks
from tdro.report.weights import courses, experts, heaviest, shares, stability, sweep, why

log = logging.getLogger(__name__)

_PACKAGES = ("tdro", "torch", "transformers", "sentence-transformers", "mteb", "snakemake", "numpy")


def build(settings: Content, layout: Layout, logs: str, html: Path, csv: Path) -> str:
    """Write the report and return its summary for the terminal.

    Args:
        settings: What the report covers.
        layout: Where the results lie.
        logs: Folder of Snakemake's benchmark files, ``LOGS/RULE/ANYTHING.tsv``.
        html: Page to write.
        csv: Table to write, one row a model, mixture, seed, dataset and metric.

    Returns:
        A table of the main metrics, plain ASCII, at most 120 columns wide; the place of the page; and a command that
        asks one of the retrievers.

    Raises:
        UserError: for a missing or wrong input, naming it.
    """
    retrievers = queries.read(settings, layout)
    spent = costs.spent(settings, Path(logs))
    settings = settings.model_copy(update={"sampled": queries.previews(settings, layout)})
    results = rows.collect(settings, retrievers)
    log.info("compared %d scores", len(results.rows))
    gained, controlled = gains.collect(settings, retrievers), controls.collect(settings, retrievers, results)
    view = (
        _about_scores(settings, layout, retrievers, results, gained, controlled)
        | _about_soups(settings, layout, results)
        | _about_weights(settings, layout)
        | _about_stages(settings, layout, logs)
    )
    page = (
        _environment().get_template("report.html.j2").render(settings=settings, baseline=BASELINE, costs=spent, **view)
    )
    rows.write_csv(csv, settings, results)
    with replacing(html) as temporary:
        temporary.write_text(page, encoding="utf-8")
    asked = askline.command(settings, layout)
    shown = terminal.scores(settings, results) + terminal.gains(settings, gained) + terminal.controls(controlled)
    return f"{shown}Report: {html}" + (f"\nAsk a model: {asked}" if asked else "")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tdro.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: formats.visible(value) if type(value) is str else value,
    )
    environment.filters.update(
        coded=_coded, count=formats.count, listed=formats.listed, percent=formats.percent, sections=_sections
    )
    environment.filters.update(weight=formats.weight, loss=formats.loss)
    environment.globals["plural"] = formats.plural
    return environment


def _coded(sentence: str) -> Markup:
    """A sentence whose words between backticks are code."""
    parts = [escape(part) for part in formats.visible(sentence).split("`")]
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


def _sections(page: str) -> list[tuple[str, str]]:
    """Anchor and heading of each section of a page."""
    return re.findall(r'<section id="([^"]+)">\s*<h2>([^<]+)</h2>', page)


def _about_scores(
    settings: Content,
    layout: Layout,
    retrievers: Mapping[queries.Name, queries.Retriever],
    results: rows.Results,
    gained: list[gains.Gain],
    controlled: list[controls.Controlled],
) -> dict:
    """What the template shows of scores."""
    main = (tables.main_metrics(settings, results), tables.by_mixture(settings, results))
    others = [
        (formats.METRIC_NAMES[metric], tables.by_mixture(settings, results, metric))
        for metric in tables.further_metrics(settings, results)
    ]
    compared = settings.models if settings.challengers else []
    found = answer.answers(settings, layout, results, gained, controlled)
    shown = {one.model: one.shown for one in found if one.shown}
    return {
        "corrected": any("Holm" in cell.p for group in main[1] for line in group.lines for cell in line.cells),
        "meanings": glossary.meanings(settings.mixtures),
        "answers": [(one, forest.overview(settings, results, one.model) if compared else "") for one in found],
        "examples": examples.collect(settings, layout, retrievers, shown),
        "columns": tables.columns(settings),
        "previews": previews.sentence(settings),
        "metrics": [main, *others],
        "forests": [(model, forest.forest(settings, results, model)) for model in compared],
        "prices": [(model, price.price(settings, results, model)) for model in compared if _has_prices(settings)],
        "cuts": tables.by_dimension(settings, results),
        "findings": [
            *reading.of_controls(controlled),
            *reading.of_gains(gained),
            *reading.findings(settings, results),
        ],
        "cautions": reading.cautions(settings, results),
        "seeds": tables.by_seed(settings, results) if len(settings.seeds) > 1 else [],
        "datasets": tables.by_dataset(settings, results) if IN_DOMAIN in settings.benchmarks else [],
    }


def _about_soups(settings: Content, layout: Layout, results: rows.Results) -> dict:
    """What the template shows of averages of models."""
    measured = soups.collect(settings, layout)
    lines = soups.curves(settings, results, measured)
    return {
        "between": soups.warnings(measured),
        "choices": soups.choices(measured),
        "souped": soups.tables(settings, measured),
        "curves": lines,
        "curve": curve.curve(settings, results, lines),
    }


def _has_prices(settings: Content) -> bool:
    """Whether gains out of domain can be shown against what mixtures cost."""
    return bool(settings.out_of_domain) and set(settings.mixtures) <= set(settings.trainings)


def _about_weights(settings: Content, layout: Layout) -> dict:
    """What the template shows of weights, and of how they were learnt."""
    files, learnt = shares.read(settings, layout), courses.read_courses(settings, layout)
    return {
        "weights": shares.shares(settings, files),
        "repetitions": stability.repetitions(settings, files),
        "experts": experts.collect(settings, layout),
        "courses": courses.drawn(settings, layout, learnt),
        "remarks": stability.of_courses(learnt),
        "reasons": why.by_seed(settings, layout, learnt),
        "heavy": heaviest.heavy_rows(settings, layout, learnt),
        "variations": sweep.variations(settings, layout, learnt),
    }


def _about_stages(settings: Content, layout: Layout, logs: str) -> dict:
    """What the template shows of what happened before the scores."""
    ran, cut = jobs.rules(logs), cuttexts.collect(Path(logs))
    return {
        "stages": counts.stages(settings, layout),
        "duplicates": duplicates.duplicates(settings.tasks, layout),
        "leaks": leaks.leaks(settings.benchmarks, layout),
        "rules": ran,
        "cut_texts": cut,
        "about_cuts": cuttexts.sentence(cut),
        "forecast": forecasts.compare(Path(logs) / "forecast.json", ran),
        "reuse": sweep.reuse(settings, next((rule.seconds for rule in ran if rule.name == "reference"), None)),
        "versions": [(name, _version(name)) for name in _PACKAGES],
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"

"""The report: one self-contained HTML page, a CSV, and a table for the terminal.

    print(build(content, Layout("results"), "logs", Path("index.html"), Path("results.csv")))

The same inputs give the same bytes.
"""

import logging
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from polars import DataFrame

from tdro import formats
from tdro.artifacts.files import replacing
from tdro.artifacts.layout import IN_DOMAIN, Layout
from tdro.config.commands import BASELINE, Content
from tdro.report import (
    askline,
    dimensions,
    figures,
    gains,
    heaviest,
    reading,
    scoretables,
    stability,
    stages,
    sweep,
    weights,
)
from tdro.report.leaks import leaks
from tdro.report.scores import Results, collect

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
    results = collect(settings, layout)
    log.info("compared %d scores", len(results.rows))
    cuts = dimensions.collect(settings, layout)
    gained = gains.collect(settings, layout)
    view = _view(settings, results, layout, logs) | {"cuts": dimensions.by_dimension(settings, results, cuts)}
    view["findings"] = [*gains.findings(gained), *view["findings"]]
    page = _environment().get_template("report.html.j2").render(view)
    scoretables.write_csv(csv, [*results.rows, *cuts.rows])
    with replacing(html) as temporary:
        temporary.write_text(page, encoding="utf-8")
    asked = askline.command(settings, layout)
    shown = scoretables.terminal(settings, results) + gains.terminal(settings, gained)
    return f"{shown}Report: {html}" + (f"\nAsk a model: {asked}" if asked else "")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tdro.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(count=formats.count, listed=formats.listed, percent=formats.percent)
    environment.globals["plural"] = formats.plural
    return environment


def _view(settings: Content, results: Results, layout: Layout, logs: str) -> dict:
    """What the template shows."""
    courses, jobs = weights.trajectories(settings, layout), stages.rules(logs)
    return {
        "settings": settings,
        "baseline": BASELINE,
        "columns": scoretables.columns(settings),
        "metrics": _metrics(settings, results),
        "forests": _forests(settings, results),
        "findings": reading.findings(settings, results),
        "cautions": reading.cautions(settings, results),
        "seeds": scoretables.by_seed(settings, results) if len(settings.seeds) > 1 else [],
        "datasets": scoretables.by_dataset(settings, results) if IN_DOMAIN in settings.benchmarks else [],
        "weights": weights.weights(settings, layout),
        "repetitions": stability.repetitions(settings, layout),
        "courses": _courses(courses),
        "remarks": stability.of_courses(courses),
        "heavy": heaviest.heavy_rows(settings, layout, courses),
        "variations": sweep.variations(settings, layout, courses),
        "reuse": sweep.reuse(settings, next((rule.seconds for rule in jobs if rule.name == "reference"), None)),
        "stages": [
            *stages.plans(settings, layout),
            *stages.stages(settings.tasks, layout),
            *stages.benchmark_stages(settings.benchmarks, layout),
        ],
        "duplicates": stages.duplicates(settings.tasks, layout),
        "leaks": leaks(settings.benchmarks, layout),
        "rules": jobs,
        "versions": [(name, _version(name)) for name in _PACKAGES],
    }


def _metrics(settings: Content, results: Results) -> list[tuple[str, list[scoretables.Group]]]:
    """A table of the main metrics, and one of each other."""
    others = [
        (formats.METRIC_NAMES[metric], scoretables.by_mixture(settings, results, metric))
        for metric in scoretables.further_metrics(settings, results)
    ]
    return [(scoretables.main_metrics(settings, results), scoretables.by_mixture(settings, results)), *others]


def _forests(settings: Content, results: Results) -> list[tuple[str, Markup]]:
    if not settings.challengers:
        return []
    return [(model, Markup(figures.forest(settings, results, model))) for model in settings.models]


def _courses(trajectories: dict[int, DataFrame]) -> list[dict]:
    """The figures of every seed's tDRO."""
    return [
        {
            "seed": seed,
            "steps_a_point": figures.bin_width(trajectory),
            "weights": Markup(figures.weight_course(trajectory, f"seed{seed}")),
            "losses": Markup(figures.loss_panels(trajectory, f"seed{seed}")),
            "measurements": Markup(figures.measurement_panels(trajectory, f"seed{seed}")),
        }
        for seed, trajectory in trajectories.items()
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"

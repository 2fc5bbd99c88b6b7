"""The choice of a study beside what is reported: what the chosen mixture is worth where nothing was chosen.

print(overview(Path("results/dev/recommendation.json"), Path("results/report/results.csv"), files))
"""

from pathlib import Path
from typing import Any

import polars as pl

from tdro.artifacts.files import read_json, replacing, write_json
from tdro.artifacts.layout import IN_DOMAIN, StudyFiles
from tdro.artifacts.schemas import METRICS
from tdro.config.commands import BASELINE
from tdro.errors import UserError
from tdro.formats import METRIC_NAMES, probability, signed
from tdro.report.plain import plain, plain_table
from tdro.report.scores.queries import ALL_SEEDS
from tdro.report.scores.subjects import MEAN, OUT_OF_DOMAIN
from tdro.report.study.devscores import DEV, RECIPROCAL_RANK

#: The averages that are shown beside the choice.
_REPORTED = {IN_DOMAIN: "in domain", OUT_OF_DOMAIN: "out of domain"}
_KEYS = ("score", "difference", "low", "high", "p", "p_holm", "effect", "verdict")


def overview(recommendation: Path, results: Path, output: StudyFiles) -> str:
    """Write both tables of each model, as JSON and as text, and return the text.

    Args:
        recommendation: By :func:`tdro.report.study.recommend.recommend`.
        results: The report's results.csv.
        output: The two files to write.

    Raises:
        UserError: for a mixture that is only in one of the files.
    """
    found = read_json(recommendation)
    rows = pl.read_csv(results, infer_schema_length=None).filter(
        pl.col("seed").cast(pl.String) == ALL_SEEDS, pl.col("dataset") == MEAN
    )
    for model, choice in found["models"].items():
        for mixture, figures in choice["mixtures"].items():
            figures["reported"] = _reported(rows, model, mixture, results)
    text = "".join(_text(model, choice, found["settings"]) for model, choice in found["models"].items())
    write_json(Path(output.json), found)
    with replacing(output.text) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return text


def _reported(rows: pl.DataFrame, model: str, mixture: str, results: Path) -> dict[str, Any]:
    """Figures of both averages by their main metric, of those that there are."""
    mine = rows.filter(pl.col("model") == model, pl.col("mixture") == mixture)
    if mine.is_empty():
        raise UserError(
            f"{results} has no scores of {mixture} of {model}; delete it and let the workflow report again."
        )
    found = {}
    for benchmark in _REPORTED:
        of_it = {row["metric"]: row for row in mine.filter(pl.col("benchmark") == benchmark).to_dicts()}
        if main := min(filter(METRICS.__contains__, of_it), key=METRICS.index, default=None):
            found[benchmark] = {"metric": main} | {key: of_it[main][key] for key in _KEYS}
    return found


def _text(model: str, choice: dict[str, Any], settings: dict[str, Any]) -> str:
    chosen, worth = plain_table(), plain_table()
    chosen.add_column("mixture", overflow="fold")
    parts = list(settings["dev"]) if len(settings["dev"]) > 1 else []
    for heading in ("trainings", "dev", "Holm", "effect", *parts):
        chosen.add_column(heading, justify="right")
    worth.add_column("mixture", overflow="fold")
    shown = [key for key in _REPORTED if key in choice["mixtures"][BASELINE]["reported"]]
    for key in shown:
        metric = METRIC_NAMES[choice["mixtures"][BASELINE]["reported"][key]["metric"]]
        worth.add_column(f"{_REPORTED[key]}, {metric}", justify="right")
    for mixture, figures in choice["mixtures"].items():
        chosen.add_row(mixture, *_choice_cells(figures, parts))
        worth.add_row(mixture, *(_cell(figures["reported"][key]) for key in shown))
    return plain(
        f"{model}: what the choice was made by, reciprocal rank on dev ({choice['queries']:,} queries)",
        chosen,
        f"{model}: what is reported, which no choice has seen",
        worth,
        "Scores, and below uniform differences to it with intervals; * marks those that can be told from none.",
        f"{model}: {choice['sentence']}",
    )


def _choice_cells(figures: dict[str, Any], parts: list[str]) -> list[str]:
    cost, on = figures["trainings"], figures[RECIPROCAL_RANK]
    holm, effect = on[DEV].get("p_holm"), on[DEV].get("effect")
    return [
        "-" if cost is None else f"{cost:.1f}",
        _cell(on[DEV]),
        "" if holm is None else probability(holm)[2:],
        "" if effect is None else f"{effect:+.2f}",
        *(_mean(on[part]) for part in parts),
    ]


def _mean(figures: dict[str, Any]) -> str:
    """A score, or the difference to the baseline, without an interval: what the choice is made of decides nothing."""
    difference = figures.get("difference")
    return f"{figures['score']:.3f}" if difference is None else signed(difference)


def _cell(figures: dict[str, Any]) -> str:
    """A score, or the difference to the baseline with its interval."""
    if figures.get("difference") is None:
        return f"{figures['score']:.3f}"
    mark = " *" if figures["verdict"] in ("gain", "loss") else ""
    return f"{signed(figures['difference'])} [{figures['low']:+.3f}, {figures['high']:+.3f}]{mark}"

"""What a choice was made by: laws of merged experts, tasks that harm, shares of soups, the recommended mixture."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from tdro.artifacts.files import read_json
from tdro.evaluation.soups import DevMeans
from tdro.evaluation.soups import read as read_soup
from tdro.formats import listed, plural, probability
from tdro.report.show.drawing import bar, figure, heading, table
from tdro.report.show.view import Asked, View
from tdro.report.study.devscores import DEV, RECIPROCAL_RANK

_BAR = 20


def law(path: Path, asked: Asked) -> View:
    """How well the law ranks mixtures, which task helps which dataset, and losses foretold beside those measured."""
    from tdro.mixtures.fit_law import read_law  # loads scipy, which takes longer than all other views together

    told, content = read_law(path), read_json(path)
    ranking = table("dev set", "rank correlation on mixtures left out", "")
    for name, value in zip(told.datasets, told.ranking.tolist(), strict=True):
        ranking.add_row(name, figure(value, 2), Text(bar(value, asked.bar(_BAR)), "cyan"))
    helps = table("expert", *told.datasets)
    for column, task in enumerate(told.tasks):
        helps.add_row(task, *(_signed(value) for value in told.transfer[:, column].tolist()))
    losses = table("mixture", "measured", "foretold")
    foretold = told.law.losses(told.ratios).mean(1).tolist()
    for row in told.measured.mean(1).argsort().tolist()[: asked.rows]:
        losses.add_row(told.candidates[row], figure(told.measured[row].mean(), 3), figure(foretold[row], 3))
    verdict = "The law ranks what it has not seen." if told.trusted else "The law hardly ranks what it has not seen."
    parts: list[RenderableType] = [Text(verdict, "green" if told.trusted else "red"), ranking]
    if told.untold:
        parts.append(Text(f"Left out, as some mixture misses no query: {listed(told.untold)}"))
    parts += [heading("what each expert takes off the loss of each dev set"), helps]
    return View([*parts, heading("mean dev loss, the best mixture on top"), losses], content)


def harmful(path: Path, asked: Asked) -> View:
    """What each task adds, by merged experts and by trainings without it, and which tasks go."""
    content = read_json(path)
    parts: list[RenderableType] = []
    for key, said in (("merged", "what each task adds, by merged experts"), ("trained", "by trainings without it")):
        if content.get(key):
            shown = table("task", "reciprocal rank", "interval", "p", left=("interval",))
            for task, one in sorted(content[key].items(), key=lambda pair: pair[1]["mean"]):
                p = probability(one.get("holm", one["p"])).removeprefix("p ")
                shown.add_row(task, _signed(one["mean"]), f"[{one['low']:+.4f}, {one['high']:+.4f}]", p)
            parts += [heading(said), shown]
    return View([*parts, Text(_became(content))], content)


def _became(content: dict[str, Any]) -> str:
    if "asked" in content:
        return f"Asked about: {listed(content['asked'])}." if content["asked"] else "No task is asked about."
    return f"Dropped: {listed(content['dropped'])}." if content["dropped"] else "No task is dropped."


def soup(path: Path, asked: Asked) -> View:
    """What a soup's ingredients and its shares score on dev queries; the share that was chosen is marked."""
    scores = read_soup(path)
    shown = table("model", "loss", "reciprocal rank", "")
    rows: list[tuple[str, DevMeans, str]] = [(name, one, "") for name, one in scores.ingredients.items()]
    for tried in scores.soups:
        name = "their average" if tried.share is None else f"their average, a share of {tried.share:g}"
        chosen = tried.share == scores.chosen
        rows.append((name + " (chosen)" * chosen, tried, "bold green" if chosen else "bold"))
    for name, one, style in rows:
        drawn = Text(bar(one.reciprocal_rank, asked.bar(_BAR)), "cyan")
        shown.add_row(Text(name, style), figure(one.loss), figure(one.reciprocal_rank, 3), drawn)
    warning = f"The soup lies between basins: its loss is above that of {scores.worst}." * scores.between_basins
    note = Text(f"dev queries of {listed(scores.datasets)}; the model that is written is the chosen one", style="dim")
    return View([shown, note, *([Text(warning, "red")] if warning else [])], scores.model_dump())


def recommendation(path: Path, asked: Asked) -> View:
    """The sentence of each model, and its mixtures with their costs, their dev scores and what is reported of them."""
    content = read_json(path)
    return View([part for name, choice in content["models"].items() for part in _of_model(name, choice)], content)


def _of_model(name: str, choice: dict[str, Any]) -> Iterator[RenderableType]:
    mixtures = choice["mixtures"]
    reported = list(dict.fromkeys(key for one in mixtures.values() for key in one.get("reported", {})))
    shown = table(
        "mixture", "trainings", "reciprocal rank on dev", "p, Holm", *(key.replace("_", " ") for key in reported)
    )
    for mixture, one in mixtures.items():
        on, cost = one[RECIPROCAL_RANK][DEV], one["trainings"]
        holm = "" if on.get("p_holm") is None else probability(on["p_holm"]).removeprefix("p ")
        shown.add_row(
            Text(mixture, "bold green" if mixture == choice["recommended"] else ""),
            "-" if cost is None else f"{cost:.1f}",
            _against(on),
            holm,
            *(_against(one["reported"][key]) if key in one.get("reported", {}) else "" for key in reported),
        )
    yield heading(f"{name}, {plural(choice['queries'], 'dev query', 'dev queries')}")
    yield shown
    yield Text(choice["sentence"], "bold")


def _against(one: dict[str, Any]) -> Text:
    """A score, and behind it the difference to the baseline."""
    said = Text(figure(one["score"], 3))
    if one.get("difference") is not None:
        style = {"gain": "bold green", "loss": "bold red"}.get(one.get("verdict"), "dim")
        star = " *" if one.get("verdict") in ("gain", "loss") else ""
        said.append(f" {one['difference']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]{star}", style)
    return said


def _signed(value: float) -> Text:
    return Text(f"{value:+.4f}", "green" if value > 0 else "red" if value < 0 else "dim")

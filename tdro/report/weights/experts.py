"""What merged experts told: who helps whom, how far their law can be trusted, and which tasks went."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.patches import Rectangle

from tdro.artifacts.files import read_json, read_table
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import DEV_SCORES
from tdro.config.commands import BASELINE, Content
from tdro.evaluation.dev_scores import means
from tdro.formats import listed, probability, signed
from tdro.mixtures.fit_law import NOTHING, TRUSTED, Told, read_law
from tdro.mixtures.ratios import mixture_of, ratio_of
from tdro.mixtures.weights import read_weights
from tdro.report.figures import HUES, figure, shortened
from tdro.report.weights.stability import correlation

# Tasks up to which a cell has room for its number.
_NUMBERED = 16


@dataclass(frozen=True)
class Line:
    """A line of a table: its heading, and its cells as they are shown."""

    heading: str
    cells: list[str]


@dataclass(frozen=True)
class Experts:
    """What the page shows; lists are empty where there is nothing to show."""

    remarks: list[str]
    heat: Markup
    tasks: list[str]
    transfer: list[Line]
    foretold: list[Line]
    pruned: list[Line]


def collect(settings: Content, layout: Layout) -> Experts | None:
    """All of it, means over the seeds; None where no mixture asked for experts.

    Raises:
        UserError: for a missing or wrong file.
    """
    if not settings.told:
        return None
    laws = [read_law(layout.experts(settings.proxy, seed, "law.json")) for seed in settings.seeds]
    datasets = [name for name in laws[0].datasets if all(name in law.datasets for law in laws)]
    table = np.mean([law.transfer[_rows(law, datasets)] for law in laws], axis=0)
    ranks = np.array([law.ranking[_rows(law, datasets)] for law in laws])
    compared = _foretold(settings, layout, laws)
    pruned, decided = _pruned(settings, layout)
    remarks = [_trust(laws), *_left_out(laws), *_order(compared), *decided]
    lines = [
        Line(name, [*(signed(round(value, 3) + 0.0) for value in row), f"{rank:.2f}"])
        for name, row, rank in zip(datasets, table, ranks.mean(axis=0), strict=True)
    ]
    foretold = [
        Line(name, [f"{told:.3f}", f"{measured:.3f}", "" if inside else "outside of what experts can tell"])
        for name, told, measured, inside in compared
    ]
    return Experts(remarks, _heat(datasets, laws[0].tasks, table), laws[0].tasks, lines, foretold, pruned)


def _rows(law: Told, datasets: Sequence[str]) -> list[int]:
    return [law.datasets.index(name) for name in datasets]


def _trust(laws: Sequence[Told]) -> str:
    lowest = min(float(np.median(law.ranking)) for law in laws)
    said = (
        "The law of merged experts ranks mixtures that it was not fitted to with a rank correlation (Spearman, median "
        f"over the dev sets) of {lowest:.2f}{' in the worst seed' if len(laws) > 1 else ''}"
    )
    if lowest < TRUSTED:
        return f"{said}, below {TRUSTED:.1f}: do not trust mergemix, nor single numbers of the table below."
    return f"{said}."


def _left_out(laws: Sequence[Told]) -> list[str]:
    if names := sorted({name for law in laws for name in law.untold}):
        return [f"Some mixture misses no dev query of {listed(names)}, so that the law tells nothing of it."]
    return []


def _foretold(settings: Content, layout: Layout, laws: Sequence[Told]) -> list[tuple[str, float, float, bool]]:
    """Of each mixture the mean dev loss over that of the baseline: as the law foretells it, and as it was measured.

    With whether the mixture lies where experts can tell of it.
    """
    found: dict[str, list[tuple[float, float, bool]]] = {name: [] for name in settings.told}
    for seed, law in zip(settings.seeds, laws, strict=True):
        measured = {m: _losses(layout.dev_scores(settings.proxy, seed, m), law) for m in settings.told}
        even = np.full(len(law.tasks), 1 / len(law.tasks))
        for mixture in settings.told:
            weights = read_weights(layout.weights(settings.proxy, seed, mixture)).weights
            shares = np.array([weights.get(task, 0.0) for task in law.tasks])
            ratio = (shares - mixture_of(np.zeros(len(even)), law.rho)) / law.rho
            told = law.law.losses(np.array([ratio, even]))
            against = np.mean(measured[mixture] / measured[BASELINE])
            inside = ratio_of(shares, law.rho) is not None
            found[mixture].append((float(np.mean(told[0] / told[1])), float(against), inside))
    return [
        (name, float(np.mean(told)), float(np.mean(measured)), all(inside))
        for name, of in found.items()
        for told, measured, inside in [zip(*of, strict=True)]
    ]


def _losses(file: str, law: Told) -> np.ndarray:
    """Mean dev losses; of a dataset of which no query is missed next to nothing, so that ratios can be taken."""
    found = means(read_table(file, DEV_SCORES))
    return np.maximum([found[name][0] for name in law.datasets], NOTHING)


def _order(compared: Sequence[tuple[str, float, float, bool]]) -> list[str]:
    if len(compared) < 3:
        return []
    agreement = correlation([told for _, told, _, _ in compared], [measured for _, _, measured, _ in compared])
    return [
        f"The order of the {len(compared)} mixtures that were trained agrees with what experts foretold of them with a "
        f"rank correlation (Spearman) of {agreement:.2f}."
    ]


def _pruned(settings: Content, layout: Layout) -> tuple[list[Line], list[str]]:
    """A line a task and seed that was doubtful, and a sentence a seed."""
    lines, sentences = [], []
    for seed in settings.seeds if settings.pruned else []:
        content = read_json(layout.experts(settings.proxy, seed, "prune.json"))
        of_seed = f", seed {seed}" if len(settings.seeds) > 1 else ""
        for task, merged in content["merged"].items():
            trained = content["trained"].get(task)
            confirmed = f"{_interval(trained)}, corrected {probability(trained['holm'])}" if trained else "not asked"
            decision = "dropped" if task in content["dropped"] else "kept"
            lines.append(Line(f"{task}{of_seed}", [_interval(merged), confirmed, decision]))
        gone = ", ".join(content["dropped"])
        sentences.append(
            f"prune trains without {gone}{of_seed}."
            if gone
            else f"No task can be told to harm{of_seed}, so prune is {BASELINE}."
        )
    return lines, sentences


def _interval(found: dict[str, float]) -> str:
    return f"{signed(found['mean'])} [{signed(found['low'])}, {signed(found['high'])}]"


def _heat(datasets: Sequence[str], tasks: Sequence[str], table: np.ndarray) -> Markup:
    """A cell for each dev set and expert, the darker the more it helps or harms."""
    largest = float(np.abs(table).max(initial=0.0)) or 1.0
    names = [shortened(name, 24) for name in tasks], [shortened(name, 24) for name in datasets]
    width, height = 2.6 + 0.62 * max(6, len(tasks)), 1.6 + 0.36 * len(datasets)
    with figure("transfer", width, height) as (drawn, svg):
        axes = drawn.subplots()
        for row, column in np.ndindex(table.shape):
            value = float(table[row, column])
            hue, strength = HUES[0] if value > 0 else HUES[1], min(1.0, 0.9 * abs(value) / largest)
            corner = column - 0.5, row - 0.5
            axes.add_patch(Rectangle(corner, 1, 1, facecolor=hue, alpha=strength, linewidth=0))
            if len(tasks) <= _NUMBERED:
                axes.text(column, row, f"{round(value, 2) + 0.0:+.2f}", ha="center", va="center", fontsize=8)
        axes.set(xlim=(-0.5, len(tasks) - 0.5), ylim=(len(datasets) - 0.5, -0.5))
        axes.set_xticks(range(len(tasks)), names[0], rotation=45, ha="right")
        axes.set_yticks(range(len(datasets)), names[1])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set(xlabel="expert of", ylabel="dev queries of")
    return svg[0]

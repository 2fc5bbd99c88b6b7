"""The answer that the page begins with: whether a mixture helped, where, how surely, at what cost, what to take.

for answer in answers(settings, layout, results, gained, controlled):
    print(answer.sentence)

A mixture is chosen by the scores that the page shows. ``tdro study`` chooses on queries that no page shows
(:mod:`tdro.report.study.advice`), and the page says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tdro.artifacts.layout import IN_DOMAIN, Layout
from tdro.config import mixturenames
from tdro.config.commands import BASELINE, Content
from tdro.formats import METRIC_NAMES, listed, plural, probability, signed, trainings
from tdro.report.scores.comparison import ONE_SEED, bounds
from tdro.report.scores.controls import Controlled
from tdro.report.scores.gains import HEADINGS, Gain
from tdro.report.scores.previews import marked
from tdro.report.scores.reading import MEANT
from tdro.report.scores.rows import Results, Row
from tdro.report.scores.subjects import OUT_OF_DOMAIN


@dataclass(frozen=True)
class Answer:
    """What the page says of one model before anything else.

    Attributes:
        model: Its name.
        mixture: What to train on.
        shown: The mixture to look at beside the baseline: that one, or, where it is the baseline, what comes nearest to
            a gain; empty where nothing was compared.
        sentence: The answer.
        facts: Questions that a reader has next, each with its answer; none where nothing was compared.
        model_folder, weights, package: What to take, as paths from the folder that the results folder lies in.
    """

    model: str
    mixture: str
    shown: str
    sentence: str
    facts: list[tuple[str, str]]
    model_folder: str
    weights: str
    package: str


def answers(
    settings: Content, layout: Layout, results: Results, gained: Sequence[Gain], controlled: Sequence[Controlled]
) -> list[Answer]:
    """One answer a model."""
    return [_answer(settings, layout, results, gained, controlled, model) for model in settings.models]


def _answer(
    settings: Content,
    layout: Layout,
    results: Results,
    gained: Sequence[Gain],
    controlled: Sequence[Controlled],
    model: str,
) -> Answer:
    chosen = choose(settings, results, model)
    mixture = chosen.mixture if chosen else BASELINE
    facts: list[tuple[str, str]] = []
    if settings.challengers:
        facts += [("Where", _where(settings, results, model, mixture)), ("How surely", _surely(settings, chosen))]
        facts += _against_controls(controlled, model, mixture)
        facts += _costs(settings, mixture)
    facts.append(("Are these scores good", _anchors(settings, results, gained, model)))
    own, seed = layout.handed_on, settings.seeds[0]
    return Answer(
        model,
        mixture,
        chosen.mixture if chosen else _best(settings, results, model).mixture if settings.challengers else "",
        _sentence(settings, results, model, chosen),
        facts,
        own.run(model, seed, f"{mixture}/model"),
        own.weights(settings.proxy, seed, mixture),
        own.package(model, seed, mixture),
    )


def averages(settings: Content) -> list[str]:
    """What decides, the more important first: out of domain, then in domain."""
    return [
        *([OUT_OF_DOMAIN] if settings.out_of_domain else []),
        *([IN_DOMAIN] if IN_DOMAIN in settings.benchmarks else []),
    ]


def choose(settings: Content, results: Results, model: str) -> Row | None:
    """The row of the mixture to train on, on the average that decided; None: the baseline.

    The largest distinguishable gain out of domain, else in domain, of a mixture that chance does not decide. One that
    loses on the other average comes behind those that do not.
    """
    about = averages(settings)
    able = [name for name in settings.challengers if not mixturenames.parse(name).drawn]
    for losing in (False, True):
        for average in about:
            rows = [results.find(model, name, average) for name in able]
            gains = [row for row in rows if row.verdict == "gain" and _loses(results, row, about) == losing]
            if gains:
                return max(gains, key=lambda row: row.difference.mean)
    return None


def _loses(results: Results, row: Row, about: Sequence[str]) -> bool:
    """Whether a mixture loses on any average."""
    return any(results.find(row.model, row.mixture, average).verdict == "loss" for average in about)


def _sentence(settings: Content, results: Results, model: str, chosen: Row | None) -> str:
    if not settings.challengers:
        return f"Only {BASELINE} was trained, so there is nothing to compare."
    if chosen is None:
        return f"{_nothing(settings, results, model)}: train on {BASELINE}."
    rows = _rows(settings, results, model, chosen.mixture)
    gains = [chosen, *(row for row in rows if row.verdict == "gain" and row is not chosen)]
    by = " and ".join(f"{_place(settings, row)} by {_figures(row)}" for row in gains)
    cost = settings.trainings.get(chosen.mixture)
    base = trainings(settings.trainings[BASELINE]).split()[0] if cost else ""
    gain = f"{chosen.mixture} is better than {BASELINE} {by}" + (
        f", for {trainings(cost)} in place of {base}" if cost else ""
    )
    warned = f" {ONE_SEED}" if len(settings.seeds) == 1 else ""
    lost = [row for row in rows if row.verdict == "loss"]
    if lost:
        return (
            f"{gain}, and worse {_place(settings, lost[0])} by {_figures(lost[0])}: train on {chosen.mixture} only "
            f"where the first counts more.{warned}"
        )
    return f"{gain}: train on {chosen.mixture}.{warned}"


def _nothing(settings: Content, results: Results, model: str) -> str:
    """Why no mixture is to be trained on."""
    drawn = [name for name in settings.challengers if mixturenames.parse(name).drawn]
    by_chance = [name for name in drawn if any(r.verdict == "gain" for r in _rows(settings, results, model, name))]
    worse = [
        name for name in settings.challengers if any(r.verdict == "loss" for r in _rows(settings, results, model, name))
    ]
    if by_chance:
        return f"Only weights drawn by chance ({listed(by_chance)}) are better than {BASELINE} for certain"
    if worse:
        verb = "is" if len(worse) == 1 else "are"
        return f"No mixture is better than {BASELINE} for certain, and {listed(worse)} {verb} worse"
    return f"No mixture can be told from {BASELINE}"


def _rows(settings: Content, results: Results, model: str, mixture: str) -> list[Row]:
    """Of the averages."""
    return [results.find(model, mixture, average) for average in averages(settings)]


def _place(settings: Content, row: Row) -> str:
    return marked(settings, row.benchmark, HEADINGS[row.benchmark])


def _figures(row: Row) -> str:
    """``+0.031 nDCG@10 [+0.022, +0.042]``."""
    return f"{signed(row.difference.mean)} {METRIC_NAMES[row.metric]} {bounds(row.difference)}"


def _where(settings: Content, results: Results, model: str, mixture: str) -> str:
    """The averages, then how many benchmarks and tasks moved; of the baseline what comes closest to a gain."""
    if mixture == BASELINE:
        best = _best(settings, results, model)
        return f"The best of the others {_place(settings, best)} is {best.mixture}: {_figures(best)}."
    said = [
        f"{_place(settings, row).capitalize()} {row.uniform:.3f} to {row.score:.3f}, {_figures(row)}."
        for row in _rows(settings, results, model, mixture)
    ]
    parts = {"benchmark": [(name, results.find(model, mixture, name)) for name in settings.out_of_domain]}
    tasks = settings.benchmarks.get(IN_DOMAIN, [])
    parts["task"] = [(task, results.find(model, mixture, IN_DOMAIN, dataset=task)) for task in tasks]
    said += [_counted(noun, rows) for noun, rows in parts.items() if len(rows) > 1]
    return " ".join(said)


def _best(settings: Content, results: Results, model: str) -> Row:
    """The mixture with the best difference on the average that counts most."""
    rows = [results.find(model, name, averages(settings)[0]) for name in settings.challengers]
    return max(rows, key=lambda row: row.difference.mean)


def _counted(noun: str, rows: Sequence[tuple[str, Row]]) -> str:
    """``Of 5 tasks 2 gain (a, b), 1 loses (c), 2 cannot be told from uniform.``"""
    said = []
    for verdict, one, several in (("gain", "gains", "gain"), ("loss", "loses", "lose")):
        names = [name for name, row in rows if row.verdict == verdict]
        if names:
            said.append(f"{len(names)} {one if len(names) == 1 else several} ({listed(names)})")
    unclear = sum(row.verdict == "unclear" for _, row in rows)
    if unclear == len(rows):
        return f"None of {plural(len(rows), noun)} can be told from {BASELINE} by itself."
    if unclear:
        said.append(f"{unclear} cannot be told from {BASELINE}")
    return f"Of {plural(len(rows), noun)} {', '.join(said)}."


def _surely(settings: Content, chosen: Row | None) -> str:
    seeds = len(settings.seeds)
    over = f"queries and {plural(seeds, 'seed')}" if seeds > 1 else "the queries of one seed alone"
    if chosen is None:
        return f"Verdicts are over {over}. Not told apart does not mean equal."
    corrected = probability(chosen.judged.holm)
    several = (
        f", corrected for {plural(chosen.judged.comparisons, 'comparison')}" if chosen.judged.comparisons > 1 else ""
    )
    rivals = (
        " It is the best of several by the scores shown here, so expect a little less; `tdro study` chooses on other "
        "queries."
        if len(settings.challengers) > 1
        else ""
    )
    return f"{corrected}{several}, over {over}.{rivals}"


def _against_controls(controlled: Sequence[Controlled], model: str, mixture: str) -> list[tuple[str, str]]:
    mine = [one for one in controlled if (one.model, one.control.mixture) == (model, mixture)]
    said = [
        f"{one.heading.capitalize()} {signed(one.judged.difference.mean)} {bounds(one.judged.difference)} against "
        f"{listed(list(one.control.pooled))}: {MEANT[one.control.kind][one.judged.verdict]}."
        for one in mine
    ]
    return [("Was it the weights", " ".join(said))] if said else []


def _costs(settings: Content, mixture: str) -> list[tuple[str, str]]:
    if mixture not in settings.trainings:
        return []
    cost, base = settings.trainings[mixture], settings.trainings[BASELINE]
    beside = "" if mixture == BASELINE else f"; {BASELINE} takes {trainings(base)}"
    return [("At what cost", f"{trainings(cost)} in a project that has nothing yet{beside}.")]


def _anchors(settings: Content, results: Results, gained: Sequence[Gain], model: str) -> str:
    """The baseline's scores beside those that nothing was trained for."""
    if not settings.untrained:
        return (
            "No retriever was evaluated that nothing was trained for, so a score has nothing to stand beside. "
            "`evaluation.untrained` adds them: bm25, miner, base."
        )
    said = []
    for average in averages(settings):
        row = results.find(model, BASELINE, average)
        heading = _place(settings, row)
        others = [gain for gain in gained if (gain.model, gain.heading) == (model, heading)]
        named = listed([f"{gain.untrained} {gain.before:.3f}" for gain in others])
        said.append(
            f"{heading.capitalize()} {BASELINE} has {row.score:.3f} {METRIC_NAMES[row.metric]}; untrained: {named}."
        )
    return " ".join(said)

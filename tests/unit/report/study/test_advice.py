"""Sentences of made verdicts."""

import pytest

from tdro.evaluation.statistics import Difference
from tdro.report.scores.comparison import Judged
from tdro.report.study.advice import Candidate, choose, sentence


def candidate(mixture, mean, verdict="unclear", trainings=1.0):
    judged = Judged(Difference(mean, mean - 0.008, mean + 0.009, 0.01), 0.02, 4, verdict)
    return Candidate(mixture, trainings, judged)


CURR = candidate("curr", 0.012, "gain", 3.11)


@pytest.mark.parametrize(
    ("candidates", "chosen", "said"),
    [
        (
            [candidate("top70", 0.02), CURR],
            "curr",
            "Train on curr: +0.012 [+0.004, +0.021] on dev against uniform (5 seeds, 480 queries), 3.1 trainings; "
            "nothing else is distinguishable from uniform.",
        ),
        (
            [candidate("top70", 0.02)],
            None,
            "Nothing is distinguishable from uniform on dev (5 seeds, 480 queries): train on uniform.",
        ),
        (
            [CURR, candidate("soup-a", 0.02, "gain", 4), candidate("bottom50", -0.03, "loss", None)],
            "soup-a",
            "Train on soup-a: +0.020 [+0.012, +0.029] on dev against uniform (5 seeds, 480 queries), 4 trainings; "
            "distinguishable gains, too: curr (+0.012, 3.1 trainings); losses: bottom50 (-0.030).",
        ),
        # A control is no mixture to train on, and says what a gain is worth.
        (
            [CURR, candidate("shuffled-1", 0.03, "gain"), candidate("random70-1", 0.02, "gain")],
            "curr",
            "Train on curr: +0.012 [+0.004, +0.021] on dev against uniform (5 seeds, 480 queries), 3.1 trainings; "
            "gains of weights drawn by chance: shuffled-1 (+0.030, 1 training) and random70-1 (+0.020, 1 training).",
        ),
        (
            [candidate("shuffled-1", 0.03, "gain")],
            None,
            "Nothing to choose is better than uniform on dev for certain (5 seeds, 480 queries; gains of weights drawn "
            "by chance: shuffled-1 (+0.030, 1 training)): train on uniform.",
        ),
        ([], None, "Only uniform was trained: there is nothing to choose."),
    ],
)
def test_what_is_recommended(candidates, chosen, said):
    assert (found := choose(candidates)) is None or found.mixture == chosen
    assert (found is None) == (chosen is None)
    assert sentence(candidates, 5, 480) == said
    told = any(one.judged.verdict != "unclear" for one in candidates)
    assert sentence(candidates, 1, 480).endswith("another training may turn it round.") == told

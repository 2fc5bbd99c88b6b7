"""Whether two studies agree, against scipy and on planted orders."""

import numpy as np
import pytest
import scipy.stats
from devstudies import job, write

from tdro.artifacts.layout import Layout
from tdro.errors import UserError
from tdro.report.study.agreement import Gains, _sentence, agreement, said
from tdro.report.study.recommend import recommend

NAMES = [f"top{n}" for n in range(10, 90, 10)]
ORDER = {name: 0.01 * place for place, name in enumerate(NAMES)}


def study(folder, gains, **changes):
    settings = job(mixtures=["uniform", *gains], **changes)
    layout = Layout(folder)
    write(layout, settings, gains)
    recommend(settings, layout, layout.recommendation)
    return folder


def gains(random, order, seeds, queries=60):
    """Gains of some mixtures with noise of seeds and queries, of one dataset."""
    values = np.asarray(order)[:, None, None] + random.normal(0, 0.5, (len(order), seeds, queries))
    return Gains([str(n) for n in range(len(order))], {("dev", "faq"): values}, {("dev", "faq"): 1.0})


def test_correlations_match_scipy_and_lie_in_their_intervals():
    random = np.random.default_rng(3)
    one, other = gains(random, np.arange(9) / 9, 20), gains(random, np.arange(9) / 9, 5)
    found = agreement(one, other, samples=400)
    means = [next(iter(g.values.values())).mean(axis=(1, 2)) for g in (one, other)]
    assert found["Spearman"].value == pytest.approx(scipy.stats.spearmanr(*means).statistic)
    assert found["Kendall"].value == pytest.approx(scipy.stats.kendalltau(*means).statistic)
    assert all(one.low <= one.value <= one.high for one in found.values())
    assert found["Kendall"].low > 0


@pytest.mark.parametrize("scale", [0.0, 1.0], ids=["noise", "orders of chance"])
def test_unrelated_studies_are_called_alike_no_more_often_than_the_level_says(scale):
    """Of 60 pairs at 5 %, eight or more have a chance of 1 in 100."""
    told = 0
    for trial in range(60):
        random = np.random.default_rng(trial)
        pair = [gains(random, scale * random.permutation(8) / 8, 6) for _ in range(2)]
        told += "cannot be told" not in _sentence(8, agreement(*pair, samples=60))
    assert told < 8


def test_the_sentence_says_whether_the_order_is_the_same(tmp_path):
    wide, deep = (
        study(tmp_path / "wide", ORDER, seeds=[1, 2, 3, 4, 5, 6]),
        study(tmp_path / "deep", ORDER, seeds=[7, 8]),
    )
    assert said(wide, deep).endswith("of the mean gains of 8 mixtures on dev: they order the mixtures alike.")
    opposite = study(tmp_path / "opposite", {name: -gain for name, gain in ORDER.items()})
    assert said(wide, opposite).endswith("in opposite ways.")
    nothing = study(tmp_path / "nothing", dict.fromkeys(ORDER, 0.0))
    assert said(wide, nothing).endswith("that they order the mixtures alike cannot be told.")


def test_too_few_in_common_is_refused(tmp_path):
    one, other = study(tmp_path / "one", {"curr": 0, "top50": 0}), study(tmp_path / "other", {"curr": 0, "mean": 0})
    with pytest.raises(UserError, match="have 1 mixture in common beside uniform; an order needs 3"):
        said(one, other)

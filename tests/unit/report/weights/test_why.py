"""Why a task weighs what it does, in figures and in a sentence."""

import polars as pl
import pytest
from finished import Finished

from tdro.errors import UserError
from tdro.report.weights.why import all_reasons, why


def course(weights: list[float], gradients: list[float], *, effective=2.0, losses=(0.9, 0.6)) -> pl.DataFrame:
    """Two tasks; ``a`` has these weights and gradients, ``b`` the rest of the weight and a gradient of 0.5."""
    rows = []
    for step, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
        of_both = {"step": step, "rows": 2, "effective_rows": effective}
        mine = {"task": "a", "size": 30, "weight": weight, "measurement": gradient, "gradient": gradient}
        other = {"task": "b", "size": 10, "weight": 1 - weight, "measurement": 0.5, "gradient": 0.5}
        proxy, reference = losses
        rows += [of_both | one | {"proxy_loss": proxy, "reference_loss": reference} for one in (mine, other)]
    return pl.DataFrame(rows).with_columns(mean=pl.col("weight"), ema=pl.col("weight"))


def test_a_task_that_was_measured_above_the_others_rose():
    one = why(course([0.55, 0.6, 0.66], [0.9, 0.9, 0.1]), "a")
    assert (one.started, one.ended, one.rank, one.tasks) == (0.5, 0.66, 1, 2)
    assert (one.above, one.steps, one.measured_rank) == (2, 3, 1)
    assert (one.of_rows, one.drawn, one.counting) == (0.75, 6, 1.0)
    assert one.sentence == (
        "a rose from 0.500 to 0.660 (1.3 times its start, 1st of 2 tasks): its measurement averaged 0.633 after "
        "clipping, against 0.56 of all tasks by their shares, and lay above that in 2 of 3 steps; the proxy's loss on "
        "its rows (0.900) is 0.300 above the reference's (0.600)."
    )
    # Each step's mean counts the tasks by what they had before it.
    means = [0.5 * 0.9 + 0.5 * 0.5, 0.55 * 0.9 + 0.45 * 0.5, 0.6 * 0.1 + 0.4 * 0.5]
    assert (one.measured, one.against) == (pytest.approx(1.9 / 3), pytest.approx(sum(means) / 3))


@pytest.mark.parametrize(
    ("weights", "gradients", "said"),
    [
        ([0.45, 0.4, 0.35], [0.1, 0.1, 0.9], "fell from 0.500 to 0.350 (0.7 times its start, 2nd of 2 tasks)"),
        ([0.45, 0.4, 0.35], [0.1, 0.1, 0.9], "lay above that in 1 of 3 steps;"),
        ([0.45, 0.4, 0.35], [0.1, 0.1, 0.9], "tasks): its measurement"),
        ([0.45, 0.4, 0.35], [0.1, 0.9, 0.9], "tasks), although its measurement"),
        ([0.6, 0.55, 0.52], [0.9, 0.1, 0.1], "tasks), although its measurement"),
        ([0.5, 0.51, 0.505], [0.5, 0.5, 0.5], "kept the share that it started from, 0.505 (1st of 2 tasks)"),
    ],
)
def test_the_sentence_says_which_way_it_went_and_what_moved_it(weights, gradients, said):
    assert said in why(course(weights, gradients), "a").sentence


def test_few_rows_that_carry_a_weight_are_warned_of():
    one = why(course([0.6], [0.9], effective=0.5), "a")
    assert one.few and one.sentence.endswith("Few of its rows carry that (25% of those in a step); look at them.")
    assert not why(course([0.6], [0.9], effective=1.5), "a").few


def test_means_count_rows_and_steps_without_rows_tell_nothing():
    steps = course([0.6, 0.6], [0.9, 0.9])
    mine = (pl.col("task") == "a") & (pl.col("step") == 1)
    steps = steps.with_columns(
        rows=pl.when(mine).then(6).otherwise(pl.col("rows")),
        proxy_loss=pl.when(mine).then(0.1).otherwise(pl.col("proxy_loss")),
    )
    assert why(steps, "a").proxy_loss == pytest.approx((2 * 0.9 + 6 * 0.1) / 8)
    nothing = steps.with_columns(
        rows=pl.lit(0),
        **dict.fromkeys(("proxy_loss", "reference_loss", "gradient", "measurement"), pl.lit(None, float)),
    )
    one = why(nothing, "a")
    assert (one.proxy_loss, one.measured, one.steps, one.counting) == (None, None, 0, None)
    assert "it was never measured." in one.sentence


def test_the_start_need_not_be_the_same_for_all():
    a, b = all_reasons(course([0.6], [0.9]), {"a": 0.3, "b": 0.7})
    assert (a.started, a.times, b.started) == (0.3, pytest.approx(2), 0.7)


def test_an_unknown_task_is_guessed():
    with pytest.raises(UserError, match=r"no weight was learnt for a task 'A' .did you mean 'a'..; the tasks are a, b"):
        why(course([0.6], [0.9]), "A")


def test_the_report_says_the_same(tree, built):
    shown = built.text.partition("Why each task weighs what it does")[2]
    path = tree.run(1, "tdro/trajectory.parquet")
    for one in all_reasons(pl.read_parquet(path)):
        assert one.sentence in shown


def test_a_report_without_tdro_has_no_such_section(tmp_path):
    from finished import content

    tree = Finished(tmp_path, content(mixtures=["uniform"], courses=[]))
    assert "Why each task weighs" not in tree.report().text

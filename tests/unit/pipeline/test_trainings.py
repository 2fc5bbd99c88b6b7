"""What mixtures cost, counted by hand; that the DAG needs the same jobs is tested with the workflow."""

import pytest
from toyjobs import jobs

# A training: 100 steps x 10 rows x 3 texts, each 3: 9000. tDRO: 50 steps x 10 rows x 4 texts, each 3: 6000, and the
# reference reads each once: 2000.
TRAINING = {"steps": 100, "batch_size": 10, "negatives": 1, "warmup_steps": 0}
TDRO = {"steps": 50, "batch_size": 10, "negatives": 2, "accumulation": 1, "warmup_steps": 0}
LEARNING, REFERENCE = 6000 / 9000, 2000 / 9000
CURR = 1 + LEARNING + REFERENCE + 1  # the baseline, tDRO and its reference losses, the training
SOUPS = {
    "both": {"of": ["uniform", "curr"]},
    "learnt": {"of": ["curr", "top50", "doremi"]},
    "three": {"of": ["uniform"], "seeds": 3},
    "half": {"of": ["proportional"], "base": 0.5},
}


@pytest.mark.parametrize(
    ("mixture", "cost"),
    [
        ("uniform", 1),
        ("proportional", 1),
        ("longer", 1.89),  # 89 steps more: 8000 / 90, rounded up
        ("curr", CURR),
        ("shuffled-1", CURR),
        ("loss", CURR),
        ("doremi", CURR),
        ("soup-both", CURR),  # the baseline is part of it anyway
        ("averaged-both", CURR),
        ("soup-learnt", CURR + 2 + LEARNING),  # two more trainings, another run of tDRO on the same reference losses
        ("averaged-learnt", CURR + LEARNING),
        ("soup-three", 3),
        ("soup-half", 1),
        ("mergemix", 1 + 0.15 + 2 * 0.15),  # the warm-up, experts of two tasks, the training
        ("prune", 1 + 0.15 + 2 * 0.15 + 1),
        ("without-one", 1),
        ("soup-half@0.75", 1),
    ],
)
def test_everything_that_is_trained_counts_once(mixture, cost):
    made = jobs(training=TRAINING, tdro=TDRO, soups=SOUPS, mixtures=list(dict.fromkeys(["uniform", mixture])))
    assert made.trainings()[mixture] == pytest.approx(cost, abs=1e-3)
    assert made.report().trainings == made.trainings()


def test_further_seeds_of_a_soup_learn_their_weights_once():
    made = jobs(training=TRAINING, tdro=TDRO, soups={"s": {"of": ["curr"], "seeds": 3}}, mixtures=["uniform", "soup-s"])
    assert made.trainings()["soup-s"] == pytest.approx(CURR + 2, abs=1e-3)

"""How much longer `longer` trains, counted by hand, and that everything follows."""

import pytest
from toyjobs import jobs

from tdro.config.training import Tdro, Training
from tdro.pipeline.equalcompute import lengthened, steps_of_longer


@pytest.mark.parametrize(
    ("training", "tdro", "steps"),
    [
        # 100 x 32 x 3 texts, each read thrice in a training: 288 a step. tDRO: 50 steps of 16 x 9 texts, each 3 + 1.
        ({"steps": 100, "batch_size": 32, "negatives": 1}, {"steps": 50, "batch_size": 16, "negatives": 7}, 200),
        # 1 step of 2 x 3 texts, each 4: 24 units, of 288 a step.
        ({"steps": 100, "batch_size": 32, "negatives": 1}, {"steps": 1, "batch_size": 2, "negatives": 1}, 101),
        # 30 steps of 8 x 4 texts, each 4: 3840 units, of 8 x 2 x 3.
        ({"steps": 7, "batch_size": 8, "negatives": 0}, {"steps": 30, "batch_size": 8, "negatives": 2}, 87),
    ],
)
def test_steps_by_hand(training, tdro, steps):
    assert steps_of_longer(Training(**training), Tdro(**tdro, accumulation=1)) == steps


def test_the_schedule_stretches():
    longer = lengthened(Training(steps=100, warmup_steps=10, min_lr_ratio=0.1), 250)
    assert (longer.steps, longer.warmup_steps, longer.min_lr_ratio) == (250, 25, 0.1)


def test_plan_training_and_report_of_longer_have_its_steps():
    training = {"steps": 100, "batch_size": 32, "negatives": 1, "warmup_steps": 20}
    tdro = {"steps": 50, "batch_size": 16, "negatives": 7, "accumulation": 2}
    made = jobs(mixtures=["uniform", "curr", "longer"], training=training, tdro=tdro)
    assert (made.plan("longer", 1).steps, made.plan("curr", 1).steps, made.plan(None, 1).steps) == (200, 100, 50)
    assert (made.train("tiny", 1, "longer").training.steps, made.train("tiny", 1, "curr").training.steps) == (200, 100)
    assert made.train("tiny", 1, "longer").training.warmup_steps == 40
    report = made.report()
    assert (report.rows_of("longer"), report.rows_of("uniform")) == (6400, 3200)
    assert jobs(mixtures=["uniform"]).report().other_rows == {}

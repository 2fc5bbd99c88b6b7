"""A mixture to a retriever."""

from pathlib import Path

from tdro.cli.arguments import FETCHED, RESULTS, argument, command, paths, read_settings


@command(
    "plan",
    paths("weights"),
    argument("--baseline", type=Path, metavar="PLAN", help="plan.parquet of the baseline, for tDRO"),
    RESULTS,
    paths("output"),
)
def _plan(options) -> None:
    r"""Decide every row of every batch.

    input    a weights JSON, and RESULTS/data/{task}/train.parquet of each weighted task; for tDRO the plan of the
             baseline, whose rows `rows: fresh` leaves for last; `rows: dev` reads dev.parquet instead
    output   plan.parquet: step, slot, task, query, positive, negatives

    tdro plan --weights resources/released_weights/curr.json --results results --output plan.parquet \
      --settings '{layout: homogeneous, steps: 1000, batch_size: 2048, negatives: 1, seed: 42}'
    """
    from tdro.config.commands import PlanJob
    from tdro.mixtures.plan import plan_training

    plan_training(options.weights, options.results, options.output, read_settings(options, PlanJob), options.baseline)


@command(
    "train",
    argument(
        "--loss-weights", type=Path, help="weights JSON: scale each task's loss by k x weight instead of its share"
    ),
    paths("plan", "output", "checkpoints", "tensorboard"),
    FETCHED,
    RESULTS,
)
def _train(options) -> None:
    r"""Train a retriever on a homogeneous plan.

    input    plan.parquet, and RESULTS/data/{task}/{corpus,queries}.parquet; with `training.distill` also
             RESULTS/data/{task}/train.parquet, as `tdro dedup --scores` writes it
    output   a SentenceTransformer folder; a killed training resumes from CHECKPOINTS

    accelerate launch --config_file config/accelerate/ddp.yaml --num_processes 8 -m tdro train \
      --plan plan.parquet --output model --checkpoints checkpoints/nq --tensorboard logs/nq --settings @train.yaml
    """
    from tdro.config.commands import TrainJob
    from tdro.training.learner import Places
    from tdro.training.train import train

    places = Places(*(getattr(options, name) for name in Places._fields))
    train(places, read_settings(options, TrainJob), options.loss_weights)


COMMANDS = (_plan, _train)

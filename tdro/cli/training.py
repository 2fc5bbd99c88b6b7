"""A mixture to a retriever."""

import argparse
from pathlib import Path

from tdro.cli.arguments import FETCHED, RESULTS, argument, command, paths, read_settings
from tdro.errors import UserError


def _numbers(text: str) -> list[float]:
    """Numbers, written ``0.7,0.3``."""
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers with commas between, not {text!r}") from None


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
    argument(
        "--start", type=Path, metavar="MODEL", help="folder of a retriever trained from the same base, to go on from"
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
    train(places, read_settings(options, TrainJob), options.loss_weights, options.start)


@command("base", FETCHED, paths("output"))
def _base(options) -> None:
    r"""Write a base as the retriever that a training of it starts from, to average with trained models (merge --base).

    input    a base that is itself an embedding model
    output   a SentenceTransformer folder

    tdro base --output base --settings '{model: {name: minilm, base: sentence-transformers/all-MiniLM-L6-v2}}'
    """
    from tdro.config.commands import BaseJob
    from tdro.training.base import save_base

    save_base(options.output, read_settings(options, BaseJob), options.fetched)


@command(
    "merge",
    argument("model", type=Path, nargs="+", help="SentenceTransformer folder"),
    argument("--weights", type=_numbers, metavar="W,W,...", help="weight of each model; default: all alike"),
    argument("--base", type=Path, metavar="MODEL", help="what they were trained from, as `tdro base` writes it"),
    argument("--share", type=float, help="part that the average of the models has beside the base, above 0"),
    argument("--chosen", type=Path, metavar="FILE", help="what `tdro soup-scores` wrote: take the share that it chose"),
    argument("--method", choices=["linear", "multislerp"], default="linear", help="default: linear"),
    paths("output"),
    settings=False,
)
def _merge(options) -> None:
    """Average models that were trained from one base (a soup).

    input    SentenceTransformer folders that differ in the values of their weights only
    output   such a folder, with the files of the first beside the averaged weights

    tdro merge seed1/curr/model seed2/curr/model --output soup
    tdro merge curr/model --base base --share 0.5 --output half-way
    """
    from tdro.evaluation.soups import read
    from tdro.training.merge import merge

    if options.chosen and options.share is not None:
        raise UserError("--share and --chosen each say the part that the models have; give one of them.")
    share = read(options.chosen).chosen if options.chosen else options.share
    merge(options.model, options.output, options.weights, base=options.base, share=share, method=options.method)


COMMANDS = (_plan, _train, _base, _merge)

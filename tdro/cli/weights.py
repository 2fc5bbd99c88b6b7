"""tDRO: reference losses to weights."""

from pathlib import Path

from tdro.cli.arguments import FETCHED, RESULTS, argument, command, count, paths, read_settings


@command("reference", paths("plan", "model", "output", "checkpoints"), RESULTS)
def _reference(options) -> None:
    r"""Compute the frozen reference model's loss on each row of a mixed plan.

    input    plan.parquet (mixed), a retriever, and RESULTS/data/{task}/{corpus,queries}.parquet
    output   reference.parquet: step, slot, task, loss; a killed run resumes from CHECKPOINTS

    tdro reference --plan tdro/plan.parquet --model uniform/model --output tdro/reference.parquet \
      --checkpoints checkpoints/reference \
      --settings '{temperature: 0.002, tasks: {nq: {instruction: Retrieve passages that answer the question.}}}'
    """
    from tdro.config.commands import ReferenceJob
    from tdro.dro.reference import reference

    job = read_settings(options, ReferenceJob)
    reference(options.plan, options.model, options.results, options.output, options.checkpoints, job)


@command("optimize", paths("plan", "reference", "initial", "output", "checkpoints", "tensorboard"), FETCHED, RESULTS)
def _optimize(options) -> None:
    r"""Learn the task weights with tDRO.

    input    plan.parquet (mixed), its reference.parquet, a weights JSON to start from,
             and RESULTS/data/{task}/{corpus,queries}.parquet
    output   trajectory.parquet: losses, measurement and weights by step and task; beside it heaviest_rows.parquet:
             the rows that moved the weights most

    accelerate launch --config_file config/accelerate/ddp.yaml --num_processes 8 -m tdro optimize \
      --plan tdro/plan.parquet --reference tdro/reference.parquet --initial weights/uniform.json \
      --output tdro/trajectory.parquet --checkpoints checkpoints/tdro --tensorboard logs/tdro \
      --settings @optimize.yaml
    """
    from tdro.config.commands import OptimizeJob
    from tdro.dro.optimize import optimize
    from tdro.training.learner import Places

    places = Places(*(getattr(options, name) for name in Places._fields))
    optimize(places, options.reference, options.initial, read_settings(options, OptimizeJob))


@command(
    "derive",
    argument("source", type=Path, nargs="+"),
    argument("--mixture", required=True),
    argument("--rows", type=count, help="rows that a training draws (steps x batch size), for unimaxN and mergemix"),
    argument("--seed", type=int, help="seed of the run, for shuffled-N and randomP-N"),
    argument(
        "--experts", metavar="YAML", help="keys of `experts`: rho of expert-TASK, what mergemix and transfer read"
    ),
    paths("output"),
    settings=False,
)
def _derive(options) -> None:
    """Make a mixture: the share of each task.

    input    a trajectory.parquet, a weights JSON (also the released ones), or the train.parquet of every task;
             for file-NAME a weights JSON and uniform.json, which tells the training rows of the tasks;
             for chameleon task_means.parquet of `tdro task-means` and uniform.json;
             for mergemix and transfer law.json of `tdro fit-law` and uniform.json, for prune prune.json instead
    output   a weights JSON: domain_ids, domain_weights, size, epoch

    mixtures of sizes, from any input
      uniform        every task alike
      proportional   by the number of rows
      temperatureT   by the number of rows to the power 1/T
      unimaxN        as uniform as at most N passes over each task allow, for --rows in all
      without-TASK   all tasks alike but one
      expert-TASK    more of a task, of which --experts says how much
      longer         as uniform, for a training of more steps
    learnt mixtures
      curr           the last weights of a trajectory; mean, ema: averages over its steps
      topP, bottomP  the heaviest or lightest P % of the tasks, alike; from a weights JSON as well
      loss           as curr, to scale the loss of tasks that are sampled alike (tdro train --loss-weights)
    controls, drawn from N and --seed
      shuffled-N     the weights of curr given to other tasks; the log says which gets whose
      randomP-N      as many tasks as topP keeps, whichever, alike
    of merged experts
      mergemix       the best ratio by their law, for --rows in all
      transfer       more for tasks that help others
      prune          the tasks that stay, alike
    others
      chameleon      more for tasks whose embeddings stand apart
      file-NAME      the weights of a JSON, with the training rows there are here

    tdro derive resources/released_weights/curr.json --mixture top70 --output top70.json
    """
    from tdro.config.experts import Experts
    from tdro.config.sections import settings
    from tdro.mixtures.derive import derive
    from tdro.mixtures.weights import write_weights

    experts = settings(Experts, options.experts)
    write_weights(options.output, derive(options.source, options.mixture, options.rows, options.seed, experts))


@command("fit-law", paths("scores", "weights", "output"))
def _fit_law(options) -> None:
    """Fit a law of how dev losses depend on the mixture, and see which task helps which.

    input    experts/dev.parquet of `tdro expert-scores`, and a weights JSON of all tasks
    output   law.json: the law, how well it ranks mixtures left out, losses of every candidate, the table of transfer
    settings `rho` of the experts, and `seed`

    tdro fit-law --scores experts/dev.parquet --weights weights/uniform.json --output experts/law.json
    """
    from tdro.config.commands import FitLawJob
    from tdro.mixtures.fit_law import fit_law

    fit_law(options.scores, options.weights, options.output, read_settings(options, FitLawJob))


COMMANDS = (_reference, _optimize, _derive, _fit_law)

"""What choices are made on."""

from pathlib import Path

from tdro.cli.arguments import argument, command, paths, read_settings


@command(
    "dev-pool",
    argument("name", help="name of the task or benchmark"),
    paths("corpus", "queries"),
    argument("--rows", type=Path, help="dev.parquet of a task; without it all queries are asked, as of a benchmark"),
    paths("output"),
)
def _dev_pool(options) -> None:
    r"""Decide what each dev query of a dataset is ranked among.

    input    corpus.parquet and queries.parquet; of a task its dev.parquet, whose negatives are the query's own. Those
             of a benchmark are the passages that BM25 finds first and that are not relevant
    output   a file of candidates for `tdro dev-scores`: the positive, own hard negatives, a pool that all queries share
    settings `seed`

    tdro dev-pool nq --corpus results/data/nq/corpus.parquet --queries results/data/nq/queries.parquet \
      --rows results/data/nq/dev.parquet --output results/dev/nq.parquet
    """
    from tdro.config.commands import DevPoolJob
    from tdro.evaluation.dev_pool import dev_pool

    job = read_settings(options, DevPoolJob)
    dev_pool(options.name, options.corpus, options.queries, options.rows, options.output, job.seed)


@command("dev-scores", paths("model", "output"))
def _dev_scores(options) -> None:
    r"""Measure a retriever on dev queries: loss and rank of each positive among its candidates.

    input    a SentenceTransformer folder; of each dataset of the settings corpus.parquet, queries.parquet and the
             candidates, by `tdro dev-pool`
    output   a file with dataset, query, loss and reciprocal_rank

    tdro dev-scores --model uniform/model --output uniform/dev.parquet \
      --settings '{temperature: 0.02, datasets: {nq: {corpus: nq/corpus.parquet, queries: nq/queries.parquet,
                                                      candidates: dev/nq.parquet, instruction: Find pages.}}}'
    """
    from tdro.config.commands import DevScoresJob
    from tdro.evaluation.dev_scores import dev_scores

    dev_scores(options.model, read_settings(options, DevScoresJob), options.output)


@command(
    "expert-scores",
    argument("experts", metavar="EXPERT", type=Path, nargs="+", help="folder of a task's expert, in the tasks' order"),
    paths("warmup", "weights", "output", "checkpoints"),
)
def _expert_scores(options) -> None:
    r"""Measure many mixtures by experts of the tasks, whose changes are added up in memory.

    input    the model that the experts went on from, the experts, a weights JSON of all tasks, and for each dataset of
             the settings what `tdro dev-scores` reads
    output   a file with candidate, ratio, dataset, query, loss, reciprocal_rank; a killed job resumes from CHECKPOINTS
    settings as of `tdro dev-scores`, and `tasks`, `rho`, `candidates`, `seed`

    tdro expert-scores expert-code/model expert-faq/model expert-web/model --warmup warmup/model \
      --weights weights/uniform.json --output experts/dev.parquet --checkpoints checkpoints/experts --settings @it.yaml
    """
    from tdro.config.commands import ExpertScoresJob
    from tdro.evaluation.expert_scores import expert_scores

    job = read_settings(options, ExpertScoresJob)
    expert_scores(options.warmup, options.experts, options.weights, options.output, options.checkpoints, job)


@command("prune-candidates", paths("scores", "output"))
def _prune_candidates(options) -> None:
    """Find the tasks that merged experts make doubtful, for a training without each.

    input    experts/dev.parquet of `tdro expert-scores`
    output   candidates.json: tasks, `merged` utilities, the tasks `asked` about
    settings `confidence`, `samples`, `seed`

    tdro prune-candidates --scores experts/dev.parquet --output experts/candidates.json
    """
    from tdro.config.commands import PruneJob
    from tdro.evaluation.prune_candidates import prune_candidates

    prune_candidates(options.scores, options.output, read_settings(options, PruneJob))


@command(
    "prune",
    argument("without", metavar="DEV", type=Path, nargs="*", help="dev scores without each task that is asked about"),
    paths("candidates", "whole", "output"),
)
def _prune(options) -> None:
    r"""Decide which tasks a training is better off without.

    input    candidates.json of `tdro prune-candidates`; dev scores (`tdro dev-scores`) of the retriever trained on all
             tasks, and of those trained without each of the tasks asked about, in that order
    output   prune.json: `merged` and `trained` utilities, the tasks `dropped` and `kept`
    settings `confidence`, `samples`, `seed`

    tdro prune without-web/dev.parquet --candidates experts/candidates.json --whole uniform/dev.parquet \
      --output experts/prune.json
    """
    from tdro.config.commands import PruneJob
    from tdro.evaluation.prune import prune

    job = read_settings(options, PruneJob)
    prune(options.candidates, options.whole, options.without, options.output, job)


@command(
    "soup-scores",
    argument("model", type=Path, nargs="+", help="SentenceTransformer folder"),
    argument("--base", type=Path, metavar="MODEL", help="what they were trained from, as `tdro base` writes it"),
    paths("output"),
)
def _soup_scores(options) -> None:
    r"""Measure averages of models on dev queries, and each model; choose the share that the base leaves them.

    input    SentenceTransformer folders that differ in the values of their weights only; files as of dev-scores
    output   a JSON file: mean loss and mean reciprocal rank of each model and average, and the share of the best one
    settings those of dev-scores, `shares` and `method`

    tdro soup-scores curr/model --base base --output soup.json \
      --settings '{shares: [0.25, 0.5, 0.75, 1], temperature: 0.02, datasets: {...}}'
    """
    from tdro.config.commands import SoupScoresJob
    from tdro.evaluation.soup_scores import soup_scores

    soup_scores(options.model, read_settings(options, SoupScoresJob), options.output, options.base)


COMMANDS = (_dev_pool, _dev_scores, _expert_scores, _prune_candidates, _prune, _soup_scores)

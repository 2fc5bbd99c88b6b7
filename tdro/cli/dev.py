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


COMMANDS = (_dev_pool, _dev_scores)

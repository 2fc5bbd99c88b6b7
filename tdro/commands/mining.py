"""Hard negatives."""

from tdro.commands.arguments import add_command, add_fetched, add_paths, read_settings


def _mine(commands) -> None:
    command = add_command(
        commands,
        "mine",
        "Find hard negatives with an embedding model.",
        """
        input    corpus.parquet, queries.parquet
        output   negatives.parquet, with the miner's scores
        settings section `mining` of the config

        tdro mine --corpus results/data/nq/corpus.parquet --queries results/data/nq/queries.parquet \\
          --output results/data/nq/negatives.parquet --settings '{model: BAAI/bge-base-en-v1.5, margin: 0.05}'
        """,
        _run_mine,
    )
    add_paths(command, "corpus", "queries", "output")
    add_fetched(command)


def _run_mine(options) -> None:
    from tdro.config import Mining
    from tdro.mine import mine

    mine(options.corpus, options.queries, options.output, read_settings(options, Mining), options.fetched)


COMMANDS = (_mine,)

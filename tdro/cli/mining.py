"""Hard negatives: encode, search, rescore, select."""

from pathlib import Path

from tdro.cli.arguments import FETCHED, argument, command, paths, read_settings


@command(
    "encode",
    argument("folders", metavar="FOLDER", type=Path, nargs="+", help="a task's data; the model loads once"),
    paths("checkpoints"),
    FETCHED,
    made=lambda options: [folder / "embeddings" for folder in options.folders],
)
def _encode(options) -> None:
    r"""Embed corpus and queries of tasks with the miner.

    input    FOLDER/corpus.parquet, FOLDER/queries.parquet
    output   FOLDER/embeddings/corpus/, FOLDER/embeddings/queries/: float16 shards and manifest.json;
             a killed run resumes from CHECKPOINTS/{name of the folder}
    settings section `mining.encode` of the config

    accelerate launch --config_file config/accelerate/ddp.yaml --num_processes 8 -m tdro encode \
      results/data/nq results/data/msmarco --checkpoints checkpoints/embeddings \
      --settings '{model: BAAI/bge-base-en-v1.5, batch_size: 256}'
    """
    from tdro.config.mining import Encode
    from tdro.mining.encode import encode

    encode(options.folders, options.checkpoints, read_settings(options, Encode), options.fetched)


@command("search", paths("embeddings", "corpus", "queries", "output", "checkpoints"))
def _search(options) -> None:
    r"""Find the passages nearest to each query.

    input    embeddings/ of `tdro encode`, corpus.parquet, queries.parquet
    output   candidates.parquet, with scores; a killed run resumes from CHECKPOINTS
    settings section `mining.search` of the config

    tdro search --embeddings results/data/nq/embeddings --corpus results/data/nq/corpus.parquet \
      --queries results/data/nq/queries.parquet --output candidates.parquet \
      --checkpoints checkpoints/candidates/nq --settings '{index: Flat, depth: 100}'
    """
    from tdro.config.mining import Search
    from tdro.mining.search import search

    settings = read_settings(options, Search)
    search(options.embeddings, options.corpus, options.queries, options.output, options.checkpoints, settings)


@command("rescore", paths("candidates", "corpus", "queries", "output"), FETCHED)
def _rescore(options) -> None:
    r"""Score the best candidates anew with a cross-encoder.

    input    candidates.parquet, corpus.parquet, queries.parquet
    output   rescored.parquet, of the same columns
    settings section `mining.rescore` of the config

    tdro rescore --candidates candidates.parquet --corpus results/data/nq/corpus.parquet \
      --queries results/data/nq/queries.parquet --output rescored.parquet \
      --settings '{model: cross-encoder/ms-marco-MiniLM-L6-v2, depth: 50}'
    """
    from tdro.config.mining import Rescore
    from tdro.mining.rescore import rescore

    settings = read_settings(options, Rescore)
    rescore(options.candidates, options.corpus, options.queries, options.output, settings, options.fetched)


@command("select", paths("candidates", "corpus", "queries", "output"))
def _select(options) -> None:
    r"""Choose hard negatives among the candidates; takes seconds.

    input    candidates.parquet or rescored.parquet, corpus.parquet, queries.parquet
    output   negatives.parquet, with the miner's scores
    settings section `mining.select` of the config

    tdro select --candidates candidates.parquet --corpus results/data/nq/corpus.parquet \
      --queries results/data/nq/queries.parquet --output results/data/nq/negatives.parquet \
      --settings '{ranks: [2, 100], samples: 16, margin: 0.05}'
    """
    from tdro.config.mining import Select
    from tdro.mining.select import select_negatives

    settings = read_settings(options, Select)
    select_negatives(options.candidates, options.corpus, options.queries, options.output, settings)


@command(
    "task-means",
    argument("folders", metavar="FOLDER", type=Path, nargs="+", help="a task's data"),
    paths("output"),
    settings=False,
)
def _task_means(options) -> None:
    """Average the embeddings of each task, for the mixture chameleon.

    input    FOLDER/embeddings/ of `tdro encode`
    output   task_means.parquet

    tdro task-means results/data/nq results/data/msmarco --output task_means.parquet
    """
    from tdro.mining.task_means import task_means

    task_means(options.folders, options.output)


COMMANDS = (_encode, _search, _rescore, _select, _task_means)

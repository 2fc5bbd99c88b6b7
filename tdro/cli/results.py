"""A retriever to scores, scores to what people read."""

from pathlib import Path

from tdro.cli.arguments import FETCHED, RESULTS, argument, command, named_path, paths, read_settings
from tdro.errors import UserError

_COSTS = argument("--costs", type=Path, metavar="FOLDER", help="folder for time, energy and tokens")


def _evaluated(options) -> list[Path]:
    from tdro.artifacts.layout import evaluation_files
    from tdro.config.commands import EvaluateJob

    benchmarks = read_settings(options, EvaluateJob).benchmarks
    return [Path(evaluation_files(options.output, benchmark).scores) for benchmark in benchmarks]


@command(
    "evaluate",
    argument("--model", type=Path),
    argument("--runs", action="store_true", help="keep the rankings"),
    paths("output"),
    _COSTS,
    FETCHED,
    made=_evaluated,
)
def _evaluate(options) -> None:
    r"""Score a retriever on test sets.

    input    a SentenceTransformer folder, or `retriever` of the settings, and corpus.parquet and queries.parquet
             of each test set of each benchmark
    output   of each benchmark OUTPUT/{benchmark}.json, mean scores, and OUTPUT/{benchmark}.queries.parquet, the
             scores of each query; with --runs the rankings, OUTPUT/{benchmark}.runs/{dataset}.trec

    tdro evaluate --model uniform/model --output uniform/eval \
      --settings '{benchmarks: {web: {web: {corpus: web/corpus.parquet, queries: web/queries.parquet,
                                            instruction: Find pages.}}}}'
    """
    from tdro.config.commands import EvaluateJob
    from tdro.evaluation.evaluate import evaluate

    job = read_settings(options, EvaluateJob)
    retriever = _retriever(options, job)
    options_of = {
        "runs": options.runs,
        "fetched": options.fetched,
        "dimensions": job.dimensions,
        "costs": options.costs,
    }
    evaluate(retriever, job.benchmarks, job.encoding, options.output, **options_of)


@command("sample-corpus", paths("corpus"), argument("--queries", type=Path, nargs="+", required=True), paths("output"))
def _sample_corpus(options) -> None:
    r"""Sample a large corpus for previews: relevant passages, those that BM25 ranks first, and random ones.

    input    corpus.parquet, and the queries.parquet of every test set that searches it
    output   a corpus.parquet of fewer passages, and its digest
    settings `evaluation.sample` of the config

    tdro sample-corpus --corpus nq/corpus.parquet --queries nq/queries.parquet --output nq@sample/corpus.parquet \
      --settings '{hard: 50, random: 2000}'
    """
    from tdro.config.schema import Sample
    from tdro.evaluation.sample_corpus import sample_corpus

    sample_corpus(options.corpus, options.queries, read_settings(options, Sample), options.output)


@command(
    "search-corpus",
    argument("--model", type=Path),
    argument("--part", default="1of1", metavar="NofM"),
    paths("output", "checkpoints"),
    _COSTS,
    FETCHED,
)
def _search_corpus(options) -> None:
    r"""Search a part of a large corpus for the queries of all its test sets.

    input    a SentenceTransformer folder, or `retriever` of the settings, and corpus.parquet and queries.parquet of
             the test sets, which search one corpus
    output   a file of rankings: the best passages of the part for each query, for `tdro merge-rankings`;
             a killed run resumes from CHECKPOINTS

    accelerate launch --config_file config/accelerate/ddp.yaml --num_processes 8 -m tdro search-corpus \
      --model uniform/model --part 3of17 --output rankings/nq/3of17.parquet --checkpoints checkpoints/nq/3of17 \
      --settings '{tests: {nq: {corpus: nq/corpus.parquet, queries: nq/queries.parquet, instruction: Find pages.}}}'
    """
    from tdro.config.commands import SearchCorpusJob
    from tdro.evaluation.search_corpus import portion, search_corpus

    job = read_settings(options, SearchCorpusJob)
    how = {"fetched": options.fetched, "dimensions": job.dimensions, "costs": options.costs}
    places = (portion(options.part), options.output, options.checkpoints)
    search_corpus(_retriever(options, job), job.encoding, job.tests, *places, **how)


@command("merge-rankings", argument("parts", metavar="FILE", type=Path, nargs="+"), paths("output"), settings=False)
def _merge_rankings(options) -> None:
    """Find the best passages of each query among those of all parts of a corpus.

    input    the files of `tdro search-corpus`, of every part
    output   a file of rankings of the same columns, which `tdro evaluate` scores

    tdro merge-rankings rankings/nq/*.parquet --output rankings/nq.parquet
    """
    from tdro.evaluation.metrics import RANKED
    from tdro.retrieval.rankings import merge_rankings

    merge_rankings(options.parts, options.output, RANKED)


def _retriever(options, job):
    """The folder of a trained retriever, or the one that the settings name."""
    if (options.model is None) == (job.retriever is None):
        raise UserError("give either --model or `retriever` in the settings.")
    return options.model or job.retriever


@command(
    "report",
    RESULTS,
    argument("--logs", type=Path, default=Path("logs")),
    paths("html", "csv"),
    made=lambda options: options.html,
)
def _report(options) -> None:
    """Write the report and print its table.

    input    everything below RESULTS that the settings name, and Snakemake's benchmark files below LOGS
    output   a self-contained HTML page and a CSV

    tdro report --results results --logs logs --html report.html --csv results.csv --settings @report.yaml
    """
    from tdro.artifacts.layout import Layout
    from tdro.config.commands import Content
    from tdro.report.report import build

    content = read_settings(options, Content)
    print(build(content, Layout(options.results), str(options.logs), options.html, options.csv))


@command("tables", paths("results-csv", "paper", "output"))
def _tables(options) -> None:
    r"""Print the paper's tables 3 and 5 with our figures beside its own.

    input    the report's results.csv, and the paper's figures
    output   tables.md; empty cells for what was not run
    settings `measure` (tdro.measure of the run), `evaluated` (datasets evaluated of BEIR, MIRACL and MKQA)

    tdro tables --results-csv results/report/results.csv --paper resources/paper_results.csv --output tables.md \
      --settings '{evaluated: {BEIR: 15, MIRACL: 18, MKQA: 25}}'
    """
    from tdro.config.commands import TablesJob
    from tdro.report.tables import tables

    job = read_settings(options, TablesJob)
    print(tables(options.results_csv, options.paper, job.measure, job.evaluated, options.output))


@command(
    "export",
    paths("model"),
    argument("--weights", type=Path),
    argument("--scores", type=Path, nargs="*", default=[]),
    argument("--output", type=Path, metavar="FOLDER|FILE.tar.gz"),
    argument("--push", metavar="OWNER/NAME", help="hub repository; needs `hf auth login`"),
    argument("--private", action="store_true", help="make a new repository private"),
    argument("--formats", nargs="*", default=[], metavar="FORMAT", help="onnx, onnx-int8, openvino, gguf, gguf-q8_0"),
    argument("--converter", metavar="FILE", help="llama.cpp's convert_hf_to_gguf.py, for gguf"),
    argument("--held-out", type=named_path, nargs="*", default=[], metavar="TASK=FOLDER", help="scores int8, binary"),
    argument("--check", metavar="URL", help="compare a running server with the model, and export nothing"),
    argument("--served-name", metavar="NAME", help="what the server calls the model; default: ask it"),
)
def _export(options) -> None:
    r"""Pack a trained retriever with its weights and results, in the formats of servers, or push it to the hub.

    input    a model's folder, the weights JSON it was trained with, and its scores; with --held-out folders of
             corpus.parquet and queries.parquet
    output   a folder, or an archive of it, whose README.md is the model card and whose export.json says how close
             each format is to the model; with --push a hub repository
    settings `licence` of the model, and of `tasks` language, licence, hub and mteb, for the card

    tdro export --model curr/model --weights weights/curr.json --scores curr/eval/*.json --output curr.tar.gz
    tdro export --model curr/model --weights weights/curr.json --output served --formats onnx openvino \
      --held-out az_cli=results/data/az_cli/heldout
    tdro export --model served --check http://localhost:8000
    """
    if options.check:
        if options.output or options.push or options.formats or options.held_out:
            raise UserError("--check compares a server and exports nothing; give it --model and --served-name alone.")
        _check_server(options)
        return
    from tdro.config.commands import ExportJob
    from tdro.config.nearest import hint
    from tdro.export import gguf, package
    from tdro.export.shrunk import HeldOut

    if not (options.output or options.push):
        raise UserError("nothing to do: give --output, --push, or both.")
    if options.weights is None:
        raise UserError("give --weights: the weights JSON that the model was trained with.")
    if unknown := [name for name in options.formats if name not in package.FORMATS]:
        known = ", ".join(package.FORMATS)
        raise UserError(f"--formats {unknown[0]!r}{hint(unknown[0], package.FORMATS)} is none of {known}.")
    how = {
        "private": options.private,
        "formats": options.formats,
        "held_out": [HeldOut(*one) for one in options.held_out],
        "job": read_settings(options, ExportJob),
        "converter": options.converter or gguf.CONVERTER,
    }
    made = (options.model, options.weights, options.scores, options.output, options.push)
    print(package.export(*made, **how))


def _check_server(options) -> None:
    from tdro.export.losses import report
    from tdro.export.server import Server, check

    server = Server(options.check, options.served_name)
    print(report(check(options.model, server)))


@command(
    "push",
    argument("source", type=Path, metavar="PACKAGE|RESULTS"),
    argument("--to", required=True, metavar="OWNER/NAME", help="hub repository; needs `hf auth login` or HF_TOKEN"),
    argument("--private", action="store_true", help="make a new repository private"),
    argument("--mixtures", nargs="+", default=[], help="of results, the models of these; default: all"),
    argument("--dry-run", action="store_true", help="list what would be sent, and send nothing"),
    settings=False,
    made=lambda options: None,
)
def _push(options) -> None:
    """Upload a package, or the models, weights and report of results, to a repository of the hub.

    input    a package of `tdro export`, a model's folder, or a folder of results
    output   a commit of the repository: a package's files at its top, or models/, weights/ and report/ with a card;
             a line for each file is printed

    tdro push results/packages/minilm.seed42.curr.tar.gz --to me/minilm-curr --dry-run
    """
    from tdro.export.push import push

    how = {"private": options.private, "mixtures": options.mixtures, "dry_run": options.dry_run}
    print(push(options.source, options.to, **how))


COMMANDS = (_sample_corpus, _search_corpus, _merge_rankings, _evaluate, _export, _push, _report, _tables)

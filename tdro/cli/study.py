"""A study: which mixture to train on, by trainings of all of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tdro.artifacts.layout import Layout
from tdro.cli.arguments import RESULTS, argument, command, paths, read_settings
from tdro.cli.handover import run
from tdro.cli.planrun import HANDED_ON
from tdro.errors import UserError

_ROOT = Path(__file__).parents[2]
#: Options of Snakemake that say where or whether jobs run.
_WHERE = ("--cores", "-c", "--jobs", "-j", "--profile")
_DRY = ("--dry-run", "--dryrun", "-n")


@command("recommend", RESULTS, paths("output"))
def _recommend(options) -> None:
    r"""Choose a mixture on dev queries.

    input    dev scores of every model, seed and mixture of the settings, below RESULTS
    output   recommendation.json: of each model a sentence, the mixture, and what every mixture has on dev
    settings `models`, `seeds`, `mixtures`, `dev`, `trainings`, `report`

    tdro recommend --output results/dev/recommendation.json \
      --settings '{models: [minilm], seeds: [1, 2, 3], mixtures: [uniform, curr], dev: {dev_rows: [faq, tickets]}}'
    """
    from tdro.config.commands import RecommendJob
    from tdro.report.study.recommend import recommend

    print(recommend(read_settings(options, RecommendJob), Layout(options.results), options.output))


@command("overview", paths("choice", "results-csv", "json", "text"), settings=False, made=lambda options: options.json)
def _overview(options) -> None:
    r"""Set the choice on dev queries beside what is reported.

    input    recommendation.json of `tdro recommend`, and the report's results.csv
    output   study.json, and study.txt: two tables a model, and the sentence

    tdro overview --choice results/dev/recommendation.json --results-csv results/report/results.csv \
      --json study.json --text study.txt
    """
    from tdro.artifacts.layout import StudyFiles
    from tdro.report.study.overview import overview

    print(overview(options.choice, options.results_csv, StudyFiles(options.json, options.text)))


def _hands_on(parser) -> None:
    parser.set_defaults(**{HANDED_ON: []})


@command(
    "study",
    argument("file", type=Path, nargs="?", metavar="CONFIG", help="the configuration of your project"),
    argument("--mixtures", nargs="+", metavar="NAME", help="default: those of the configuration"),
    argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="other changes, as Snakemake takes them"),
    argument("--seeds", nargs="+", type=int, metavar="N", help="default: those of the configuration"),
    argument(
        "--directory", type=Path, default=Path(), metavar="FOLDER", help="where to run; default: the working folder"
    ),
    argument("--compare", nargs=2, type=Path, metavar="FOLDER", help="say whether two finished studies agree"),
    _hands_on,
    settings=False,
    made=lambda options: None,
)
def _study(options) -> None:
    r"""Make a study of your project: what it will cost, a training of every mixture and seed, and what to train on.

    input    a configuration with `dev`; further arguments go to Snakemake, such as --cores 8 or --profile slurm
    output   the forecast, then the run, which goes on with what FOLDER has; study.txt of its report at the end

    A mixture is chosen by dev queries. What the report has of it was seen by no choice, and stands beside it.

    tdro study config/mine.yaml --directory mine --mixtures uniform curr shuffled-1 top70 --seeds 1 2 3 4 5
    tdro study --compare study/wide study/deep
    """
    if options.compare:
        from tdro.report.study.agreement import said

        print(said(*(folder / "results" for folder in options.compare)))
    elif options.file:
        _run(options)
    else:
        raise UserError("name a configuration, or two folders of finished studies behind --compare.")


def _run(options) -> None:
    """Forecast, run, print."""
    file, folder = options.file.resolve(), options.directory.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    changes = _changes(options)
    print(_forecast(file, changes), flush=True)
    unlock = subprocess.run([sys.executable, str(_ROOT / "workflow/scripts/unlock.py")])
    if unlock.returncode:
        sys.exit(unlock.returncode)
    status = run(_line(file, changes, getattr(options, HANDED_ON)))
    text = Path(Layout().study.text)
    if not status and text.is_file() and not set(_DRY) & set(getattr(options, HANDED_ON)):
        print(text.read_text(encoding="utf-8"), end="")
    sys.exit(status)


def _changes(options) -> dict:
    """What the command line says otherwise than the configuration."""
    from snakemake.cli import parse_config

    try:
        changes = parse_config(options.config)
    except ValueError as error:
        raise UserError(f"--config: {error}") from None
    return changes | {key: value for key in ("mixtures", "seeds") if (value := getattr(options, key))}


def _forecast(file: Path, changes: dict) -> str:
    """The forecast's table, of a configuration on which a study can be made."""
    from snakemake.utils import update_config

    from tdro.forecast.forecast import of_jobs
    from tdro.forecast.rates import Asked
    from tdro.forecast.table import table
    from tdro.pipeline.start import read, values_of

    values = values_of(file)
    update_config(values, changes)
    jobs = read(values, _ROOT, [file])
    jobs.recommend()  # says what is missing where nothing is to choose on
    return table(of_jobs(jobs, Layout(), _ROOT, Asked(), study=True))


def _line(file: Path, changes: dict, handed_on: list[str]) -> list[str]:
    """Snakemake's command line."""
    told = any(argument.split("=")[0] in _WHERE for argument in handed_on)
    changed = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    line = [sys.executable, "-m", "snakemake", "study", "--snakefile", str(_ROOT / "Snakefile")]
    line += ["--configfile", str(file)]
    line += ["--config", *changed] if changed else []
    return [*line, *([] if told else ["--cores", "all"]), *handed_on]


COMMANDS = (_recommend, _overview, _study)

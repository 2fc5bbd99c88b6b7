"""What a run will cost, and how fast this machine is."""

import json
from pathlib import Path

from tdro.cli.arguments import RESULTS, argument, command, count

_CONFIG = argument("--configfile", type=Path, default=None, metavar="YAML", help="default: config/config.yaml")


def configured(configfile: Path | None):
    """The jobs of a configuration, and the project's folder."""
    from tdro.pipeline.start import read, values_of

    root = Path(__file__).parents[2]
    own = Path("config/config.yaml")
    file = configfile or (own if own.is_file() else root / own)
    return read(values_of(file), root, [file]), root


@command(
    "forecast",
    _CONFIG,
    RESULTS,
    argument("--device", metavar="NAME", help="H100, A100, ..., cpu; default: this machine, as `tdro probe` found it"),
    argument("--gpus", type=count, metavar="N", help="of a training; default: those of this machine, or 1"),
    argument("--study", action="store_true", help="of `tdro study`: dev queries are measured, too"),
    argument("--json", action="store_true", help="print JSON"),
    settings=False,
    made=lambda options: None,
)
def _forecast(options) -> None:
    """Tell what a run will cost, before it starts.

    input    a configuration, what RESULTS holds of it already, and what is known of its models
    output   a row a rule: jobs, tokens, FLOP, time, GPU hours, disk, memory; below it where the figures come from

    tdro forecast --configfile config/paper.yaml --device H800 --gpus 8
    """
    from tdro.artifacts.layout import Layout
    from tdro.forecast.forecast import of_jobs
    from tdro.forecast.rates import Asked
    from tdro.forecast.table import as_json, table

    jobs, root = configured(options.configfile)
    found = of_jobs(jobs, Layout(options.results), root, Asked(options.device, options.gpus), study=options.study)
    print(json.dumps(as_json(found), indent=2) if options.json else table(found))


@command(
    "probe",
    _CONFIG,
    RESULTS,
    argument("--model", metavar="NAME", help="a model of the configuration; default: its proxy"),
    settings=False,
    made=lambda options: None,
)
def _probe(options) -> None:
    """Measure how fast this machine is with a model, for `tdro forecast`.

    input    a configuration; the base is fetched where it is not here
    output   rates, kept in the folder probes of $TDRO_CACHE (default: ~/.cache/tdro) for this machine and this base

    Runs 24 and 4 steps of its training on made texts, and encodes some: one to some minutes.

    tdro probe --configfile config/paper.yaml --model qwen1.5-0.5b
    """
    from tdro.artifacts.layout import Layout
    from tdro.forecast.probe import probe

    jobs, root = configured(options.configfile)
    found = probe(jobs, root, Layout(options.results), options.model)
    print(
        f"training {found.training / 1e9:,.0f} GFLOP/s, encoding {found.encoding / 1e9:,.0f}, search "
        f"{found.search / 1e9:,.0f}; start of a job {found.start:.1f} s, of a training {found.start_training:.1f} s; "
        f"a job without a model takes {found.pace:.1f} times as long as stated"
    )


COMMANDS = (_forecast, _probe)

import io
import logging
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from tdro.pipeline.screen import planned
from tdro.pipeline.screen.planned import Plan, said

WAITS = {"may run: decided when all data are prepared": set()}
NEW = {"new": set()}


class Job:
    def __init__(self, rule, *, threads=1, shellcmd="x", after=()):
        self.rule, self.threads, self.after = SimpleNamespace(name=rule, shellcmd=shellcmd), threads, after


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Rows of the table of jobs with their reasons, where earlier trainings took ten minutes and dedups 30 s."""
    for rule, seconds in (("train", 600), ("dedup", 30)):
        (tmp_path / rule).mkdir()
        (tmp_path / rule / "x.tsv").write_text(f"s\tmax_rss\n{seconds}\t1\n")

    def show(whys, cores=2):
        monkeypatch.setattr(planned, "reasons", lambda dag: whys)
        dag = SimpleNamespace(toposorted=lambda: [whys], dependencies={job: job.after for job in whys})
        stream = io.StringIO()
        handler = Plan(stream, SimpleNamespace(dag=dag), cores, tmp_path)
        record = logging.LogRecord("snakemake", logging.INFO, "", 0, "", (), None)
        record.event = LogEvent.RUN_INFO
        handler.handle(record)
        lines = [line for line in stream.getvalue().splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[1:]], stream.getvalue()

    return show


def test_jobs_of_a_rule_with_one_reason_are_a_row_and_what_only_gathers_is_none(table):
    dedups = [Job("dedup") for _ in range(3)]
    rows, text = table(
        {dedups[0]: NEW, Job("train"): NEW, dedups[1]: WAITS, dedups[2]: NEW, Job("all", shellcmd=None): NEW}
    )
    assert rows == [
        ["dedup", "2", "new", "1 min"],
        ["dedup", "1", *WAITS, "30 s"],
        ["train", "1", "new", "10 min"],
        ["total", "4", "of them 1 may be left out", "10 min"],
    ]
    assert "earlier runs in this folder" in text


@pytest.mark.parametrize(
    ("threads", "cores", "total"), [(1, 2, "20 min"), (2, 2, "30 min"), (2, None, "20 min"), (8, 3, "30 min")]
)
def test_the_total_is_the_longest_chain_or_the_work_that_the_cores_share(table, threads, cores, total):
    first = Job("train", threads=threads)
    jobs = [first, Job("train", threads=threads, after=[first]), Job("train", threads=threads)]
    assert table(dict.fromkeys(jobs, NEW), cores)[0][-1] == ["total", "3", "", total]


def test_times_that_nobody_measured_are_said_to_be_such(table):
    assert "else the forecast's or the demo's" in table({Job("encode"): NEW})[1]


def test_what_reasons_name_is_put_together_and_cut():
    whys = [{"input changed": {f"{letter}.jsonl"}, "asked for": set()} for letter in "edcba"]
    assert said(whys) == "input changed: a.jsonl, b.jsonl, c.jsonl and 2 more; asked for"

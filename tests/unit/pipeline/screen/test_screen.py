import io
import json
import logging
import math
import os
import re
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.logging import ColorizingTextHandler, DefaultFilter
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from tdro.pipeline.screen.handler import Screen
from tdro.pipeline.screen.install import use_screen
from tdro.pipeline.screen.logends import complaint, last_line, time_left, warnings
from tdro.pipeline.screen.timeleft import DEMO, Durations, Running, estimate, spoken


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def show(tmp_path, monkeypatch):
    """Builds a screen; what it is told is a call of `show.told(event, message, **what)`."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    screens = []

    def build(stream=None, quiet=(), show_failed_logs=False, results=None):
        stream = stream or io.StringIO()
        settings = SimpleNamespace(quiet=set(quiet), show_failed_logs=show_failed_logs, nocolor=False)
        shown = DefaultFilter(set(quiet), False, False, False, False).filter
        screen = Screen(stream, settings, shown, results, tmp_path / "logs")
        screens.append(screen)

        def told(event, message="", level=logging.INFO, **what):
            record = logging.LogRecord("snakemake", level, "", 0, message, (), None)
            record.__dict__ |= what | {"event": event}
            screen.handle(record)

        def begins(number, rule, log=None, says=None, **wildcards):
            told(
                LogEvent.JOB_INFO, jobid=number, rule_name=rule, rule_msg=says, log=[str(log)] if log else [],
                wildcards=wildcards, shellcmd="x", reason="many files " * 30,
            )  # fmt: skip

        return SimpleNamespace(told=told, begins=begins, said=stream.getvalue, screen=screen)

    yield build
    for screen in screens:
        screen.close()


def clockless(text):
    return re.sub(r"^\d\d:\d\d:\d\d ", "", text, flags=re.MULTILINE)


def test_elsewhere_than_on_a_terminal_every_job_is_one_line_when_it_begins(show):
    run = show()
    run.told(LogEvent.RUN_INFO, "a table", stats={"plan": 1, "dedup": 2, "all": 1, "total": 4})
    run.begins(1, "plan", says="Planning curr training of tiny, seed 1")
    run.told(None, "Select jobs to execute...")
    run.told(LogEvent.SHELLCMD, "python -m tdro plan")
    run.told(LogEvent.JOB_FINISHED, "Finished jobid: 1 (Rule: plan)", job_id=1)
    run.told(LogEvent.PROGRESS, None, done=1, total=4)
    run.begins(2, "dedup", task="faq")
    lines = re.sub("about .+? left", "about T left", clockless(run.said())).splitlines()
    assert lines == [
        "3 jobs: 1 plan, 2 dedup",
        "[0 of 4 done, about T left] Planning curr training of tiny, seed 1",
        "[1 of 4 done, about T left] dedup task faq",
    ]


def test_on_a_terminal_a_job_is_a_line_when_it_has_ended_and_what_goes_on_stands_below(show, tmp_path):
    run = show(Terminal())
    (tmp_path / "log").write_text("22:56:14 tdro.training.trainer: loss 0.29  67% 40/60 [00:10<00:05, 4step/s]\n")
    run.told(LogEvent.RUN_INFO, "", stats={"train": 2, "total": 2})
    run.begins(1, "train", tmp_path / "log", "Training tiny on [curr], seed 1")
    run.told(None, "A warning", logging.WARNING)
    assert "Training tiny on [curr], seed 1" in run.said()
    assert "loss 0.29" in run.said()
    assert "0 of 2 done" in run.said()
    assert "22:56:14" not in run.said()
    before = len(run.said())
    run.told(LogEvent.JOB_FINISHED, "", job_id=1)
    assert re.search(r"Training tiny on \[curr\], seed 1\x1b\[2m  1 s", run.said()[before:])
    run.screen.close()
    assert run.said().count("\x1b[?25l") == run.said().count("\x1b[?25h")  # the cursor is hidden and shown again


def test_a_gathering_rule_is_no_line(show):
    run = show()
    run.told(
        LogEvent.JOB_INFO, jobid=0, rule_name="all", rule_msg=None, log=[], wildcards={}, shellcmd=None, reason="files"
    )
    run.told(LogEvent.JOB_FINISHED, "", job_id=0)
    assert run.said() == ""


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
@pytest.mark.parametrize("quiet", [(), (Quietness.RULES,), (Quietness.PROGRESS,)])
def test_a_failed_job_says_its_sentence_its_rule_and_where_its_log_lies(show, tmp_path, stream, quiet):
    run, log = show(stream(), quiet), tmp_path / "train.log"
    log.write_text(
        "12:00:00 tdro.training.train: begins\ntdro train: error: the base is broken; mend it.\nTraceback\n  launcher\n"
    )
    run.begins(3, "train", log, "Training tiny on curr, seed 1")
    run.told(None, f"RuleException:\nCalledProcessError in file x, line 5:\nCommand '{'x' * 900}'", logging.ERROR)
    run.told(LogEvent.JOB_ERROR, "", logging.ERROR, jobid=3, rule_name="train", rule_msg=None, log=[str(log)])
    said = re.sub(r"\x1b\[[\d;?]*\w", "", run.said())
    assert f"Training tiny on curr, seed 1 failed after 1 s (rule train).\nIts log, {log}, says:\n" in said
    assert " says:\ntdro train: error: the base is broken; mend it.\n" in said
    assert "xxx" not in said
    assert "launcher" not in said


def test_a_failed_job_without_our_sentence_or_without_a_log(show, tmp_path):
    run = show()
    (tmp_path / "log").write_text("".join(f"line {n}\n" for n in range(100)))
    run.told(LogEvent.JOB_ERROR, jobid=3, rule_name="plan", rule_msg=None, log=[str(tmp_path / "log")])
    assert run.said().splitlines()[2:] == [f"line {n}" for n in range(80, 100)]
    run.told(LogEvent.JOB_ERROR, jobid=4, rule_name="dedup", rule_msg=None, log=[str(tmp_path / "none")])
    assert run.said().endswith(f"A job failed (rule dedup).\nIts log, {tmp_path / 'none'}, says nothing.\n")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("died with <Signals.SIGKILL: 9>.", "It was ended by SIGKILL: most often because memory ran out"),
        ("returned non-zero exit status 137.", "It was ended by SIGKILL: most often because memory ran out"),
        ("returned non-zero exit status 134.", "It was ended by SIGABRT: a library has crashed"),
        ("returned non-zero exit status 75.", ""),
        ("returned non-zero exit status 127.", ""),
    ],
)
def test_a_job_that_a_signal_ended_is_told_so(show, tmp_path, told, said):
    run, log = show(), tmp_path / "log"
    log.write_text("12:00:00 tdro.training.train: begins\n")
    run.told(None, f"RuleException:\nCalledProcessError in file x, line 5:\nCommand 'a' {told}", logging.ERROR)
    run.told(LogEvent.JOB_ERROR, "", logging.ERROR, jobid=3, rule_name="train", rule_msg=None, log=[str(log)])
    assert said in run.said() and ("It was" in run.said()) == bool(said)


def test_a_job_whose_log_lies_on_a_full_disk_is_told_so(show, tmp_path, monkeypatch):
    run, state = show(), os.statvfs(tmp_path)
    told = lambda: run.told(LogEvent.JOB_ERROR, jobid=3, rule_name="plan", rule_msg=None, log=[str(tmp_path / "log")])  # noqa: E731
    told()
    assert "is full" not in run.said()
    full = SimpleNamespace(f_files=state.f_files, f_favail=9, f_bavail=1, f_frsize=4096)
    monkeypatch.setattr("tdro.pipeline.screen.logends.os.statvfs", lambda folder: full)
    told()
    assert run.said().endswith(f"The disk of {tmp_path} is full; make room there, then start again.\n")


def test_what_slurm_says_of_a_failed_job_and_both_of_its_logs(show, tmp_path):
    run = show()
    (tmp_path / "a").write_text("own\n")
    (tmp_path / "b").write_text("shell\n")
    logs, said = [str(tmp_path / "a"), str(tmp_path / "b")], "SLURM status is: 'CANCELLED'"
    run.told(LogEvent.JOB_ERROR, jobid=3, rule_name="plan", rule_msg=said, log=logs)
    lines = ["A job failed (rule plan): SLURM status is: 'CANCELLED'", f"Its log, {logs[0]}, says:", "own"]
    assert run.said().splitlines() == [*lines, f"Its log, {logs[1]}, says:", "shell"]


def test_whole_logs_where_they_are_asked_for_and_jobs_of_a_failed_group(show, tmp_path):
    run = show(show_failed_logs=True)
    (tmp_path / "log").write_text("".join(f"line {n}\n" for n in range(100)))
    jobs = [{"jobid": 3, "rule_name": "plan", "log": [str(tmp_path / "log")]}]
    run.told(LogEvent.GROUP_ERROR, job_error_info=jobs, aux_logs=[])
    assert run.said().splitlines()[2:] == [f"line {n}" for n in range(100)]


def test_quiet_leaves_out_what_it_names(show):
    run = show(quiet=[Quietness.ALL])
    run.told(LogEvent.RUN_INFO, "", stats={"plan": 1, "total": 1})
    run.begins(1, "plan")
    run.told(None, "something", logging.WARNING)
    run.told(LogEvent.JOB_ERROR, jobid=1, rule_name="plan", rule_msg=None, log=[])
    assert run.said() == ""
    run = show(quiet=[Quietness.RULES])
    run.begins(1, "plan")
    assert run.said() == ""
    run.told(None, "something", logging.WARNING)
    assert run.said() == "something\n"


def test_what_jobs_warn_of_is_repeated_once_they_have_ended(show, tmp_path):
    run, log = show(), tmp_path / "log"
    log.write_text("".join(f"12:00:00 tdro.data.prepare: warning: case {n}\n" for n in (1, 1, 2, 3, 4, 5)))
    run.begins(1, "prepare_task", log)
    run.told(LogEvent.JOB_FINISHED, "", job_id=1)
    warned = run.said().splitlines()[1:]
    assert warned == [f"  warning: case {n}" for n in (1, 2, 3)] + [f"  warning: 2 more warnings in {log}"]


def test_our_commands_write_warnings_as_the_screen_reads_them(tmp_path, monkeypatch, capsys):
    from tdro.cli.main import _Lines

    handler = logging.StreamHandler(stream := io.StringIO())
    handler.setFormatter(_Lines("%(asctime)s %(name)s: %(said)s", "%H:%M:%S"))
    for level in (logging.INFO, logging.WARNING):
        handler.handle(logging.LogRecord("tdro.data.prepare", level, "", 0, "%d rows", (level,), None))
    (tmp_path / "log").write_text(stream.getvalue())
    assert warnings(tmp_path / "log") == ["30 rows"]
    assert last_line(tmp_path / "log") == "warning: 30 rows"


def test_the_reports_tables_are_shown_when_it_is_made_and_when_nothing_is_to_be_done(show, tmp_path):
    (tmp_path / "report.log").write_text("12:00:00 tdro.report: 5 scores\n| table [of] scores |\n")
    run = show(results=tmp_path / "report.log")
    run.begins(1, "report", tmp_path / "report.log", "Writing the report")
    run.told(LogEvent.JOB_FINISHED, "", job_id=1)
    run.told(None, "Nothing to be done (all requested files are present and up to date).")
    assert run.said().count("| table [of] scores |\n") == 2
    assert "5 scores" not in run.said()
    run = show()
    run.told(None, "Nothing to be done (all requested files are present and up to date).")
    assert "table" not in run.said()


def test_long_jobs_are_told_of_in_a_pipe(show, tmp_path):
    run = show()
    (tmp_path / "log").write_text("12:00:00 tdro.progress: encoded 5 of 14 texts, 1.0 a second, about 9 s left\n")
    run.told(LogEvent.RUN_INFO, "", stats={"encode": 1, "total": 1})
    run.begins(1, "encode", tmp_path / "log", "Encoding faq")
    run.screen.tell()
    last = clockless(run.said()).splitlines()[-1]
    assert (
        last
        == "[0 of 1 done, about 9 s left] Encoding faq, for 1 s: encoded 5 of 14 texts, 1.0 a second, about 9 s left"
    )


def test_messages_of_others_pass_and_those_of_snakemake_about_itself_do_not(show):
    run = show()
    run.told(None, "Job 7 has been submitted with SLURM jobid 5 (log: logs/slurm/x).")
    run.told(None, "Building DAG of jobs...")
    run.told(LogEvent.RESOURCES_INFO, "Provided cores: 2")
    run.told(LogEvent.ERROR, "WorkflowError:\nno such file [x]", logging.ERROR)
    assert (
        run.said()
        == "Job 7 has been submitted with SLURM jobid 5 (log: logs/slurm/x).\nWorkflowError:\nno such file [x]\n"
    )


def test_ctrl_c_is_told_with_what_is_kept_and_how_to_go_on(show):
    run = show()
    run.told(LogEvent.PROGRESS, "", done=3, total=7)
    run.begins(1, "train")
    run.told(None, "Terminating processes on user request, this might take some time.")
    run.told(LogEvent.JOB_ERROR, jobid=1, rule_name="train", rule_msg=None, log=[])
    run.told(LogEvent.ERROR, "WorkflowError:\nAt least one job did not complete successfully.", logging.ERROR)
    said = run.said()
    assert "Stopped by Ctrl-C with 3 of 7 done" in said and said.endswith("from its last checkpoint.\n")
    assert "type the same command again to go on" in said


@pytest.mark.parametrize("changed", ["dryrun", "verbose", "printshellcmds", "debug_dag", "is_worker", "another"])
def test_snakemakes_own_screen_stays_where_it_is_wanted(changed):
    from snakemake.logging import logger

    names = ("dryrun", "verbose", "printshellcmds", "debug_dag")
    settings = SimpleNamespace(quiet=None, nocolor=False, show_failed_logs=False, **dict.fromkeys(names, False))
    setattr(settings, changed, True)
    workflow = SimpleNamespace(output_settings=settings, is_main_process=changed != "is_worker")
    before, theirs = (
        logger.handlers[:],
        ColorizingTextHandler(stream=io.StringIO(), filter=DefaultFilter(None, *[False] * 4)),
    )
    try:
        logger.handlers[:] = [logging.NullHandler() if changed == "another" else theirs]
        kept = logger.handlers[:]
        use_screen(workflow, None)
        assert logger.handlers == kept
        setattr(settings, changed, False)
        if changed not in ("is_worker", "another"):
            use_screen(workflow, None)
            assert [type(handler) for handler in logger.handlers] == [Screen]
            logger.handlers[0].close()
    finally:
        logger.handlers[:] = before


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("loss 0.5  17% 10/60 [00:10<01:05, 4step/s]", 65),
        ("loss 0.5  17% 10/60 [00:10<2:01:05, 4step/s]", 7265),
        ("searched 5 of 9 queries, 3.0 a second, about 12 s left", 12),
        ("wrote results", None),
        ("loss 0.5  0% 0/60 [00:00<?, ?step/s]", None),
    ],
)
def test_the_time_that_a_log_says_is_left(line, seconds):
    assert time_left(line) == seconds


def test_only_the_end_of_a_long_log_is_read_and_states_of_a_bar_are_lines(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"x" * 100_000 + b"\n12:00:00 tdro.a: one\r12:00:00 tdro.a: tw\xff\n\n")
    assert last_line(log) == "tw\ufffd"
    assert complaint(log, 1) == ["12:00:00 tdro.a: tw\ufffd"]
    assert last_line(tmp_path / "none") == ""
    log.write_text("12:00:00 tdro.a: one\nExamples:   0%|  | 0/1 [00:00<?]\rExamples: 100%|##| 1/1 [00:01<00:00]\n")
    assert last_line(log) == "one"
    log.write_text("")
    assert last_line(log) == ""


def test_what_a_job_will_take_is_known_from_its_like(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train/a.tsv").write_text("s\th:m:s\n40.5\t0:00:40\n")
    (tmp_path / "train/b.tsv").write_text("s\th:m:s\nNA\t-\n")
    durations = Durations(tmp_path)
    assert durations.expected("plan") == DEMO["plan"]
    assert durations.expected("train") == 40.5
    assert durations.expected("train", [Running("train", 30, 60), Running("plan", 1, 1)]) == 90
    durations.add("plan", 3 * DEMO["plan"])
    assert durations.expected("evaluate") == 3 * DEMO["evaluate"]
    durations.add("train", 20)
    durations.add("train", 30)
    assert durations.expected("train", [Running("train", 30, 60)]) == 25


def test_before_any_job_has_ended_the_forecast_counts(tmp_path):
    lines = [{"rule": "train", "jobs": 2, "seconds": 600.0}, {"rule": "train", "jobs": 1, "seconds": 300.0}]
    lines += [{"rule": "encode", "jobs": 1, "seconds": None}]
    (tmp_path / "forecast.json").write_text(json.dumps({"lines": lines}))
    durations = Durations(tmp_path)
    assert durations.expected("train") == 300
    assert durations.expected("encode") == DEMO["encode"]
    durations.add("plan", 2 * DEMO["plan"])
    assert durations.expected("train") == 600
    for content in ("cut off", "{}", '{"lines": [{}]}'):
        (tmp_path / "forecast.json").write_text(content)
        assert Durations(tmp_path).expected("train") == DEMO["train"]


def test_jobs_side_by_side_share_the_work(tmp_path):
    durations = Durations(tmp_path)
    for _ in range(4):
        durations.add("train", 10)
    assert estimate(Counter(train=6), [], durations, elapsed=40) == 60
    assert estimate(Counter(train=6), [], durations, elapsed=20) == 30
    assert estimate(Counter(), [Running("train", 4)], durations, elapsed=44) == 6
    assert estimate(Counter(), [Running("train", 40)], durations, elapsed=80) == 10
    assert estimate(Counter(), [Running("train", 4, 100)], durations, elapsed=44) == 100
    assert estimate(Counter(), [], durations, elapsed=0) == 0


@given(
    st.dictionaries(st.sampled_from(["train", "plan", "x"]), st.integers(0, 50)),
    st.lists(st.builds(Running, st.sampled_from(["train", "x"]), st.floats(0, 1e6), st.none() | st.floats(0, 1e6))),
    st.lists(st.tuples(st.sampled_from(["train", "plan", "x"]), st.floats(0, 1e5))),
    st.floats(0, 1e6),
)
def test_whatever_ran_the_time_left_is_a_time_and_more_jobs_take_no_less(waiting, running, ended, elapsed):
    from pathlib import Path

    durations = Durations(Path("/nowhere"))
    for rule, seconds in ended:
        durations.add(rule, seconds)
    left = estimate(Counter(waiting), running, durations, elapsed)
    assert math.isfinite(left)
    assert left >= 0
    assert estimate(Counter(waiting) + Counter(plan=1), running, durations, elapsed) >= left
    assert re.fullmatch(r"\d+ s|\d+ min|\d+ h \d+ min", spoken(left))

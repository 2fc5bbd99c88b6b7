"""A forecast beside what was measured: for as many jobs, by the folder of the benchmark files."""

import pytest

from tdro.artifacts.files import write_json
from tdro.errors import UserError
from tdro.report.stages.forecasts import compare
from tdro.report.stages.jobs import rules


def line(rule, jobs, seconds, logs=None):
    return {"rule": rule, "logs": logs or rule, "jobs": jobs, "seconds": seconds}


@pytest.fixture
def logs(tmp_path):
    """Trainings, one of two searches, evaluations of BM25 and of a base, and rules that nobody foretold."""
    for file, seconds in {
        **{f"train/{n}": 100 for n in range(3)},
        **{"search/a": 7, "evaluate_untrained/bm25": 4, "evaluate_untrained/base": 30, "export/x": 5, "encode/a": 9},
    }.items():
        path = tmp_path / f"{file}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t0\t1\t{seconds / 2}\n")
    lines = [line("train", 2, 120.0), line("train", 1, 60.0), line("search", 2, 8.0), line("encode", 1, None)]
    lines += [line("evaluate_untrained", 1, 28.0), line("evaluate_bm25", 1, 6.0, "evaluate_untrained")]
    write_json(tmp_path / "forecast.json", {"made": "today", "device": "a laptop", "said": ["so"], "lines": lines})
    return tmp_path


def test_ratios_are_of_as_many_jobs(logs):
    found = compare(logs / "forecast.json", rules(str(logs)))
    assert (found.made, found.device, found.said) == ("today", "a laptop", ["so"])
    shown = {one.name: (one.jobs, one.forecast, one.measured, one.ratio, one.cpu, one.off) for one in found.lines}
    assert shown == {
        "train": (3, "3 min 00 s", "5 min 00 s", "1.67", "2 min 30 s", True),
        "evaluate_untrained": (2, "34.0 s", "34.0 s", "1.00", "17.0 s", False),
        "search": (1, "4.0 s", "7.0 s", "1.75", "3.5 s", True),
    }
    assert (found.total.jobs, found.total.ratio, found.total.off) == (6, "1.56", True)


def test_without_a_forecast_or_a_job_there_is_nothing_to_compare(logs):
    measured = rules(str(logs))
    assert compare(logs / "none.json", measured) is None
    assert compare(logs / "forecast.json", [rule for rule in measured if rule.name == "export"]) is None


def test_another_file_is_refused(logs):
    write_json(logs / "forecast.json", {"lines": [{"rule": "train"}]})
    with pytest.raises(UserError, match=r"forecast.json is no forecast .*; delete it"):
        compare(logs / "forecast.json", rules(str(logs)))

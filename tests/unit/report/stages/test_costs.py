"""The table of what evaluations took."""

from pathlib import Path

import pytest
from finished import content

from tdro.artifacts.files import write_json
from tdro.errors import UserError
from tdro.report.stages.costs import spent

SETTINGS = {"mixtures": ["uniform"], "seeds": [1, 2], "untrained": ["bm25"]}


def record(folder, file, tests, seconds, gpus=0, **others):
    known = {"queries": 1, "passages": 1, "tokens": 2_000_000, "gpu_joules": None, "cpu_joules": None, "device": "CPU"}
    write_json(folder / file, {"tests": tests, "seconds": seconds, "gpus": gpus} | known | others)


def test_parts_seeds_and_test_sets_add_up(tmp_path):
    settings = content(**SETTINGS, benchmarks={"in_domain": ["news"], "large": ["large"], "mkqa": ["ar", "th"]})
    gpu = {"gpus": 2, "gpu_joules": 1800.0, "cpu_joules": 360.0, "device": "H100"}
    for seed in (1, 2):
        folder = Path(tmp_path, "costs", "tiny", f"seed{seed}", "uniform")
        record(folder, "evaluate/in_domain.json", ["news"], 30, **gpu)
        for job in ("large", "ar", "th"):  # scored from what was found ahead
            record(folder, f"evaluate/{job}.json", [job], 1, cpu_joules=0.0)
        for part in ("1of2", "2of2"):
            record(folder, f"search/large/{part}.json", ["ar", "large", "th"], 3600, **gpu)
        record(folder, "search/large@sample/1of1.json", ["ar", "large", "th"], 99, **gpu)  # of another run
        record(folder, "evaluate/other.json", ["other"], 99)
    record(tmp_path / "costs/untrained/bm25", "evaluate/in_domain.json", ["news"], 2, tokens=None)
    trained, bm25 = spent(settings, tmp_path)
    assert (trained.name, bm25.name) == ("tiny, uniform", "bm25, untrained")
    assert trained.times == ["1 min 00 s", "4 h 00 min", "4.0 s"]
    assert (trained.total, trained.gpu_hours, trained.tokens) == ("4 h 01 min", "8", "24.0")
    assert trained.energy == ("3.0 Wh", "0.6 Wh")  # six records of 1800 J and of 360 J
    assert trained.devices == "CPU, H100"
    assert (bm25.times, bm25.gpu_hours, bm25.energy, bm25.tokens) == (["2.0 s", "-", "-"], "-", ("-", "-"), "-")


def test_of_previews_the_searches_of_samples_count(tmp_path):
    settings = content(**SETTINGS, benchmarks={"large": ["large"]}, sampled=["large"])
    for name, seconds in (("large", 99), ("large@sample", 5)):
        record(tmp_path / "costs/tiny/seed1/uniform", f"evaluate/{name}.json", ["large"], seconds)
        record(tmp_path / "costs/tiny/seed1/uniform", f"search/{name}/1of1.json", ["large"], seconds)
    (line,) = spent(settings, tmp_path)
    assert line.times == ["10.0 s"]


def test_energy_that_one_job_lacks_is_unknown_and_another_file_is_refused(tmp_path):
    settings = content(**SETTINGS, benchmarks={"a": ["a"], "b": ["b"]})
    folder = tmp_path / "costs/untrained/bm25/evaluate"
    record(folder, "a.json", ["a"], 1, cpu_joules=5.0)
    record(folder, "b.json", ["b"], 1)
    assert spent(settings, tmp_path)[0].energy == ("-", "-")
    assert spent(settings, tmp_path / "nothing") == []
    write_json(folder / "b.json", {"seconds": 1})
    with pytest.raises(UserError, match=r"b\.json does not say what an evaluation has taken; delete it"):
        spent(settings, tmp_path)

"""A probe runs what a job runs, and takes rates from the difference of two times."""

import shutil

import pytest
from toyjobs import ROOT, read_in

from tdro.artifacts.layout import Layout
from tdro.errors import UserError
from tdro.forecast import cost, models, probe
from tdro.forecast.machine import Machine
from tdro.forecast.rates import probed

CONFIG = """registry: registry.yaml
benchmarks: [web]
models: [{name: tiny, base: ./base}]
proxy: tiny
encoding: {query_length: 64, passage_length: 64, batch_size: 16}
training: {steps: 1000, batch_size: 4, negatives: 1}
"""


@pytest.fixture
def made(tmp_path, monkeypatch, tiny_base):
    monkeypatch.setenv("TDRO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(probe, "this_machine", lambda: Machine("core", 2, ()))
    monkeypatch.setattr("tdro.forecast.rates.this_machine", lambda: Machine("core", 2, ()))
    monkeypatch.setattr(probe, "PASSAGES", {"cpu": (8, 200)})
    shutil.copytree(tiny_base, tmp_path / "base")
    return read_in(tmp_path, monkeypatch, CONFIG)


def test_rates_are_work_by_the_time_that_more_of_it_takes(made, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(probe.os, "getloadavg", lambda: (7.0, 0.0, 0.0))
    seconds, started = probe._seconds, []

    def told(command):
        """The first training and the first encoding are run, all others take times that are told."""
        started.append(command)
        kind = next((name for name in ("train", "search-corpus") if name in command), "import")
        number = sum(kind in before for before in started)
        if kind != "import" and number == 1:
            assert seconds(command) > 0
        # A start of 10 s and 0.5 s a step; a start of 6 s, and 12 s for all passages beyond the first of each 25.
        return {"train": [99, 12, 22], "search-corpus": [6.5, 18.5], "import": [0.6]}[kind][number - 1]

    monkeypatch.setattr(probe, "_seconds", told)
    found = probe.probe(made, ROOT, Layout("results"))
    assert probed("./base") == found
    assert "other work runs (load 7.0 on 2 cores)" in caplog.text
    assert "with a load of 7.0 before it" in found.said
    assert found.pace == pytest.approx(0.6 / probe._IMPORT)
    assert found.start_training == pytest.approx(10, rel=0.1)
    assert found.start == pytest.approx(6, rel=0.1)
    tiny = models.read("./base", tmp_path / "base")
    plain = {"checkpointing": False, "cached": False, "adapters": 0}
    most = cost.training(tiny, 20 * 4 * 3 * 64, 64, **plain) / 10
    assert most / 2 < found.training <= most
    assert cost.forward(tiny, 192 * 64, 64) / 12 / 2 < found.encoding <= cost.forward(tiny, 192 * 64, 64) / 12
    assert found.search > 1e6
    assert [command[command.index("--threads") + 1] for command in started if "--threads" in command] == [
        *("2", "2", "2", "1", "1")
    ]


def test_a_job_that_fails_is_told_with_its_last_words(made, tmp_path):
    (tmp_path / "base/model.safetensors").write_bytes(b"cut off")
    with pytest.raises(UserError, match=r"(?s)a probe failed; it said: .*cut off"):
        probe.probe(made, ROOT, Layout("results"))


def test_a_model_that_is_not_there_is_named(made, tmp_path):
    with pytest.raises(UserError, match="no model 'huge'; it has tiny"):
        probe.probe(made, ROOT, Layout("results"), "huge")
    (tmp_path / "base/config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(UserError, match=r"the network of ./base is not known.*fetch_all"):
        probe.probe(made, ROOT, Layout("results"))

"""What `tdro doctor` prints of a configuration and of a machine."""

import json
import struct
from types import SimpleNamespace

import psutil
import pytest
from toyjobs import CONFIG, REGISTRY

from tdro.cli.main import main
from tdro.setup import machine, online

#: A network of which no tensor is stored: enough to reckon with.
BERT = {"model_type": "bert", "hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}
BERT |= {"vocab_size": 30522, "num_attention_heads": 12, "max_position_embeddings": 512}

SMALL = f"""{CONFIG}mining: {{encode: {{model: ./base}}}}
training: {{steps: 8, batch_size: 4, warmup_steps: 1}}
tdro: {{steps: 4, batch_size: 4, accumulation: 1, warmup_steps: 1}}
encoding: {{batch_size: 4, query_length: 16, passage_length: 16}}
"""


@pytest.fixture
def doctor(tmp_path, monkeypatch, capsys):
    """Runs it on a configuration in a folder with data and a model; gives the status and what was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TDRO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tdro.report.plain._WIDTH", 1000)  # no sentence is broken
    monkeypatch.setattr(online, "hub", lambda: iter(()))
    monkeypatch.setattr(machine.slurmqueue, "missing", lambda: list(machine.slurmqueue.PROGRAMS))
    (tmp_path / "base").mkdir()
    (tmp_path / "base/config.json").write_text(json.dumps(BERT))
    (tmp_path / "base/model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    (tmp_path / "a.jsonl").write_text('["a question", "its answer"]\n')
    (tmp_path / "registry.yaml").write_text(REGISTRY)

    def run(config=SMALL):
        if config:
            (tmp_path / "config.yaml").write_text(config)
        with pytest.raises(SystemExit) as end:
            main(["doctor", *(["config.yaml"] if config else [])])
            raise SystemExit(0)
        return end.value.code, " ".join(capsys.readouterr().out.replace("|", " ").split())

    return run


def test_of_the_machine_alone(doctor):
    status, said = doctor(None)
    assert status == 0 and "processor ok" in said and "configuration" not in said


def test_of_a_configuration_its_time_disk_and_memory_are_told(doctor):
    status, said = doctor()
    assert status == 0, said
    assert "jobs of" in said and "a run needs about" in said and "the largest job needs about" in said


def test_what_is_wrong_with_the_configuration_comes_first_and_fails(doctor, tmp_path):
    status, said = doctor(f"{CONFIG}trainig: {{steps: 3}}\n")
    assert status == 1
    assert "unknown key `trainig` (did you mean 'training'?)" in said and said.index("unknown key") < said.index(
        "Python"
    )
    assert "1 of " in said and "checks fail: a run would not work before they are mended." in said
    (tmp_path / "a.jsonl").unlink()
    status, said = doctor()
    assert status == 1 and "nothing lies at a.jsonl" in said


def test_a_configuration_that_is_not_there_fails(doctor, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["doctor", "nope.yaml"])
    assert end.value.code == 1
    assert "nothing lies at nope.yaml" in capsys.readouterr().out


def test_too_little_memory_fails(doctor, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=1e6, available=1e6))
    status, said = doctor()
    assert status == 1 and "smaller `encoding.batch_size`" in said

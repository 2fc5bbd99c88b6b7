"""Counters of energy, read from made folders and a made library."""

import sys
from types import SimpleNamespace

import pytest

from tdro.evaluation import energy
from tdro.evaluation.energy import Energy, Joules


def processor(folder, name, joules, most=10_000_000):
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{most}\n")
    (folder / "energy_uj").write_text(f"{round(joules * 1e6)}\n")


@pytest.fixture
def powercap(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    return tmp_path


def test_processors_are_added_up_and_start_again_at_zero(powercap):
    processor(powercap / "intel-rapl:0", "package-0", 9)
    processor(powercap / "intel-rapl:1", "package-1", 1)
    processor(powercap / "intel-rapl:0:0", "core", 3)  # in the package
    processor(powercap / "intel-rapl:2", "psys", 3)  # the packages are in it
    counted = Energy()
    processor(powercap / "intel-rapl:0", "package-0", 2)  # 1 J to the top of 10 J, then 2 J
    processor(powercap / "intel-rapl:1", "package-1", 4)
    processor(powercap / "intel-rapl:0:0", "core", 5)
    assert counted.read().cpu == pytest.approx(1 + 2 + 3, abs=1e-5)
    before = counted.read()
    processor(powercap / "intel-rapl:1", "package-1", 4.5)
    assert counted.read().since(before) == (None, pytest.approx(0.5))


def test_what_has_no_counter_or_a_broken_one_is_unknown(powercap):
    assert Energy([0]).read() == (None, None)
    processor(powercap / "intel-rapl:0", "package-0", 1)
    counted = Energy()
    (powercap / "intel-rapl:0/energy_uj").write_text("")
    assert counted.read().cpu is None
    assert Joules(None, 3.0).since(Joules(1.0, 1.0)) == (None, 2.0)
    (powercap / "intel-rapl:0/energy_uj").unlink()
    assert Energy().read().cpu is None


def test_gpus_are_found_by_their_number_and_added_up(powercap, monkeypatch):
    used = {"GPU-aa": 1000, "GPU-bb": 5000, "GPU-cc": 0}
    nvml = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: used[handle],  # millijoules
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    uuids = ["aa", "GPU-bb", "cc"]
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda number: SimpleNamespace(uuid=uuids[number]))
    counted = Energy([0, 1])
    used.update({"GPU-aa": 3500, "GPU-bb": 6000, "GPU-cc": 9000})
    assert counted.read() == (pytest.approx(3.5), None)

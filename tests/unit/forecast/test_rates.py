"""Rates of a device, and which of them a forecast takes."""

import pytest

from tdro.artifacts.files import write_json
from tdro.errors import UserError
from tdro.forecast import rates
from tdro.forecast.machine import Machine, this_machine
from tdro.forecast.rates import Asked, Rates

USED = {"training": 2, "encoding": 1}
LAPTOP, CLUSTER = Machine("some core", 2, ()), Machine("some core", 64, ("NVIDIA H100 80GB HBM3",) * 8)


def test_a_device_is_known_by_a_part_of_its_name():
    stated = rates.rates(Asked(), CLUSTER, USED)
    assert stated == rates.rates(Asked("h100"), LAPTOP, USED)._replace(said=stated.said)
    assert stated.training == 989e12 * rates.TRAINING_SHARE
    assert "NVIDIA H100" in stated.said
    assert "assumed" in stated.said
    assert rates.device("NVIDIA A100-SXM4-80GB").memory == 80e9


def test_a_cpu_is_as_fast_as_it_has_threads():
    few, many = (rates.rates(Asked(), LAPTOP, {"training": n, "encoding": n}) for n in (1, 4))
    assert (many.training, many.encoding) == (4 * few.training, 4 * few.encoding)
    assert rates.rates(Asked("cpu"), CLUSTER, USED) == rates.rates(Asked(), LAPTOP, USED)


def test_an_unknown_device_is_refused_with_those_that_are_known():
    with pytest.raises(UserError, match=r"no rates are stated for 'TPU'; run `tdro probe` on it, or name one of H200"):
        rates.rates(Asked("TPU"), LAPTOP, USED)


def test_a_probe_is_kept_by_machine_and_model(tmp_path, monkeypatch):
    monkeypatch.setenv("TDRO_CACHE", str(tmp_path))
    found = Rates(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, "said")
    assert rates.probed("a/b") is None
    write_json(rates.probe_file(this_machine(), "a/b"), found._asdict())
    assert rates.probed("a/b") == found
    assert rates.probed("a/c") is None
    assert rates.probe_file(LAPTOP, "a/b") != rates.probe_file(CLUSTER, "a/b")


def test_a_machine_says_what_it_is():
    assert str(LAPTOP) == "2 cores of some core"
    assert str(CLUSTER) == "8 x NVIDIA H100 80GB HBM3"
    assert this_machine().cores >= 1
    assert this_machine().processor

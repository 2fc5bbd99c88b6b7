"""How fast a device computes: as a table states it, or as a probe has measured it on this machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tdro.artifacts.files import read_json
from tdro.errors import UserError
from tdro.forecast.machine import Machine, this_machine
from tdro.readers.packages import cache_folder


class Rates(NamedTuple):
    """What a job of this device does a second.

    Attributes:
        training: Operations a second and GPU (on a CPU: of all threads of a training) in training.
        encoding: The same in reading texts with a model.
        search: The same in comparing embeddings, on the CPU.
        start: Seconds of a job before it reads texts, where it loads a model.
        start_training: The same of a job that trains, with what it takes to write the model.
        pace: How much longer than :data:`LIGHT` states a job without a model takes.
        said: Where the figures come from.
    """

    training: float
    encoding: float
    search: float
    start: float
    start_training: float
    pace: float
    said: str


class Device(NamedTuple):
    """A GPU as its maker states it: operations a second in bfloat16 without sparsity, and bytes of memory."""

    peak: float
    memory: float


#: Data sheets of the makers: NVIDIA H100/H800 SXM and H200 (989 TFLOP/s), A100/A800 SXM (312), L40S (362), L4 (121),
#: GeForce RTX 4090 (165), Tesla V100 SXM in float16 (125).
DEVICES: Mapping[str, Device] = {
    "H200": Device(989e12, 141e9),
    "H100": Device(989e12, 80e9),
    "H800": Device(989e12, 80e9),
    "A100": Device(312e12, 80e9),
    "A800": Device(312e12, 80e9),
    "L40S": Device(362e12, 48e9),
    "L4": Device(121e12, 24e9),
    "4090": Device(165e12, 24e9),
    "V100": Device(125e12, 32e9),
}
#: Shares of that peak that a training and an encoding reach. Assumed: large decoders reach 0.4 to 0.5 in published
#: trainings; bases of half a billion parameters and texts of a hundred tokens stay well below. A decoder of 71 million
#: parameters reached 0.024 on an H200 (docs/performance.md): small models wait for the processor.
TRAINING_SHARE, ENCODING_SHARE = 0.3, 0.2
#: Operations a second of a core in float32. Two cores of docs/performance.md multiply matrices at 56 GFLOP/s together;
#: what a training and an encoding reach of that was measured with `tdro probe` on such a machine.
CORE = 28e9
CPU_TRAINING_SHARE, CPU_ENCODING_SHARE = 0.7, 0.9
#: Of faiss on 32 threads beside GPUs (slurm/config.yaml), assumed: 20 GFLOP/s a thread.
SEARCH_BESIDE_GPUS = 32 * 20e9
#: Seconds that a job takes to load Python, its libraries and a small model, and one that trains (docs/performance.md).
START, START_TRAINING = 7.0, 12.0

#: Seconds of a job without a model before its rows, on two free cores: Python and its libraries.
LIGHT = {
    "fetch": 2.0, "prepare_task": 1.2, "prepare_benchmark": 0.7, "prepare_corpus": 0.7, "prepare_queries": 0.7,
    "search": 0.5, "select": 0.5, "dedup": 0.9, "leaks": 1.0, "plan": 0.5, "derive": 0.3, "report": 3.0,
    "evaluate_bm25": 1.4, "merge_rankings": 0.5, "score": 1.4, "task_means": 0.5, "merge": 3.0,
    "dev_pool": 1.4, "fit_law": 3.0, "prune": 2.0, "recommend": 2.0, "overview": 1.0,
}  # fmt: skip
#: What such a job does a second (docs/performance.md): pairs prepared, queries deduplicated, bytes compared for leaks,
#: rows planned, bytes of models read and written to average them. Of `select` and BM25 assumed.
ROWS = {
    "prepare": 15_000, "dedup": 40_000, "leaks": 3_300_000, "plan": 240_000, "select": 20_000, "bm25_passages": 10_000,
    "bm25_queries": 500, "merge": 500e6,
}  # fmt: skip
#: Bytes of stored embeddings that are added up in a second; assumed.
READ = 500e6


class Asked(NamedTuple):
    """What a forecast is for: a device by name, or this machine; and GPUs of a training."""

    device: str | None = None
    gpus: int | None = None


def rates(asked: Asked, machine: Machine, threads: Mapping[str, int]) -> Rates:
    """The rates that a table states for a device.

    Args:
        asked: The device; without a name that of this machine.
        machine: This machine.
        threads: Of a ``training`` and of an ``encoding`` on a CPU.

    Raises:
        UserError: for a device that the table does not have.
    """
    name = asked.device or (machine.gpus[0] if machine.gpus else "cpu")
    found = device(name)
    if found:
        said = (
            f"stated for {name}: {found.peak / 1e12:.0f} TFLOP/s, of which a training reaches {TRAINING_SHARE:.0%} and "
            f"an encoding {ENCODING_SHARE:.0%} (assumed; small models reach a tenth of it)"
        )
        return Rates(
            found.peak * TRAINING_SHARE,
            found.peak * ENCODING_SHARE,
            SEARCH_BESIDE_GPUS,
            START,
            START_TRAINING,
            1.0,
            said,
        )
    if name.lower() != "cpu":
        known = ", ".join([*DEVICES, "cpu"])
        raise UserError(f"no rates are stated for {name!r}; run `tdro probe` on it, or name one of {known} (--device).")
    said = f"stated for a core of {CORE / 1e9:.0f} GFLOP/s"
    return Rates(
        CORE * threads["training"] * CPU_TRAINING_SHARE,
        CORE * threads["encoding"] * CPU_ENCODING_SHARE,
        CORE * threads["encoding"] * CPU_ENCODING_SHARE,
        START,
        START_TRAINING,
        1.0,
        said,
    )


def device(name: str) -> Device | None:
    """The GPU whose name stands in this one."""
    return next((DEVICES[known] for known in DEVICES if known.lower() in name.lower()), None)


def probe_file(machine: Machine, base: str) -> Path:
    """Where the probe of a base on a machine is kept."""
    words = f"{machine} {base}"
    return cache_folder() / "probes" / f"{''.join(c if c.isalnum() or c in '.-' else '_' for c in words)}.json"


def probed(base: str) -> Rates | None:
    """What a probe has measured of a base on this machine; None where there was none."""
    file = probe_file(this_machine(), base)
    return Rates(**read_json(file)) if file.is_file() else None

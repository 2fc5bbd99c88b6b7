"""The program `tdro` with FSDP on CPUs: accelerate shards over GPUs only, so it is told that these processes have some.

FSDP_VERSION=2 ... accelerate launch --config_file config/accelerate/ddp_cpu.yaml fsdp_on_cpu.py train ...
"""

import sys

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

initialise = AcceleratorState.__init__


def as_if_on_gpus(self, *arguments, **keys):
    state = PartialState(cpu=True)
    if state.distributed_type == DistributedType.MULTI_CPU:
        state._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    initialise(self, *arguments, **keys | {"cpu": False})


AcceleratorState.__init__ = as_if_on_gpus

from tdro.cli import main  # noqa: E402

sys.exit(main())

"""Several commands of `tdro`, one after another, in the processes of one launch: starting them takes longest.

    accelerate launch --config_file config/accelerate/ddp_cpu.yaml --num_processes 2 inseveralprocesses.py cases.json

Each case of the file has the `arguments` of a command and may have

    fsdp     variables of a launch configuration. accelerate shards over GPUs only, so it is told that there are some
    bf16     true: as on a CPU that computes in it
    stop_at  a step after which the last process gets SIGTERM; the command must end unfinished

`seen.json` beside the file tells how long a process waits for the others, and the files of the checkpoints that were
complete when a case ended. The last process is late with its part of each checkpoint.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from transformers import Trainer

from tdro.cli.main import main
from tdro.errors import Unfinished
from tdro.training import checkpoints, trainer

RANK = int(os.environ.get("RANK", "0"))
LAST = int(os.environ.get("WORLD_SIZE", "1")) == RANK + 1
case = {}

initialise, step_end = AcceleratorState.__init__, checkpoints._SaveInTime.on_step_end
save_random, mark = Trainer._save_rng_state, checkpoints._MarkComplete.on_save


def as_if_on_gpus(self, *arguments, **keys):
    state = PartialState(cpu=True)
    if "fsdp" in case and state.distributed_type == DistributedType.MULTI_CPU:
        state._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    initialise(self, *arguments, **keys | {"cpu": "fsdp" not in case})


def stop(self, args, state, control, **others):
    if LAST and state.global_step == case.get("stop_at"):
        signal.raise_signal(signal.SIGTERM)
    step_end(self, args, state, control, **others)


def late(self, folder):
    time.sleep(0.5 if LAST and RANK else 0)
    save_random(self, folder)


def mark_what_is_whole(self, args, state, control, **others):
    mark(self, args, state, control, **others)
    folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
    if (folder / "checksums.json").exists() and args.world_size > 1:
        missing = {f"rng_state_{rank}.pth" for rank in range(args.world_size)} - {p.name for p in folder.iterdir()}
        assert not missing, f"{folder} was marked as complete without {missing}"


AcceleratorState.__init__, checkpoints._SaveInTime.on_step_end = as_if_on_gpus, stop
Trainer._save_rng_state, checkpoints._MarkComplete.on_save = late, mark_what_is_whole
supports_bf16 = trainer.supports_bf16
seen = {"complete": {}}
for case in json.loads(Path(sys.argv[1]).read_text()):
    os.environ.update(case.get("fsdp", {}))
    trainer.supports_bf16 = (lambda kind: True) if case.get("bf16") else supports_bf16
    try:
        main(case["arguments"])
        assert "stop_at" not in case
    except SystemExit as end:
        if "stop_at" not in case or end.code != Unfinished.STATUS:
            raise
    for variable in case.get("fsdp", {}):
        del os.environ[variable]
    checkpoints = Path(case["arguments"][case["arguments"].index("--checkpoints") + 1])
    name = f"{checkpoints}, stopped" if "stop_at" in case else str(checkpoints)
    complete = [marked.parent for marked in checkpoints.glob("*/checksums.json")]
    seen["complete"][name] = {folder.name: [file.name for file in folder.iterdir()] for folder in complete}
if torch.distributed.is_initialized():
    group = torch.distributed.distributed_c10d._get_default_group()
    seen["seconds"] = group._get_backend(torch.device("cpu")).options._timeout.total_seconds()
if RANK == 0:
    Path(sys.argv[1]).with_name("seen.json").write_text(json.dumps(seen))

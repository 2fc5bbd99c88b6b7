"""Starts the processes of a job on one node: ``accelerate launch`` with as many as there are GPUs for it.

    python -m tdro.cli.launch --configuration auto --gpus 0 --nodes 1 --threads 8 -- train --plan ...

How many GPUs a job has is known only inside of it: a rule may ask for them by `gpu` or by `gres`, a cluster may give
others than a workstation has. So this is decided here, once, for every launched command.

A job of one process, on the CPU or on the only GPU of the machine, runs in the very process that decided: accelerate
would start Python a second time, and each of the two would load torch.
"""

import argparse
import logging
import os
import signal
import sys
from pathlib import Path

from tdro.cli.main import command_line, use_threads
from tdro.config.launchfiles import AUTO, launch_file, read, uses_cpu
from tdro.errors import UserError
from tdro.models import outofmemory
from tdro.models.processes import told_cpu

log = logging.getLogger(__name__)

#: Seconds that processes have to end in when they are told to, before they are killed: a step, and a large checkpoint.
_TO_END = 300
# Launch configurations that say this and no more ask for nothing that accelerate's launcher is needed for, where there
# is one process: on the CPU, and on a GPU.
_ON_CPU = {
    "compute_environment": "LOCAL_MACHINE",
    "distributed_type": "NO",
    "use_cpu": True,
    "num_processes": 1,
    "mixed_precision": "no",
}
_ON_GPUS = {
    "compute_environment": "LOCAL_MACHINE",
    "distributed_type": "MULTI_GPU",
    "main_process_port": 0,
    "mixed_precision": "no",
}
# What such a process finds in its environment, whatever the user's own shell says.
_OF_ONE_PROCESS = {"ACCELERATE_MIXED_PRECISION": "no", "ACCELERATE_DYNAMO_BACKEND": "NO"}


def chosen(name: str, root: Path, asked: int, nodes: int) -> tuple[str, int]:
    """The launch configuration to take, and the number of processes on this node.

    Args:
        name: What the model names.
        root: The project's folder.
        asked: GPUs that the rule asked for, all nodes together; 0 where it does not say.
        nodes: Of the job.

    Raises:
        UserError: when a configuration of one process is to run on several nodes.
    """
    each = asked // nodes
    if name == "cpu":
        if nodes > 1:
            raise UserError("launch configuration cpu starts one process, on one node; use `nodes: 1`, or ddp_cpu.")
        return name, 1
    if name != AUTO:
        return name, each or _slurm_gpus() or (0 if uses_cpu(name, root) else _given()) or 1
    number = _given()
    if each > number:
        log.warning("the rule asked for %d GPUs on this node, but the job can use %d", each, number)
    if number:
        return "ddp", min(each or number, number)
    return ("cpu" if nodes == 1 else "ddp_cpu"), 1


def _given() -> int:
    """GPUs of this node that the job may use: those that torch sees, under SLURM no more than it gave the job."""
    return min(_seen(), _slurm_gpus()) if "SLURM_JOB_ID" in os.environ else _seen()


def _seen() -> int:
    """GPUs that torch sees and this job does not leave alone."""
    import torch

    return 0 if told_cpu() or not torch.cuda.is_available() else torch.cuda.device_count()


def _slurm_gpus() -> int:
    """GPUs of this node that SLURM gave the job; 0 outside of SLURM, or when none were asked for."""
    number = os.environ.get("SLURM_GPUS_ON_NODE", "")
    return int(number) if number.isdecimal() else 0


def launch(options: argparse.Namespace, root: Path) -> None:
    """Start the processes, and return when all have ended; a failure of one ends this process."""
    log.info("starts tdro %s; looks for the GPUs of this node", options.command[0])
    use_threads(options.threads)  # before torch is loaded to count GPUs, as this may become the job's own process
    name, number = chosen(options.configuration, root, options.gpus, options.nodes)
    threads = -(-options.threads // number)
    log.info("launch configuration %s, %d processes on this node, %d threads each", name, number, threads)
    if uses_cpu(name, root):
        os.environ["ACCELERATE_USE_CPU"] = "true"  # accelerate itself says so to a single process only
    if options.nodes == number == 1 and _needs_no_launcher(read(name, root)):
        os.environ.update(_OF_ONE_PROCESS)
        command_line([*options.command, "--threads", str(threads)])
    _start(name, root, number, threads, options)


def _needs_no_launcher(configuration: dict) -> bool:
    """Whether one process of a launch configuration may be this one.

    On a GPU only where torch sees no other: it would compute on all that it sees.
    """
    return configuration == _ON_CPU or (configuration == _ON_GPUS and _given() == 1 == _seen())


def _start(name: str, root: Path, number: int, threads: int, options: argparse.Namespace) -> None:
    """Start so many processes on this node by accelerate; when one ends badly, all end, and this process as it did."""
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(_TO_END))
    command = ["--quiet", "--config_file", str(launch_file(name, root))]
    command += ["--num_processes", str(number * options.nodes), "--num_cpu_threads_per_process", str(threads)]
    if options.nodes > 1:
        command += ["--num_machines", str(options.nodes), "--machine_rank", str(options.rank)]
        command += ["--main_process_ip", options.address, "--main_process_port", str(options.port)]
    command += ["-m", "tdro", *options.command, "--threads", str(threads)]
    try:
        launch_command(launch_command_parser().parse_args(command))
    except SignalException as stop:
        sys.exit(128 + stop.sigval)
    except ChildFailedError as failed:
        rank, failure = failed.get_first_failure()
        if failure.exitcode > 0:  # it has said why
            sys.exit(failure.exitcode)
        sys.exit(f"tdro {options.command[0]}: error: {_killed(rank, -failure.exitcode)}")


def _killed(rank: int, number: int) -> str:
    """What to tell the user of a process that a signal has ended."""
    why = ", most often because memory ran out" if number == signal.SIGKILL else ""
    return (
        f"process {rank} of this job was killed ({signal.Signals(number).name}){why}, so the others were ended, too. "
        "Checkpoints are kept: start again."
    )


def main(arguments: list[str] | None = None) -> None:
    """Called by workflow/scripts/launch.sh on each node of a job."""
    parser = argparse.ArgumentParser(prog="python -m tdro.cli.launch", description=__doc__.partition("\n")[0])
    parser.add_argument("--configuration", required=True, help="auto, or a file of config/accelerate without .yaml")
    parser.add_argument("--gpus", type=int, default=0, help="that the job asked for, all nodes together; 0: not said")
    parser.add_argument("--nodes", type=int, default=1, help="of the job")
    parser.add_argument("--threads", type=int, required=True, help="of this node; its processes share them")
    parser.add_argument("--rank", type=int, default=0, help="of this node")
    parser.add_argument("--address", help="of the first node")
    parser.add_argument("--port", type=int, help="where the launchers of the nodes meet")
    parser.add_argument("command", nargs="+", help="of `python -m tdro`, after --")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    logging.getLogger("tdro").setLevel(logging.INFO)
    try:
        launch(options, Path(os.environ.get("TDRO_ROOT", Path(__file__).parents[2])))
    except UserError as error:
        sys.exit(f"tdro: error: {error}")
    except Exception as error:  # torch could not be loaded to count GPUs
        if said := outofmemory.sentence(error):
            sys.exit(f"tdro: error: {said}")
        raise


if __name__ == "__main__":
    main()

"""What `accelerate launch` makes of a launch configuration."""

from pathlib import Path

from accelerate.commands.launch import _validate_launch_command, launch_command_parser


def launch_arguments(path: Path):
    """Its arguments, for two processes of the program."""
    arguments = launch_command_parser().parse_args(["--config_file", str(path), "--num_processes", "2", "-m", "tdro"])
    return _validate_launch_command(arguments)[0]

"""``python -m tdro``: the form in which ``accelerate launch`` starts a stage."""

from tdro.cli.main import command_line

command_line()

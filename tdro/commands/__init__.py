"""The commands, one a stage, each with its arguments and help. The workflow's rules call these and nothing else.

A command's libraries are loaded when it runs, after its threads are set.
"""

from tdro.commands import data, mining, results, training, weights

#: Each adds its command to the parser, in the order of the walk of the data.
COMMANDS = (*data.COMMANDS, *mining.COMMANDS, *training.COMMANDS, *weights.COMMANDS, *results.COMMANDS)

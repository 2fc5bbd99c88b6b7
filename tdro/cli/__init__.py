"""The command line: ``tdro COMMAND``, or ``python -m tdro COMMAND`` where a launcher starts it.

``main`` parses, sets threads and logging and runs a command. The other modules hold a few commands each, functions
whose docstring is their help: ``data``, ``mining``, ``training``, ``weights``, ``results``, ``ask``, ``forecast``,
``planrun``; ``arguments`` is what makes a command of a function. ``launch`` starts the processes of a job.
"""

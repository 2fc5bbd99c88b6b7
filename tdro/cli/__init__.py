"""The command line: ``tdro COMMAND``, or ``python -m tdro COMMAND`` where a launcher starts it.

``main`` parses, sets threads and logging and runs a command; ``commands`` lists them all. The other modules add the
arguments of a few commands each, with their help: ``data``, ``mining``, ``training``, ``weights``, ``results``,
``ask``. ``launch`` starts the processes of a job.
"""

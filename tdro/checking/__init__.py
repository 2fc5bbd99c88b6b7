"""A configuration is looked at with its data before anything runs: ``tdro check``, ``tdro add-task``.

A configuration comes in, sentences and tables go out, and nothing is written. ``looks`` reads the first rows of each
source; ``facts`` measures them; ``findings`` says what is odd about one dataset, ``overlaps`` what two have in common,
``cuttexts`` how many texts the models read only in part, ``shares`` what each mixture will be. ``check`` puts them
together with the forecast, ``table`` shows them. ``newtask`` guesses what a file of data holds and writes its entry.
"""

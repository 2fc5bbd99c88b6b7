"""Training rows in the forms that other programs train on, a module a form.

``rows`` joins what lies apart below ``results/data/{task}``: ids and texts (``stored`` finds them by row), mined
negatives and their scores. Each form's ``write`` takes these rows as they come and leaves files in a folder:
``sentencetransformers`` a ``DatasetDict``, ``flagembedding``, ``tevatron`` and ``released`` JSON lines.
``tdro.data.export_data`` is the command.
"""

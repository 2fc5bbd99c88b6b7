"""A new project, and whether a machine can run it: a folder of files comes in, a configuration or a table goes out.

``tdro doctor``: ``machine``, ``online`` and ``needs`` look, each for findings as ``findings`` has them; ``doctor`` asks
them in turn.
"""

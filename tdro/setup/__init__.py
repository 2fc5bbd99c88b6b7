"""A new project, and whether a machine can run it: a folder of files comes in, a configuration or a table goes out.

``tdro init``: ``datafiles`` finds the datasets of a folder, ``proposal`` decides how they are trained on and evaluated,
``newproject`` writes that down, ``questions`` asks at a terminal what no option says.

``tdro doctor``: ``machine``, ``online`` and ``needs`` look, each for findings as ``findings`` has them; ``doctor`` asks
them in turn.
"""

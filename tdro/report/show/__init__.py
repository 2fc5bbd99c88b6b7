"""`tdro show`: any file that the stages leave, as people read it in a terminal, or as JSON for programs.

In: paths of artifacts. Out: a :class:`tdro.report.show.view.View` of each, which ``output`` prints.

``kinds`` is the registry: how a kind of file is told, and which function shows it. ``show`` asks it for each path. The
functions lie in modules of one subject: ``weights``, ``texts``, ``duplicates``, ``plans``, ``trajectories``,
``scores``, ``devscores``, ``choices``, ``models``, ``notes``, ``folders``. They read through ``peek`` (some rows of a
large file) and ``beside`` (the texts that rows name), and draw with ``drawing`` and ``examples``.

``trained`` shows examples of a task as a training reads them (`tdro rows`), ``reasons`` why a task weighs what it does
(`tdro why`); both find their run with ``runs``.
"""

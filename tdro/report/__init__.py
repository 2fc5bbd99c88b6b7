"""What people read: scores and weights as a page and as tables.

In: scores of every retriever, weights, trajectories, what the stages counted. Out: ``report/index.html``,
``results.csv``, the paper's ``tables`` with our figures.

``report`` builds the page: it has each folder read its files once, compute, and hand on what the template shows.

1. ``scores/``: scores of single queries become differences to the baseline with interval and verdict.
2. ``weights/``: what each mixture weighs, how tDRO came to it, and how far it can be trusted.
3. ``stages/``: what happened before: rows dropped, duplicates, leaks, time and memory.
4. ``report.html.j2`` lays it out; ``figures`` says how figures look, ``plain`` prints in the terminal, ``askline``
   suggests a command.

Beside the page: ``tables`` are the paper's, made of ``results.csv``; ``show/`` prints any file in the terminal.
"""

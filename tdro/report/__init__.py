"""What people read: scores and weights as a page, a table, an archive.

In: scores of every retriever, weights, trajectories, what the stages counted. Out: ``report/index.html``,
``results.csv``, the paper's ``tables`` with our figures, ``export``.

``report`` builds the page from its parts. Scores: ``queries`` reads those of single queries, ``subjects`` says what is
averaged, ``comparison`` gives each difference one interval and one verdict (Holm), ``scores``, ``gains`` and
``dimensions`` collect them, ``scoretables`` and ``reading`` show them in columns and in words. Weights: ``weights``,
``stability``, ``sweep``, ``heaviest``. What happened before: ``stages``, ``leaks``. ``figures`` draws, ``askline``
suggests a command. ``show`` prints weights files, ``export`` packs a model.
"""

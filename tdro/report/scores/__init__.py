"""Scores of every retriever, and how surely they differ.

In: the scores of single queries that the evaluations left. Out: ``results.csv``, and the tables, figures and sentences
about scores on the page and in the terminal.

Data flows one way. ``queries`` reads all scores, once. ``subjects`` says what is averaged, and ``comparison`` gives
each difference one interval and one verdict (Holm). ``rows`` collects them as the results, ``gains`` compares with what
nothing was trained for. From these are made ``tables`` (the page), ``forest`` (the figures), ``reading`` (what it all
says in words), ``terminal`` and the ``answer`` that the page begins with. ``examples``
shows single queries. ``soups`` tells of averages of models, ``curve`` draws them.
"""

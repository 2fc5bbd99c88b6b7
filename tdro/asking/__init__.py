"""Questions to a model and a corpus, from the command line.

``ask`` finds the passages nearest to each query. ``passagefiles`` reads corpora as people have them, ``embedded`` keeps
their embeddings for the next question, ``hits`` prints what was found.
"""

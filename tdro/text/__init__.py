"""Single texts: how a passage is put together and cut, and when two texts are one.

``strings`` makes, mends, measures and cuts what a retriever reads. ``relations`` says when two texts are one; every
comparison in the package is one of its two relations. ``fingerprints`` are SimHashes, for texts that are nearly equal.
``answers`` tells whether a passage contains an answer. ``markup`` takes the tags out of HTML and the signs out of
Markdown. ``languages`` guesses in which language a text is.
"""

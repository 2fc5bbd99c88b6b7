"""Models: from a name or a folder to a retriever that turns texts into vectors.

``load`` finds a model and loads those that need no more training; ``bases`` makes a retriever out of any base, of the
kind that ``kinds`` tells, with ``eos`` for decoders and ``lora`` for large ones. Before torch is loaded, ``modelfiles``
says whether a folder is whole, ``positions`` how many tokens a model reads, ``room`` whether a prompt leaves room.
``uninitialised`` and ``unused`` find weights that came from no file or do nothing. ``processes`` and ``precision``
say where and in which numbers a job computes; ``features``, ``lengths`` and ``cuts`` are about batches of texts.
"""

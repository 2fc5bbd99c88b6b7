"""Models: from a name or a folder to a retriever that turns texts into vectors.

1. Before torch is loaded, ``modelfiles`` says whether a folder is whole, ``kinds`` what kind of model it holds,
   ``positions`` how many tokens it reads, ``room`` whether a prompt leaves room.
2. ``sources`` turns a name into a folder that libraries load: found, unpacked, converted.
3. ``load`` loads what needs no more training; ``bases`` makes a retriever out of any base, with ``eos`` for decoders.
   ``networks`` cuts a base's layers and adapts them, ``weights`` finds weights that came from no file or do nothing.
4. ``stored`` reads and writes a model's weights a tensor at a time, ``alike`` says whether models differ in nothing
   else, and ``average`` averages a tensor of several. ``ingredients`` are the models of an average; ``inplace`` lets a
   loaded model take on its weights.
5. ``processes`` and ``precision`` say where and in which numbers a job computes; ``features``, ``lengths`` and ``cuts``
   are about batches of texts.
"""

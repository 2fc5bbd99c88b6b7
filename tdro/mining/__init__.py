"""Hard negatives: passages that look like an answer and are none.

In: ``corpus.parquet`` and ``queries.parquet`` of a task. Out: ``negatives.parquet``.

1. ``encode`` embeds both with the miner.
2. ``search`` finds the passages nearest to each query: ``candidates.parquet``.
3. ``rescore``, where asked, lets a cross-encoder score the best of them anew: ``rescored.parquet``.
4. ``select`` draws negatives from certain ranks (``ranks``) after filters that drop what may be an answer
   (``filters``).

``task_means`` averages the embeddings of step 1 by task, for the mixture ``chameleon``.

``queries`` are those that want negatives, checked against their corpus. ``candidates`` checks the files of steps 2 and
3 against them, and hands their counts on.
"""

"""The passages nearest to a query: by embeddings, exactly or by a faiss index, and by BM25.

``encoder`` embeds texts, ``shards`` keeps embeddings on disk, and ``makeshards`` has several processes make them.
``nearest`` searches block by block: by the indices of faiss in ``indices``, those that are not exact from files beside
the embeddings, or, exactly and where there is a GPU, by torch in ``ondevice``. ``merging`` puts what blocks have
together. ``exact`` ranks the passages of a corpus, encoding them on the way, and ``rankings`` keeps what
was found in parts of one. ``bm25`` ranks by words. ``retrievers`` are all that can rank.
"""

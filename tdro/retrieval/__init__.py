"""The passages nearest to a query: by embeddings, exactly or by a faiss index, and by BM25.

``encoder`` embeds texts, ``shards`` keeps embeddings on disk, and ``makeshards`` has several processes make them.
``indices`` are faiss indices by name, which ``nearest`` searches block by block, those that are not exact from files
beside the embeddings; ``exact`` ranks the passages of a corpus, encoding them on the way, and ``rankings`` keeps what
was found in parts of one. ``bm25`` ranks by words. ``retrievers`` are all that can rank.
"""

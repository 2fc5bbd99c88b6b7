"""The passages nearest to a query: by embeddings, exactly or by a faiss index, and by BM25.

``encoder`` embeds texts, ``shards`` keeps embeddings on disk. ``exact`` encodes a corpus, or reads its embeddings, and
searches it block by block; ``indices`` are faiss indices by name; ``bm25`` ranks by words. ``retrievers`` are all that
can rank.
"""

"""tDRO: learn how much of each dataset a text-embedding model for search should be trained on."""

__version__ = "0.1.0"

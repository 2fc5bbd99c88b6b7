"""The data of the demonstration: one module a source, which reads a pip package (or Python itself)."""

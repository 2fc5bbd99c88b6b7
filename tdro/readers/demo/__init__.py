"""The demonstration's pip packages (or Python's own library) in, rows of query and passages out: one module a source.

``cleaning`` takes texts out of markup, ``catalogues`` the entries out of bioregistry for the two that read it.
"""

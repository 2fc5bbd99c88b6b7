"""The report: what the learnt mixtures changed, where, and how surely."""

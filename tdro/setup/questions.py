"""Questions at a terminal, for what no option says."""

import sys

from tdro.setup.proposal import Proposal


def can_ask() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def asked(question: str, default: str) -> str:
    """The answer to a question; an empty one is the default."""
    return _read(f"{question} [{default}]: ").strip() or default


def instructions(proposal: Proposal) -> dict[str, str]:
    """What a searcher wants of each dataset, by its name."""
    return {
        one.name: asked(f"{one.name}: what does a searcher want?", one.entry["instruction"])
        for one in proposal.datasets
    }


def _read(question: str) -> str:
    return input(question)

"""SIGKILL of all processes of a run, in one folder again and again: each time the same command goes on to the same end.

A kill has a number, and the number says where it comes: in a job of which rule, and when. Half of them come at a random
share of the time that the job took undisturbed; most of that are imports. The others come when names have changed where
the job writes, so that files that are being written are hit, too.

    make test-faults FAULTS='kill-017 or after_kills'
"""

import pytest
from chains import Kill, chain_of
from records import ended
from tinyrun import RULES

pytestmark = pytest.mark.faults

#: How often a rule is hit whose jobs take long, leave checkpoints or many files; all others once.
OFTEN = {
    "train": 4,
    "optimize": 3,
    **dict.fromkeys(("prepare_task", "encode", "dedup", "search_corpus", "evaluate"), 2),
    **dict.fromkeys(("reference", "soup_scores", "merge", "report"), 2),
}
KILLS = [Kill(*one) for one in enumerate(rule for rule in RULES for _ in range(OFTEN.get(rule, 1)))]


@pytest.fixture(scope="module")
def chain(request, whole):
    return chain_of(request, whole)


def test_every_rule_is_killed(whole, fault):
    fault.done("the rules of the kills are compared with those of the undisturbed run")
    assert {job.rule for job in ended(whole).values() if job.command} == set(RULES)
    fault.came(f"{len(KILLS)} kills in jobs of {len(RULES)} rules: all that start a process")


@pytest.mark.parametrize("kill", KILLS, ids=str)
def test_kill(chain, fault, kill):
    fault.done(chain.done[kill])
    fault.came(chain.came_of(kill))


def test_after_kills(chain, fault):
    fault.done("after the kills, the same command once more, to its end")
    fault.came(chain.end())

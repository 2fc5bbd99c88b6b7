"""SIGKILL as in `test_kills`, in jobs of the rules that choose, bring in and hand on (`choosing`).

make test-faults FAULTS='kill-103 or after_kills_of_choices'
"""

import re

import pytest
from chains import Kill, chain_of
from choosing import RULES, TARGETS
from records import ended
from running import ROOT
from tinyrun import RULES as OTHERS

pytestmark = pytest.mark.faults

#: How often a rule is hit whose jobs take long; all others once.
OFTEN = {"expert_scores": 2}
KILLS = [Kill(100 + number, rule) for number, rule in enumerate(r for r in RULES for _ in range(OFTEN.get(r, 1)))]


@pytest.fixture(scope="module")
def chain(request, chosen):
    return chain_of(request, chosen, TARGETS, has_ended=True)


def test_every_rule_of_a_choice_is_killed(chosen, fault):
    fault.done("the rules of the kills are compared with those of the undisturbed run")
    assert {job.rule for job in ended(chosen).values() if job.command} - set(OTHERS) == set(RULES)
    fault.came(f"{len(KILLS)} kills in jobs of {len(RULES)} rules: all that the other run does not pass")


@pytest.mark.parametrize("kill", KILLS, ids=str)
def test_kill_of_a_choice(chain, fault, kill):
    fault.done(chain.done[kill])
    fault.came(chain.came_of(kill))


def test_after_kills_of_choices(chain, fault):
    fault.done("after the kills, the same command once more, to its end")
    fault.came(chain.end())


def test_no_rule_is_left_out(fault):
    fault.done("the rules of the kills are compared with those in workflow/rules")
    text = "\n".join(file.read_text() for file in sorted((ROOT / "workflow/rules").glob("*.smk")))
    parts = re.split(r"^ *(?:use )?(?:rule|checkpoint) (?:\w+ as )?(\w+)(?::| with:)$", text, flags=re.MULTILINE)
    starting = {name for name, body in zip(parts[1::2], parts[2::2], strict=True) if "shell:" in body}
    starting |= {*re.findall(r"use rule \w+ as (\w+) with:", text)}
    assert starting == {*RULES, *OTHERS}
    fault.came(f"all {len(starting)} rules that start a process are killed")

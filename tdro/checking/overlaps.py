"""What tasks have in common with what is evaluated: queries that are nearly equal, and passages that say the same."""

from collections.abc import Iterator, Sequence

from tdro.checking.facts import Facts
from tdro.checking.findings import Finding
from tdro.config.registry import Benchmark, Task
from tdro.data.nearduplicates import closest
from tdro.formats import quoted
from tdro.text.fingerprints import fingerprints
from tdro.text.relations import said


def overlaps(all_facts: Sequence[Facts], distance: int, compared: Sequence[str]) -> Iterator[Finding]:
    """A sentence on each task and benchmark that share queries or passages, of those that were looked at.

    Args:
        all_facts: Of tasks and benchmarks.
        distance: As ``dedup.distance``.
        compared: The benchmarks whose queries deduplication takes out of training.
    """
    tasks = [facts for facts in all_facts if isinstance(facts.look.entry, Task)]
    tests = [facts for facts in all_facts if isinstance(facts.look.entry, Benchmark)]
    hashes = {id(facts): fingerprints(facts.queries) for facts in (*tasks, *tests)} if tests else {}
    told = {id(facts): {said(text) for text in facts.passages} for facts in tests}
    for task in tasks:
        for test in tests:
            near = closest(hashes[id(task)], hashes[id(test)], distance)
            if len(near):
                yield _of_queries(task, test, near, removed=test.look.name in compared)
            same = [text for text in task.passages if said(text) in told[id(test)]]
            if same:
                yield Finding(
                    task.look.name,
                    f"{len(same):,} of {len(task.passages):,} answers are passages of the benchmark {test.look.name}, "
                    f"such as {quoted(same[0])}; a training on them may know what is asked there (report, leaks)",
                )


def _of_queries(task: Facts, test: Facts, near, *, removed: bool) -> Finding:
    own, other, _ = near.row(0)
    after = "they are removed from training" if removed else "they stay, as `dedup.against` leaves that benchmark out"
    return Finding(
        task.look.name,
        f"{len(near):,} of {len(task.queries):,} queries nearly equal one of the benchmark {test.look.name}, such as "
        f"{quoted(task.queries[own])} and {quoted(test.queries[other])}; {after}",
    )

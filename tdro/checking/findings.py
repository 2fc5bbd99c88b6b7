"""What is odd about one dataset: a sentence each, with what it means and what helps."""

from collections.abc import Iterator
from typing import NamedTuple

from tdro.checking.facts import Facts
from tdro.config.data import Data
from tdro.config.registry import Task
from tdro.formats import plural, quoted
from tdro.text.languages import KNOWN
from tdro.text.strings import count_words

#: Shares from which on something is told: of empty texts, of echoes, of nearly identical answers, of another language.
EMPTY, ECHOES, ALIKE, FOREIGN = 0.01, 0.01, 0.05, 0.2
# Texts whose language must be known before one is called another's.
_TOLD = 20


class Finding(NamedTuple):
    """A sentence on a dataset, and whether the configuration cannot run because of it."""

    dataset: str
    text: str
    fatal: bool = False


def findings(facts: Facts, data: Data, batch: int | None = None) -> Iterator[Finding]:
    """All that is odd about a dataset.

    Args:
        facts: Of its first rows.
        data: What preparation keeps.
        batch: Rows of a batch; None where no training is known.
    """
    look = facts.look
    if look.wrong:
        yield Finding(look.name, look.wrong, fatal=True)
    if look.absent:
        yield Finding(look.name, f"not looked at: {look.absent}")
    if look.bad:
        yield _malformed(facts, data.max_bad_rows)
    sentences = [*_of_texts(facts)]
    if isinstance(look.entry, Task) and look.pairs:
        yield from _of_numbers(facts, look.entry, batch)
        sentences += [*_of_pairs(facts, data), *_of_batches(facts, look.entry, batch)]
    yield from (Finding(look.name, sentence) for sentence in sentences)


def _malformed(facts: Facts, allowed: int) -> Finding:
    bad = facts.look.bad
    more = f" and {len(bad) - 1:,} more" if len(bad) > 1 else ""
    found = f"malformed: {bad[0].place} {bad[0].reason}{more}; `data.max_bad_rows` allows {allowed}"
    return Finding(facts.look.name, found, fatal=len(bad) > allowed)


def _of_numbers(facts: Facts, task: Task, batch: int | None) -> Iterator[Finding]:
    """Whether there is enough to hold out and to train on; known of sources that were read to their end."""
    look, queries = facts.look, len(facts.queries)
    if not look.ended or look.rows > len(look.pairs):
        return
    if (apart := task.held_out + task.dev) >= queries:
        yield Finding(
            look.name,
            f"`held_out` and `dev` keep {apart:,} queries out of training, and there are {queries:,}; lower them",
            fatal=True,
        )
    elif batch and (left := queries - apart) < batch:
        yield Finding(
            look.name,
            f"{plural(left, 'query', 'queries')} to train on, fewer than the {batch:,} rows of a batch, "
            "so that each batch of this task repeats some; lower `training.batch_size`, or add rows",
        )
    if task.negatives == "provided" and not look.negatives:
        yield Finding(look.name, "`negatives: provided`, and no row has any; set `negatives: mined`", fatal=True)


def _of_texts(facts: Facts) -> Iterator[str]:
    """Of the texts by themselves."""
    look = facts.look
    if marked := facts.markup.sentence():
        yield marked
    declared = {code.strip() for code in look.entry.language.split(",")}
    told = facts.languages.total()
    foreign = {name: number for name, number in facts.languages.items() if name not in declared}
    if "multilingual" not in declared and declared <= KNOWN and told >= _TOLD:
        for name, number in sorted(foreign.items(), key=lambda item: -item[1]):
            if number >= FOREIGN * told:
                yield (
                    f"`language: {look.entry.language}`, and {number / told:.0%} of the texts look like {name!r} (by "
                    "function words and script); correct it, or choose rows with `where`"
                )


def _of_pairs(facts: Facts, data: Data) -> Iterator[str]:
    """Of queries and their answers."""
    look = facts.look
    rows, short = len(look.pairs), data.min_words
    for number, what in ((facts.empty_queries, "query"), (facts.empty_positives, "positive")):
        if number >= EMPTY * rows:
            yield f"{_share(number, rows)} of rows have an empty {what} and are dropped; is the column the right one?"
    shorter = sum(count_words(query) < short for query in facts.queries)
    if short > 1 and shorter >= EMPTY * rows:
        part = _share(shorter, len(facts.queries))
        yield f"{part} of queries are shorter than `data.min_words` {short} and are dropped"
    same, near, example = facts.echoes
    if same + near >= ECHOES * rows and same + near:
        yield (
            f"{_share(same, rows)} of rows have a positive that says the same as its query, and {_share(near, rows)} "
            f"one that nearly does, such as {quoted(example)}; `data.drop_echoes: {data.drop_echoes}` decides which go"
        )
    number, twins = facts.near_passages
    if twins and number >= ALIKE * facts.distinct_positives:
        yield (
            f"{_share(number, facts.distinct_positives)} of answers nearly equal another one, such as "
            f"{quoted(twins[0])} and {quoted(twins[1])}: one of them may become a hard negative of the other's query; "
            "keep one of each, or set `mining.select.margin`"
        )


def _of_batches(facts: Facts, task: Task, batch: int | None) -> Iterator[str]:
    """Of answers that stand in a batch more than once."""
    if batch and task.in_batch and (others := facts.others_alike(batch)) >= 1:
        yield (
            f"{plural(facts.distinct_positives, 'distinct answer')} in {len(facts.look.pairs):,} rows: in a batch of "
            f"{batch:,} rows {others:.1f} others have the same answer as a row, on average, and cannot be its negatives"
            "; `in_batch: false` leaves a row its own hard negatives"
        )


def _share(number: int, whole: int) -> str:
    """``12%``, with a decimal where it is little."""
    share = 100 * number / whole if whole else 0
    return f"{share:.0f}%" if share >= 10 or not share else f"{share:.1f}%"

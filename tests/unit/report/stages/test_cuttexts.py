"""How many texts were cut, as the logs say."""

import logging
import re

from finished import Finished

from tdro.models.cuts import heard, say
from tdro.report.stages.cuttexts import CutTexts, collect, sentence


def logged(root, file, *said):
    """A log with what jobs have said, as the commands write it."""
    path = root / "logs" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"15:01:47 tdro.models.cuts: {'warning: ' if 3 * cut > read else ''}{_said(what, cut, read)}"
        for what, cut, read in said
    ]
    path.write_text("\n".join(["15:01:46 tdro.training.train: 5 of 9 texts were read", *lines, ""]))


def _said(what, cut, read):
    """The sentence itself, by who says it."""
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger = logging.getLogger("tdro.models.cuts")
    logger.addHandler(handler)
    level, logger.level = logger.level, logging.INFO
    try:
        say(what, cut, read)
    finally:
        logger.removeHandler(handler)
        logger.level = level
    return records[0]


def test_the_largest_share_of_each_stage_is_told(tmp_path):
    logged(tmp_path, "train/tiny.seed1.curr.log", ("code", 50, 100), ("news", 1, 100))
    logged(tmp_path, "train/tiny.seed1.uniform.log", ("code", 10, 100))
    logged(
        tmp_path, "evaluate/tiny.seed1.curr.log", ("results/data/code/heldout", 3, 4), ("results/benchmarks/web", 9, 90)
    )
    logged(tmp_path, "encode/tasks.log", ("code", 7, 70))
    found = collect(tmp_path / "logs")
    assert found == [
        CutTexts("mining", "code", 7, 70),
        CutTexts("training", "code", 50, 100),
        CutTexts("training", "news", 1, 100),
        CutTexts("evaluation", "code", 3, 4),
        CutTexts("evaluation", "web", 9, 90),
    ]
    assert [one.many for one in found] == [False, True, False, True, False]
    assert sentence(found).endswith(
        "mining at most 10% (code); training at most 50% (code); evaluation at most 75% (code)."
    )


def test_nothing_cut_is_nothing_said(tmp_path, built):
    assert collect(tmp_path) == [] and sentence([]) == ""
    assert "were longer than the model reads" not in built.text and "Texts that were cut" not in built.text


def test_the_page_tells_it_beside_the_answer(tmp_path):
    tree = Finished(tmp_path)
    logged(tmp_path, "train/tiny.seed1.curr.log", ("code", 1500, 2000))
    text = tree.report().text
    assert (
        "What was cut The largest shares of texts that were longer than the model reads: training at most 75%" in text
    )
    assert re.search(r"code training ! 75% 1,500 2,000", text)


def test_lines_of_others_are_not_heard():
    assert list(heard("tdro.models.cuts: 3 of 4 texts")) == []

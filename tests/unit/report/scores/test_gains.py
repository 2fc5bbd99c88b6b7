import re

import numpy as np
from finished import BENCHMARKS, Finished, content


def test_what_training_gained_over_each_untrained_retriever_is_said_first(tmp_path):
    """One retriever that is a tenth worse on every query, and one that scores the same but for its order."""
    tree = Finished(tmp_path, content(seeds=[1, 2], untrained=["bm25", "base-tiny"]))
    trained = {d: np.mean([tree.scores["tiny", s, "uniform", d] for s in (1, 2)], axis=0) for d in tree.datasets}
    tree.untrained("bm25", {d: rows - 0.1 for d, rows in trained.items()})
    tree.untrained("base-tiny", {d: rows + np.tile([[0.2], [-0.2]], (30, 1)) for d, rows in trained.items()})
    report = tree.report()
    text = report.text
    mean = np.mean([trained[d][:, 0].mean() for d in BENCHMARKS["in_domain"]])
    line = f"In domain, against bm25: {mean - 0.1:.3f} to {mean:.3f}, +0.100 [+0."
    assert line in text
    assert "a distinguishable gain" in text[text.index(line) :][:130]
    assert text.index("Whether training paid") < text.index("curr against uniform, tiny")
    other = text[text.index("In domain, against base-tiny") :][:130]
    assert "+0.000 [" in other and "not distinguishable from zero" in other
    (row,) = re.findall(r"\| in domain\s+\| (\+0.100 \[.*?\] \*)\s+\| (.*?)\s+\|\n", report.summary)
    assert "*" not in row[1]
    assert re.search(r"\| out of domain \| \+0.100 ", report.summary)


def test_nothing_is_said_of_gains_where_nothing_anchors_the_table(built):
    assert "Whether training paid" not in built.text
    assert "has gained over" not in built.summary

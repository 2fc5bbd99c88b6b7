import re

from finished import Finished, content


def test_summary_is_plain_and_narrow(tree, built):
    lines = built.summary.splitlines()
    assert built.summary.isascii() and max(map(len, lines)) <= 120
    assert lines[-1] == f"Report: {tree.root / 'report/index.html'}"
    row = built.row("nfcorpus")
    shown = f"{row['score']:.3f} {row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] * |"
    assert re.search(rf"\| nfcorpus\s+\|\s+60 \| 0.\d+\s+\| {re.escape(shown)}", built.summary)
    assert "95% intervals" in built.summary


def test_many_mixtures_and_long_names_stay_narrow(tmp_path):
    long = "a-benchmark-with-a-name-that-nobody-would-type-" * 2 + "x"
    mixtures, models = ["uniform", "curr", "top50", "mean", "ema"], ["tiny", "big"]
    tree = Finished(tmp_path, content(mixtures=mixtures, benchmarks={long: [long]}, models=models))
    summary = tree.report().summary
    assert max(map(len, summary.splitlines()[:-1])) <= 120
    assert "ema" in summary and summary.count("nDCG@10") == 2

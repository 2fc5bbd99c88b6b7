"""Judgements in every dialect that is met, through both readers: that of training tasks and that of benchmarks."""

import hypothesis.strategies as st
import pytest
from hypothesis import given
from reading import bad, items, written

from tdro.config.registry import Source
from tdro.readers.base import Row
from tdro.readers.testsets.base import open_testset

HEADERS = ["query-id\tcorpus-id\tscore", "qid\tpid\tlabel", "query id\tdoc id\trelevance", "topic\titer\tdocno\trel"]
IDENTIFIERS = ["q1", "12", "0#0", "test-x-pro02a", "é"]


def write(folder, qrels: bytes):
    for file, names in (("corpus.jsonl", [f"d{name}" for name in IDENTIFIERS]), ("queries.jsonl", IDENTIFIERS)):
        written(folder / file, [{"_id": name, "text": f"text of {name}"} for name in names])
    for split in ("train", "test"):
        written(folder / "qrels" / f"{split}.tsv", qrels)
    return str(folder)


def of_benchmark(path):
    """Relevant passages of each query."""
    topics = open_testset(Source(reader="beir", path=path)).queries()
    return {topic.query_id: set(topic.grades) for topic in topics if topic.grades}


def of_task(path):
    """The same, as a training task reads it."""
    found = items("beir", path)
    assert not bad(found)
    return {item.query_id: {p.passage_id for p in item.positives} for item in found if isinstance(item, Row)}


READERS = [of_benchmark, of_task]


@st.composite
def files(draw):
    """A file of judgements in one dialect, and what it says."""
    pairs = st.tuples(st.sampled_from(IDENTIFIERS), st.sampled_from(IDENTIFIERS))
    judged = draw(st.dictionaries(pairs, st.integers(-2, 3), min_size=1))
    columns, gap = draw(st.sampled_from([3, 4])), draw(st.sampled_from(["\t", " ", "   "]))
    quoted, fraction = draw(st.sampled_from(["", '"'])), draw(st.sampled_from(["", ".0", "."]))
    lines = []
    for (query, passage), grade in judged.items():
        cells = [query, *(["Q0"] if columns == 4 else []), f"d{passage}", f"{grade}{fraction}"]
        lines.append(gap.join(f"{quoted}{cell}{quoted}" for cell in cells))
    header = draw(st.sampled_from([None, *HEADERS]))
    if header:
        lines.insert(0, "\t".join(f"{quoted}{cell}{quoted}" for cell in header.split("\t")))
    blank = draw(st.sampled_from([[], [""]]))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    expected = {}
    for (query, passage), grade in judged.items():
        if grade > 0:
            expected.setdefault(query, set()).add(f"d{passage}")
    return mark + (end.join(blank + lines) + end).encode(), expected


@given(files().filter(lambda case: case[1]))
def test_both_readers_read_every_dialect_alike(tmp_path_factory, case):
    content, expected = case
    path = write(tmp_path_factory.mktemp("beir"), content)
    assert of_benchmark(path) == of_task(path) == expected


@pytest.mark.parametrize("read", READERS)
def test_the_last_judgement_of_a_passage_counts(tmp_path, read):
    path = write(tmp_path, b"q1\tdq1\t1\nq1\td12\t0\n12\td12\t2\nq1\tdq1\t0\nq1\td12\t1\n")
    assert read(path) == {"q1": {"d12"}, "12": {"d12"}}


@pytest.mark.parametrize("read", READERS)
def test_a_header_that_comes_again_where_files_were_joined(tmp_path, read):
    path = write(tmp_path, b"qid\tpid\tlabel\nq1\tdq1\t1\nqid\tpid\tlabel\n12\td12\t2\n")
    assert read(path) == {"q1": {"dq1"}, "12": {"d12"}}


@pytest.mark.parametrize("read", READERS)
def test_white_space_around_identifiers_is_none_of_them(tmp_path, read):
    path = write(tmp_path, b"q1 \t dq1\t 1 \n")
    (tmp_path / "corpus.jsonl").write_text('{"_id": " dq1 ", "text": "x"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1 ", "text": "y"}\n')
    assert read(path) == {"q1": {"dq1"}}

"""CSV and TSV: quotes, rows of several lines, and what breaks them."""

import pytest
from reading import bad, table, written

from tdro.errors import UserError
from tdro.readers.base import Passage, Row

MANY = "".join(f"q{number},p{number}\n" for number in range(300))


def read(tmp_path, text, name="t.csv"):
    return table(written(tmp_path / name, text))


def test_cells_with_quotes_and_line_breaks(tmp_path):
    found = read(tmp_path, '\ufeffq,p\n"say ""hi""","two\nlines"\n\n"bad"x,p\nc,d\n')
    assert found[0] == Row('say "hi"', [Passage("two\nlines")], [])
    assert found[2] == Row("c", [Passage("d")], [])
    assert [place for place, _ in bad(found)] == ["t.csv, line 5"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'q,p\na,b\nc,"never closed\n{MANY}', "line 3: a quote opens in this row and is not closed until the end"),
        (f'q,p\na,b\nc,"never closed\n{MANY}d,"e"\n', "line 3: a quote that opens in this row takes in 301 more lines"),
        (f'q,p\na,b\nc,"never closed\n{MANY}d,TV 50",x\n', "line 3: the row that starts here and ends on line 304"),
        ('q,p\na,b\nc,"d', "line 3: a quote opens"),
        ("q,p\na,b\nc", "line 3 has 1 cells.* in the middle of this row"),
    ],
)
def test_a_file_that_a_quote_or_its_end_breaks_counts_as_no_single_bad_row(tmp_path, text, said):
    with pytest.raises(UserError, match=rf"t\.csv, {said}"):
        read(tmp_path, text)


def test_a_quote_that_takes_in_rows_and_is_closed_is_told(tmp_path, caplog):
    found = read(tmp_path, f'q,p\na,b\nc,"never closed\n{MANY}d,TV 50"\n')
    assert len(found) == 2 and "line 3: a cell holds what looks like rows" in caplog.text
    caplog.clear()
    read(tmp_path, 'q,p\na,"one\ntwo, three, four\nand five"\nb,"x\ny"\n')
    assert not caplog.text


def test_quotes_that_tsv_keeps_are_told(tmp_path, caplog):
    found = read(tmp_path, 'q\tp\na\t"one"\nb\t"say ""hi"""\nc\t"\nd\t"a" and "b\n', "t.tsv")
    assert [row.positives[0].text for row in found] == ['"one"', '"say ""hi"""', '"', '"a" and "b']
    assert "t.tsv, line 2: a cell keeps the quotes around it" in caplog.text and "(2 such rows)" in caplog.text
    caplog.clear()
    read(tmp_path, 'q,p\na,"one"\nb,"""two"""\n')
    assert not caplog.text


@pytest.mark.parametrize(("name", "separator"), [("t.csv", ","), ("t.tsv", "\t")])
def test_blank_lines_before_the_header_are_passed_over(tmp_path, name, separator):
    assert read(tmp_path, f"\n\nq{separator}p\na{separator}b\n", name) == [Row("a", [Passage("b")], [])]

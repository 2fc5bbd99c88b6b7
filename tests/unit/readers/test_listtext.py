"""Lists that were written as text."""

import pytest
from reading import items, table, written

from tdro.errors import UserError


@pytest.mark.parametrize("cell", ["['first', 'second']", "['first' 'second']", '["it\'s", "so"]'])
@pytest.mark.parametrize("column", ["p", "n"])
def test_where_all_passages_are_lists_the_file_is_refused(tmp_path, cell, column):
    quoted = '"' + cell.replace('"', '""') + '"'
    for count in (3, 30):
        rest = {"p": "x", "n": "y"} | {column: quoted}
        written(tmp_path / "t.csv", "q,p,n\n" + f"a,{rest['p']},{rest['n']}\n" * count)
        with pytest.raises(UserError, match=r"t\.csv holds lists written as text.*orient='records'"):
            table(tmp_path / "t.csv", negatives="n")
    with pytest.raises(UserError, match="lists written as text"):
        items("jsonl", written(tmp_path / "t.jsonl", [["q", cell]]))


def test_where_some_are_they_are_told(tmp_path, caplog):
    rows = [["q", "['a', 'b']"], ["q", "[1, 2]"], ["q", "['a"], ["q", "['a', 'b']"]]
    assert len(items("jsonl", written(tmp_path / "t.jsonl", rows))) == 4
    assert "2 of 4 rows have a list written as text" in caplog.text

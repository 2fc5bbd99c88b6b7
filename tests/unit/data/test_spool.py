import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tdro.data import spool
from tdro.data.spool import Spool
from tdro.text.strings import exact_key


@given(st.lists(st.lists(st.integers(0, 30), max_size=6), max_size=6), st.data())
def test_a_spool_gives_back_each_text_once(tmp_path_factory, blocks, data):
    folder = tmp_path_factory.mktemp("spool")
    store, added = Spool(folder, ("a", "b")), [text for block in blocks for text in block]
    numbers = []
    for block in blocks:
        for text in block:
            record = (str(text), None if text % 3 else f"text {len(numbers)}")
            numbers.append(store.add(exact_key(str(text)), record))
        store.flush()
    distinct = list(dict.fromkeys(added))
    assert numbers == list(range(len(added)))
    assert store.rows.tolist() == [distinct.index(text) for text in added]
    assert len(store) == len(distinct)
    for _ in range(2):
        rows = sorted(data.draw(st.sets(st.sampled_from(range(len(distinct)))))) if distinct else []
        found = list(store.select(np.array(rows, dtype=np.int64)))
        assert [row for piece, _ in found for row in piece] == rows
        expected = [(str(text), None if text % 3 else f"text {added.index(text)}") for text in distinct]
        assert [tuple(r.values()) for _, batch in found for r in batch.to_pylist()] == [expected[row] for row in rows]
    assert list(folder.iterdir()) == []
    store.close()


def test_a_spool_is_full_by_number_and_by_length(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "_MOST_RECORDS", 3)
    texts = Spool(tmp_path, ("text",))
    for text in ("a", "b", "a"):
        assert not texts.full
        texts.add(exact_key(text), (text,))
    assert texts.full
    texts.flush()
    assert not texts.full
    monkeypatch.setattr(spool, "_MOST_CHARACTERS", 10)
    texts.add(exact_key("c"), ("c" * 11,))
    assert texts.full

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tdro.data import spool
from tdro.data.spool import Distinct, Spool
from tdro.text.relations import said_keys


@given(st.lists(st.integers(0, 5), max_size=6), st.data())
def test_a_spool_gives_back_what_it_got(tmp_path_factory, sizes, data):
    folder = tmp_path_factory.mktemp("spool")
    records = [(str(number), None if number % 3 else f"text {number}") for number in range(sum(sizes))]
    store, start = Spool(folder, ("a", "b")), 0
    for size in sizes:
        store.append(records[start : start + size])
        start += size
    for _ in range(2):
        rows = sorted(data.draw(st.sets(st.integers(0, len(records) - 1)))) if records else []
        found = list(store.select(np.array(rows, dtype=np.int64)))
        assert [tuple(r.values()) for _, batch in found for r in batch.to_pylist()] == [records[row] for row in rows]
        assert [row for piece, _ in found for row in piece] == rows
    assert list(folder.iterdir()) == []
    store.close()


def test_distinct_texts_wait_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "_MOST_RECORDS", 3)
    texts = Distinct(tmp_path, ("text",))
    for text in ("a", "b", "A."):
        assert not texts.full
        texts.add(said_keys([text]).tobytes(), (text,))
    assert texts.full
    rows, new = texts.flush()
    assert (rows.tolist(), new, len(texts), texts.full) == ([0, 1, 0], 2, 2, False)
    monkeypatch.setattr(spool, "_MOST_CHARACTERS", 10)
    texts.add(said_keys(["c" * 11]).tobytes(), ("c" * 11,))
    assert texts.full

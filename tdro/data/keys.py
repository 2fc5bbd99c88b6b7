"""Rows of 64-bit keys: a table of integers where a dictionary of texts would not fit."""

import numpy as np

_LARGEST_LOAD = 0.7
_BLOCK = 1 << 16


class KeyRows:
    """The row of every key, counted in the order in which keys were first seen.

    An open-addressing hash table in NumPy: 12 bytes a slot, hence about 17 to 34 a key, where a dict
    of Python integers takes well over 100. Keys must be hashes already (:func:`tdro.text.relations.written_key`).
    """

    def __init__(self) -> None:
        self._allocate(_BLOCK)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Row of each key, int32 of the same shape; -1 for one that was never added."""
        return self._rows[self._slots(keys)]

    def add(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give each unknown key the next row.

        Args:
            keys: uint64 of shape (n,), repetitions allowed.

        Returns:
            The row of each key, int32 of shape (n,), and the places in ``keys``, rising, where a new
            row began.
        """
        distinct, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        rows = self.find(distinct)
        new = np.flatnonzero(rows < 0)
        new = new[np.argsort(first[new])]
        rows[new] = np.arange(self._size, self._size + len(new))
        self._grow(len(new))
        self._insert(distinct[new], rows[new])
        self._size += len(new)
        return rows[inverse], first[new]

    def _allocate(self, slots: int) -> None:
        self._keys = np.zeros(slots, dtype=np.uint64)
        self._rows = np.full(slots, -1, dtype=np.int32)

    def _slots(self, keys: np.ndarray) -> np.ndarray:
        """Slot of each key: the one that holds it, or the empty one where it would go."""
        mask = np.uint64(len(self._keys) - 1)
        slots = (keys & mask).astype(np.int64)
        waiting = np.arange(len(keys))
        while len(waiting):
            at = slots[waiting]
            waiting = waiting[(self._rows[at] >= 0) & (self._keys[at] != keys[waiting])]
            slots[waiting] = (slots[waiting] + 1) & int(mask)
        return slots

    def _insert(self, keys: np.ndarray, rows: np.ndarray) -> None:
        """Enter distinct keys that the table lacks."""
        while len(keys):
            slots = self._slots(keys)
            self._keys[slots] = keys  # several may want one slot: one of them has it, the others look on
            won = self._keys[slots] == keys
            self._rows[slots[won]] = rows[won]
            keys, rows = keys[~won], rows[~won]

    def _grow(self, more: int) -> None:
        slots = len(self._keys)
        while self._size + more > slots * _LARGEST_LOAD:
            slots *= 2
        if slots == len(self._keys):
            return
        taken = self._rows >= 0
        keys, rows = self._keys[taken], self._rows[taken]
        self._allocate(slots)
        for start in range(0, len(keys), _BLOCK):
            self._insert(keys[start : start + _BLOCK], rows[start : start + _BLOCK])

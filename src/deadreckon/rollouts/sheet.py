"""Columns of a part as the lane writes them, step by step: every text and every state kept once.

Rows come step by step and leave sorted by rollout and step, which needs no sort: the steps of a rollout are
0, 1, ... without a gap, so a row's place is its rollout's first place plus its step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Rows
from deadreckon.rollouts.table import Coded

Index = NDArray[np.int64]

_ODD = np.uint64(0x9E3779B97F4A7C15)


def distinct(rows: Rows) -> tuple[Rows, Index]:
    """The distinct rows (m, w) and which of them each row is (n,): rows = found[which].

    Sorted by a hash and then compared in full; should two rows share a hash, sorted by the rows themselves.
    """
    weights = np.cumprod(np.full(rows.shape[1], _ODD))
    hashes = rows.astype(np.uint64) @ weights
    _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    found = rows[first]
    if not np.array_equal(found[which], rows):
        found, which = np.unique(rows, axis=0, return_inverse=True)
    return found, which.reshape(-1)


class Sheet:
    """Columns under way."""

    def __init__(self) -> None:
        """Empty."""
        self._numbers: dict[str, list[NDArray[np.generic]]] = {}
        self._texts: dict[str, list[str]] = {}
        self._which: dict[str, list[Index]] = {}

    def add(self, columns: Mapping[str, NDArray[np.generic]]) -> None:
        """Some rows of the columns of numbers."""
        for name, column in columns.items():
            self._numbers.setdefault(name, []).append(column)

    def write(self, name: str, texts: Sequence[str], which: Index) -> None:
        """Some rows of a column of texts: `texts[which]`, null where which is negative."""
        known = self._texts.setdefault(name, [])
        self._which.setdefault(name, []).append(np.where(which < 0, -1, which + len(known)))
        known.extend(texts)

    def columns(self, rollouts: int) -> tuple[dict[str, NDArray[np.generic]], dict[str, Coded]]:
        """Numbers and texts, rows sorted by rollout (0 ... rollouts - 1) and step, from columns `number` and `t`."""
        joined = {name: np.concatenate(parts) for name, parts in self._numbers.items()}
        number, t = joined["number"], joined["t"]
        steps = np.bincount(number, minlength=rollouts)
        order = np.empty(len(number), np.int64)
        order[(np.cumsum(steps) - steps)[number] + t] = np.arange(len(number))
        which = {name: np.concatenate(self._which[name])[order] for name in self._texts}
        numbers = {name: column[order] for name, column in joined.items()}
        return numbers, {name: Coded(which[name], texts) for name, texts in self._texts.items()}

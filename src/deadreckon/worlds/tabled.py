"""What worlds share on arrays whose laws stand in a table by place: rows are (level, place, symbols written)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Codes, Rows


class Laws(Protocol):
    """The table of one level, a row a place."""

    @property
    def policy_codes(self) -> Codes:
        """(places, r): right actions, padded with -1."""
        ...

    @property
    def policy_p(self) -> NDArray[np.float64]:
        """(places, r): their probabilities, padded with 0."""
        ...

    @property
    def wrong_codes(self) -> Codes:
        """(places, k): wrong actions, padded with -1."""
        ...


class Tabled(ABC):
    """The methods of `BatchWorld` that such a table answers alone: nothing is told on the way, and nothing mends."""

    length: int  # symbols of a text
    _codes: Mapping[str, int]
    _written: Sequence[str]  # by code; -1 is the last

    @abstractmethod
    def _batch_table(self, rows: Rows) -> Laws:
        """The table of the rows' level."""

    def code(self, action: str) -> int:
        """Its place among the actions of the highest level."""
        return self._codes[action]

    def batch_done(self, rows: Rows) -> NDArray[np.bool_]:
        """`done` of each row."""
        done: NDArray[np.bool_] = rows[:, 2] >= self.length
        return done

    def batch_fixes(self, rows: Rows) -> NDArray[np.bool_]:
        """`fixes` of each row: never."""
        return np.zeros(len(rows), np.bool_)

    def batch_policy(self, rows: Rows) -> tuple[Codes, NDArray[np.float64]]:
        """`policy` of each row."""
        table = self._batch_table(rows)
        return table.policy_codes[rows[:, 1]], table.policy_p[rows[:, 1]]

    def batch_wrong(self, rows: Rows) -> Codes:
        """`wrong` of each row."""
        wrong = self._batch_table(rows).wrong_codes[rows[:, 1]]
        wrong[self.batch_done(rows)] = -1
        return wrong

    def batch_mend(self, rows: Rows) -> Codes:
        """`mend` of each row: none."""
        return np.full(len(rows), -1, np.int64)

    def batch_write(self, codes: Codes) -> list[str]:
        """`write` of each code."""
        return [self._written[code] for code in codes.tolist()]

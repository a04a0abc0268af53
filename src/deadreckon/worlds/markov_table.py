"""The exact law of the world `markov`, drawn once per kind, order and level."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import product
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deadreckon.seeds import Purpose, generator, hash64
from deadreckon.worlds.markov_law import Law, Matrix, Vector, stationary, transition, within

KINDS = ("full", "ergodic", "absorbing")
SYMBOLS = {1: 4, 2: 6, 3: 8}  # by level; half of them errors where there are errors
FLOOR = 0.1  # share of each law that is uniform over its support: no probability is tiny
BACK, LENGTH = 0.1, 64


class Table:
    """One level's law. Columns are action codes: places in the world's letters, of which low levels use a part."""

    def __init__(self, kind: str, order: int, level: int, back: float):
        """Contexts, right ones first, where each symbol leads, and a fixed draw of the probabilities."""
        self.kind, self.order, self.back = kind, order, back
        letters, half = letters_of(kind), SYMBOLS[level] // 2
        classes = [letters[: 2 * half]] if kind == "full" else [letters[:half], letters[4 : 4 + half]]
        self.symbols = "".join(classes)
        self.contexts = ["".join(context) for part in classes for context in product(part, repeat=order)]
        self.index = {context: i for i, context in enumerate(self.contexts)}
        self.right = np.array([context.islower() for context in self.contexts])
        shape = (len(self.contexts), len(letters))
        self.after = np.full(shape, -1, np.int64)
        self.p = np.zeros(shape)
        draws = generator(0, hash64("markov", kind, order, level), Purpose.START).random((*shape, 2))
        for i, context in enumerate(self.contexts):
            for symbol in self.symbols:
                self.after[i, letters.index(symbol)] = self._lead(context, symbol)
            self._fill(self.p[i], context, draws[i])
        self.leads: list[list[int]] = self.after.tolist()
        self.policies = [
            MappingProxyType({a: x for a, x in zip(letters, p, strict=True) if x}) for p in self.p.tolist()
        ]
        self.wrong = [tuple(letters[a] for a in self._wrong(i)) for i in range(len(self.contexts))]
        self.policy_codes = padded([np.nonzero(p)[0].tolist() for p in self.p])
        self.policy_p = np.where(self.policy_codes < 0, 0.0, np.take_along_axis(self.p, self.policy_codes, axis=1))
        self.wrong_codes = padded([self._wrong(i) for i in range(len(self.contexts))])

    def _lead(self, context: str, symbol: str) -> int:
        """The context after a symbol; -1 where it is not allowed."""
        if symbol.islower() == context.islower():
            return self.index[context[1:] + symbol]
        if self.kind == "absorbing" and context.isupper():
            return -1
        return self.index[symbol * self.order]

    def _fill(self, p: Vector, context: str, draws: Matrix) -> None:
        """The law after a context, from uniform draws (letters, 2)."""
        letters = letters_of(self.kind)
        same = [letters.index(a) for a in self.symbols if a.islower() == context.islower()]
        other = [letters.index(a) for a in self.symbols if a.islower() != context.islower()]
        back = self.back if self.kind == "ergodic" and context.isupper() else 0.0
        p[same] = (1.0 - back) * simplex(draws[: len(same) - 1, 0])
        if back:
            p[other] = back * simplex(draws[: len(other) - 1, 1])

    def _wrong(self, i: int) -> list[int]:
        """Codes of the level's symbols that the law after context i leaves out."""
        letters = letters_of(self.kind)
        return [letters.index(symbol) for symbol in self.symbols if not self.p[i, letters.index(symbol)]]

    @cached_property
    def law(self) -> Law:
        """As matrices, for closed forms."""
        return Law(self.p, self.after)

    @cached_property
    def start(self) -> Vector:
        """Stationary law of error-free text over the contexts: (C,), 0 at errors."""
        start = np.zeros(len(self.contexts))
        start[self.right] = stationary(transition(within(self.law, self.right)))
        return start


def letters_of(kind: str) -> str:
    """The letters of a kind at its highest level, in the order of their codes."""
    return "abcdefgh" if kind == "full" else "abcdABCD"


def simplex(uniforms: Vector) -> Vector:
    """A uniform draw from the simplex (the gaps between sorted uniforms), mixed with `FLOOR` of the uniform law."""
    gaps = np.diff(np.sort(uniforms), prepend=0.0, append=1.0)
    mixed: Vector = (1.0 - FLOOR) * gaps + FLOOR / len(gaps)
    return mixed


def padded(lists: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Lists as rows, -1 at the end of shorter ones."""
    rows = np.full((len(lists), max(map(len, lists))), -1, np.int64)
    for row, values in zip(rows, lists, strict=True):
        row[: len(values)] = values
    return rows


@lru_cache(maxsize=64)
def table_of(kind: str, order: int, level: int, back: float) -> Table:
    """The table of a level, drawn once."""
    return Table(kind, order, level, back)

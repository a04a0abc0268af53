"""Two groups of 120 elements as multiplication tables: S5, and the cyclic group Z120 as its commutative twin."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

ORDER = 120
GROUPS = ("s5", "z120")
LETTERS = ("two", "all")
LENGTHS = {1: 8, 2: 16, 3: 32, 4: 64, 5: 128}  # letters of a word, by level
LEVEL_OF = {length: level for level, length in LENGTHS.items()}


@dataclass(frozen=True, slots=True)
class Group:
    """Elements by code. `times[s][g]` is s followed by g; `inverse[g]` undoes g."""

    name: str
    texts: tuple[str, ...]
    codes: dict[str, int] = field(repr=False)
    times: NDArray[np.int64] = field(repr=False)  # (120, 120)
    product: tuple[tuple[int, ...], ...] = field(repr=False)  # the same as tuples: fast for one state
    inverse: NDArray[np.int64] = field(repr=False)  # (120,)
    pair: tuple[int, int] = (0, 0)  # the two generators, the letters a and b


@lru_cache(maxsize=len(GROUPS))
def group(name: str) -> Group:
    """The group of that name.

    s5: arrangements of 1 .. 5; (s g)[i] = s[g[i]], so a = 21345 swaps the first two of s, b = 23451 moves the first
    to the end. z120: numbers modulo 120; a adds 1, b adds 49. Either pair generates its group.
    """
    if name == "s5":
        texts = tuple("".join(p) for p in permutations("12345"))
        places = np.array([[int(c) - 1 for c in text] for text in texts])
        rank = {text: code for code, text in enumerate(texts)}
        product = places[:, places]  # (s, g, i): s[g[i]]
        times = np.array([[rank["".join(map(str, p))] for p in row] for row in (product + 1).tolist()])
        pair = (rank["21345"], rank["23451"])
    else:
        texts = tuple(f"{n:03d}" for n in range(ORDER))
        times = (np.arange(ORDER)[:, None] + np.arange(ORDER)) % ORDER
        pair = (1, 49)
    table = times.astype(np.int64)
    inverse = np.argmax(table == 0, axis=1)  # code 0 is the identity in both
    rows = tuple(map(tuple, table.tolist()))
    return Group(name, texts, {t: c for c, t in enumerate(texts)}, table, rows, inverse, pair)


@lru_cache(maxsize=1)
def others() -> NDArray[np.int64]:
    """The codes that differ from each code, in order: (120, 119)."""
    every = np.tile(np.arange(ORDER), (ORDER, 1))
    rest: NDArray[np.int64] = every[every != np.arange(ORDER)[:, None]].reshape(ORDER, ORDER - 1)
    return rest


@lru_cache(maxsize=1 << 15)
def wrong_texts(name: str, right: int, true: int) -> tuple[str, ...]:
    """Texts of all elements but these two."""
    return tuple(text for code, text in enumerate(group(name).texts) if code not in (right, true))


@dataclass(frozen=True, slots=True)
class Word:
    """What does not change in an episode: the start and the letters, as codes of elements."""

    level: int
    start: int
    letters: tuple[int, ...]
    chunks: tuple[int, ...] = field(repr=False, compare=False)  # product of the letters of each turn
    totals: tuple[int, ...] = field(repr=False, compare=False)  # true element before turn i, i = 0 .. n
    said: tuple[str, ...] = field(repr=False, compare=False)  # the letters of each turn as the world says them


@lru_cache(maxsize=1 << 16)
def word(name: str, letters_kind: str, every: int, start: int, letters: tuple[int, ...]) -> Word:
    """The word, cut into turns of `every` letters (0: one turn); the last turn may be shorter."""
    g = group(name)
    named = dict(zip(g.pair, "ab", strict=True)) if letters_kind == "two" else dict(enumerate(g.texts))
    size = every or len(letters)
    parts = [letters[i : i + size] for i in range(0, len(letters), size)]
    chunks, totals = [], [start]
    for part in parts:
        at = 0
        for letter in part:
            at = g.product[at][letter]
        chunks.append(at)
        totals.append(g.product[totals[-1]][at])
    said = tuple(" ".join(named[letter] for letter in part) + "=" for part in parts)
    return Word(LEVEL_OF[len(letters)], start, letters, tuple(chunks), tuple(totals), said)

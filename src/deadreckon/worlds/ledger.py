"""The ledger of the world `sums`: its sizes, its state, the state's notation and packed rows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, pairwise
from string import ascii_letters
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Rows
from deadreckon.errors import BadText


@dataclass(frozen=True, slots=True)
class Size:
    """What a level sets: digits of an entry, digits of a total, entries; and what follows from them."""

    level: int
    entry_digits: int
    total_digits: int
    entries: int
    modulus: int
    offset: int  # action code of the total 0: codes of all levels are distinct
    texts: tuple[str, ...] = field(repr=False)  # a total's text


def _size(level: int, entry_digits: int, entries: int) -> Size:
    total_digits = entry_digits + 1
    modulus = 10**total_digits
    offset = sum(10**d for d in range(2, total_digits))
    texts = tuple(f"{total:0{total_digits}d}" for total in range(modulus))
    return Size(level, entry_digits, total_digits, entries, modulus, offset, texts)


SIZES = {1: _size(1, 1, 24), 2: _size(2, 2, 20), 3: _size(3, 3, 40)}
TEXTS = tuple(text for size in SIZES.values() for text in size.texts)  # action code -> text
WRITTEN = (*TEXTS, "")  # code -> text where -1 is no action
CODES = {text: code for code, text in enumerate(TEXTS)}
LABELS = ascii_letters[: max(size.entries for size in SIZES.values())]


@dataclass(frozen=True, slots=True)
class Ledger:
    """What does not change in an episode: the start total and the signed entries."""

    level: int
    start: int
    entries: tuple[int, ...]
    totals: tuple[int, ...] = field(init=False, repr=False, compare=False)  # true total before line i, i = 0 .. n
    size: Size = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sum the entries up."""
        object.__setattr__(self, "totals", tuple(accumulate(self.entries, initial=self.start)))
        object.__setattr__(self, "size", SIZES[self.level])


class State(NamedTuple):
    """Before line i of a ledger, with the running total as last written (right or not)."""

    ledger: Ledger
    i: int
    total: int


def show_state(state: State) -> str:
    """Start total and entries, lines written, total: "500+47-03... 7 547"; the digits tell the level."""
    return f"{notation(state.ledger)} {state.i} {state.ledger.size.texts[state.total]}"


def read_state(text: str) -> State:
    """Inverse of `show_state`. BadText where it cannot be read, or a true total leaves the range."""
    match = re.fullmatch(r"([0-9]{2,4})((?:[+-][0-9]+)+) (0|[1-9][0-9]?) ([0-9]{2,4})", text)
    size = next((s for s in SIZES.values() if match and s.total_digits == len(match[1])), None)
    if match is None or size is None:
        raise BadText(f"{text!r} is no ledger: write it as 05+4-3...+1 7 12 (start, entries, lines written, total)")
    entries = re.findall(r"[+-][0-9]+", match[2])
    if len(entries) != size.entries or any(len(entry) != size.entry_digits + 1 for entry in entries):
        raise BadText(f"{text!r}: level {size.level} has {size.entries} entries of {size.entry_digits} digits")
    state = State(Ledger(size.level, int(match[1]), tuple(map(int, entries))), int(match[3]), int(match[4]))
    if state.i > size.entries or len(match[4]) != size.total_digits:
        raise BadText(f"{text!r}: level {size.level} has 0..{size.entries} lines of {size.total_digits} digits")
    if not all(0 <= total < size.modulus for total in state.ledger.totals):
        raise BadText(f"{text!r}: a true total leaves 0..{size.modulus - 1}, choose other entries")
    return state


@lru_cache(maxsize=1 << 16)
def notation(ledger: Ledger) -> str:
    """The part of `show` that does not change in an episode."""
    width = ledger.size.entry_digits + 1
    return ledger.size.texts[ledger.start] + "".join(f"{entry:+0{width}d}" for entry in ledger.entries)


@lru_cache(maxsize=len(SIZES))
def near(level: int) -> NDArray[np.int64]:
    """Totals one digit away from each total: (modulus, 9 D), high digit first, digit + 1 .. digit + 9 (mod 10)."""
    size = SIZES[level]
    total = np.arange(size.modulus)[:, None, None]
    place = 10 ** np.arange(size.total_digits - 1, -1, -1)[None, :, None]
    digit = total // place % 10
    other = (digit + np.arange(1, 10)) % 10
    return (total + (other - digit) * place).reshape(size.modulus, -1).astype(np.int64)


@lru_cache(maxsize=1 << 16)
def near_texts(level: int, total: int) -> tuple[str, ...]:
    """A row of `near` as texts."""
    texts = SIZES[level].texts
    return tuple(texts[other] for other in near(level)[total].tolist())


SIZE_BY_WIDTH = {3 + size.entries: size for size in SIZES.values()}


def size_of(rows: Rows) -> Size:
    """The size of these packed states: the length of a row tells."""
    return SIZE_BY_WIDTH[rows.shape[1]]


@lru_cache(maxsize=1 << 16)
def ledger_of(totals: tuple[int, ...]) -> Ledger:
    """The ledger with these true totals."""
    entries = tuple(b - a for a, b in pairwise(totals))
    return Ledger(SIZE_BY_WIDTH[2 + len(totals)].level, totals[0], entries)


@lru_cache(maxsize=1 << 16)
def shown(totals: bytes) -> str:
    """The constant part of a row's notation, from the bytes of its true totals."""
    return notation(ledger_of(tuple(np.frombuffer(totals, np.int64).tolist())))

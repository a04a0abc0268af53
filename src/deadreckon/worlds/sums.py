"""A ledger: keep a running total of signed entries; audit lines may give the true total every k entries.

The opening lists the start total and the entries; every line of the answer is the next running total::

    :500,a+47,b-03,c+88          <- opening, ended by a newline
    a547                         <- the world writes the label, the actor the total
    b544
    c632

With audits every k entries (here k = 2) the world writes the true total so far before line i where k divides
i > 0, and the opening has a block of the same width in that place, so that every entry stands a constant
number of symbols before its line::

    :500,a+47,b-03,=???,c+88
    a547
    b544
    =544                         <- the fix
    c632

Totals live modulo 10^D, so any wrong total can be carried on from: a slip is local, the total stays wrong until
it is mended or an audit tells it. All totals of an error-free history are inside 0 .. 10^D - 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from string import ascii_letters, digits
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.specs import between, read_options


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


SIZES = {1: _size(1, 1, 12), 2: _size(2, 2, 20), 3: _size(3, 3, 40)}
TEXTS = tuple(text for size in SIZES.values() for text in size.texts)  # action code -> text
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


class Sums:
    """The ledger world; see the module's text."""

    levels = tuple(SIZES)
    alphabet = (*digits, *LABELS, *"+-:,=?>\n")
    end = "\n"
    width = max(size.total_digits for size in SIZES.values()) + 1
    belief_end = ">"
    belief_width = 2 + max(size.total_digits for size in SIZES.values()) + 1

    def __init__(self, k: int = 0):
        """`k`: an audit every k entries, 0 = none. BadOption outside 0..40."""
        if not 0 <= k <= len(LABELS):
            raise BadOption(f"sums k={k}: give an integer from 0 to {len(LABELS)}")
        self.k = k
        self.name = f"sums-k{k}-v1"

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Sums:
        """From a spec's options: k. BadOption otherwise."""
        return cls(**read_options("sums", options, {"k": between(0, len(LABELS))}))

    def start(self, level: int, rng: np.random.Generator) -> State:
        """Start total uniform; each entry uniform among the non-zero ones that keep the true total in range."""
        if level not in SIZES:
            raise BadOption(f"sums has no level {level}: choose from {', '.join(map(str, SIZES))}")
        size, largest = SIZES[level], 10 ** SIZES[level].entry_digits - 1
        first, *draws = rng.random(size.entries + 1).tolist()
        begin = total = int(first * size.modulus)
        entries = []
        for u in draws:
            low, high = -min(largest, total), min(largest, size.modulus - 1 - total)
            entry = low + int(u * (high - low))  # low .. high - 1: zero is skipped
            entries.append(entry + (entry >= 0))
            total += entries[-1]
        return State(Ledger(level, begin, tuple(entries)), 0, begin)

    def allows(self, state: State, action: str) -> bool:
        """Any total of the level's digits, until the ledger ends."""
        size = state.ledger.size
        return len(action) == size.total_digits and action in CODES and state.i < size.entries

    def step(self, state: State, action: str) -> State:
        """Carry on from the written total. IllegalAction where `allows` is False."""
        if not self.allows(state, action):
            size = state.ledger.size
            raise IllegalAction(
                f"{action!r} is no total in {self.show(state)!r}: "
                f"write {size.total_digits} digits, {size.entries - state.i} entries are left"
            )
        return State(state.ledger, state.i + 1, int(action))

    def done(self, state: State) -> bool:
        """Every entry has its line."""
        return state.i == state.ledger.size.entries

    def _next(self, state: State) -> int:
        """The one right total: carries on from the audit's total where there is one, else from the written one."""
        ledger, i, total = state
        base = ledger.totals[i] if self.fixes(state) else total
        return (base + ledger.entries[i]) % ledger.size.modulus

    def policy(self, state: State) -> Mapping[str, float]:
        """The one right total."""
        return {state.ledger.size.texts[self._next(state)]: 1.0}

    def wrong(self, state: State) -> Sequence[str]:
        """Totals that differ from the right one in one digit, high digit first; never the mend; none when done."""
        ledger, i, _ = state
        if i == ledger.size.entries:
            return ()
        near = _near_texts(ledger.level, self._next(state))
        true_next = ledger.size.texts[ledger.totals[i + 1]]
        return tuple(text for text in near if text != true_next) if true_next in near else near

    def mend(self, state: State) -> str | None:
        """The true next total, from a wrong total without an audit at hand (with one it is simply right)."""
        ledger, i, total = state
        if i == ledger.size.entries or total == ledger.totals[i] or self.fixes(state):
            return None
        return ledger.size.texts[ledger.totals[i + 1]]

    def true(self, state: State) -> bool:
        """Is the written total the true one?"""
        return state.total == state.ledger.totals[state.i]

    def fixes(self, state: State) -> bool:
        """An audit comes before line i where k divides i > 0."""
        i = state.i
        return self.k > 0 and i > 0 and i % self.k == 0 and i < state.ledger.size.entries

    def distance(self, state: State) -> float:
        """Entries left: a wrong total does not keep the ledger from its end."""
        return float(state.ledger.size.entries - state.i)

    def opening(self, state: State) -> str:
        """Start total and entries, one block each, with a block for each audit to come."""
        ledger = state.ledger
        size = ledger.size
        blocks = [":" + size.texts[ledger.start]]
        for i, entry in enumerate(ledger.entries):
            if self.fixes(State(ledger, i, 0)):
                blocks.append("=" + "?" * size.total_digits)
            blocks.append(f"{LABELS[i]}{entry:+0{size.entry_digits + 1}d}")
        return ",".join(blocks) + "\n"

    def says(self, state: State) -> str:
        """The audit, where there is one, and the label of the line to write; "" when done."""
        ledger, i, _ = state
        if i == ledger.size.entries:
            return ""
        return f"={ledger.size.texts[ledger.totals[i]]}\n{LABELS[i]}" if self.fixes(state) else LABELS[i]

    def belief(self, state: State) -> str:
        """Lines written (two digits) and the total as written: "07547"."""
        return f"{state.i:02d}{state.ledger.size.texts[state.total]}"

    def show(self, state: State) -> str:
        """Start total and entries, lines written, total: "500+47-03... 7 547"; the digits tell the level."""
        return f"{_notation(state.ledger)} {state.i} {state.ledger.size.texts[state.total]}"

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read, or a true total leaves the range."""
        match = re.fullmatch(r"([0-9]{2,4})((?:[+-][0-9]{1,3})+) (0|[1-9][0-9]?) ([0-9]{2,4})", text)
        size = next((s for s in SIZES.values() if match and s.total_digits == len(match[1])), None)
        if match is None or size is None:
            raise BadText(f"{text!r} is no ledger: write it as 05+4-3...+1 7 12 (start, entries, lines written, total)")
        entries = re.findall(r"[+-][0-9]+", match[2])
        if len(entries) != size.entries or any(len(entry) != size.entry_digits + 1 for entry in entries):
            raise BadText(f"{text!r}: level {size.level} has {size.entries} entries of {size.entry_digits} digits")
        ledger = Ledger(size.level, int(match[1]), tuple(map(int, entries)))
        state = State(ledger, int(match[3]), int(match[4]))
        if not all(0 <= total < size.modulus for total in ledger.totals) or self.show(state) != text:
            raise BadText(f"{text!r}: a true total leaves 0..{size.modulus - 1}, or a number has other digits")
        if state.i > size.entries:
            raise BadText(f"{text!r}: {state.i} lines written of a ledger of {size.entries}")
        return state

    def write(self, action: str) -> str:
        """The total, zero-padded."""
        return action

    def parse(self, text: str) -> str | None:
        """Two to four digits (how many the level asks for is `allows`'s business)."""
        return text if text in CODES else None

    def rules(self) -> str:
        """The ledger in words."""
        audit = (
            f" Every {self.k} entries an audit line =TOTAL gives the true total so far (marked =??? in the list):"
            " carry on from it."
            if self.k
            else ""
        )
        return (
            "A ledger: after ':' stands the start total, then labelled signed entries. For each label write the running"
            " total after its entry, zero-padded to as many digits as the start total, modulo that power of ten,"
            f" one line each.{audit}"
        )


@lru_cache(maxsize=1 << 16)
def _notation(ledger: Ledger) -> str:
    """The part of `show` that does not change in an episode."""
    width = ledger.size.entry_digits + 1
    return ledger.size.texts[ledger.start] + "".join(f"{entry:+0{width}d}" for entry in ledger.entries)


@lru_cache(maxsize=len(SIZES))
def _near(level: int) -> NDArray[np.int64]:
    """Totals one digit away from each total: (modulus, 9 D), high digit first, digit + 1 .. digit + 9 (mod 10)."""
    size = SIZES[level]
    total = np.arange(size.modulus)[:, None, None]
    place = 10 ** np.arange(size.total_digits - 1, -1, -1)[None, :, None]
    digit = total // place % 10
    other = (digit + np.arange(1, 10)) % 10
    return (total + (other - digit) * place).reshape(size.modulus, -1).astype(np.int64)


@lru_cache(maxsize=1 << 16)
def _near_texts(level: int, total: int) -> tuple[str, ...]:
    texts = SIZES[level].texts
    return tuple(texts[other] for other in _near(level)[total].tolist())

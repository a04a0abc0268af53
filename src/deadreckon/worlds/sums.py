"""A ledger: keep a running total of signed entries; audit lines may give the true total every k entries.

The opening lists the entries and the start total; every line of the answer is the next running total::

    a+47,b-03,c+88:500           <- opening, ended by a newline
    a547                         <- the world writes the label, the actor the total
    b544
    c632

With audits every k entries (here k = 2) the world writes the true total so far before line i where k divides
i > 0, and the opening has a block of the same width in that place, so that every entry stands a constant
number of symbols before its line::

    a+47,b-03,=???,c+88:500
    a547
    b544
    =544                         <- the fix
    c632

Totals live modulo 10^D, so any wrong total can be carried on from: a slip is local, the total stays wrong until
it is mended or an audit tells it. All totals of an error-free history are inside 0 .. 10^D - 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import digits

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Codes, Rows
from deadreckon.errors import BadOption, IllegalAction
from deadreckon.specs import between, read_options
from deadreckon.worlds.ledger import (
    CODES,
    LABELS,
    SIZES,
    WRITTEN,
    Ledger,
    State,
    ledger_of,
    near,
    near_texts,
    read_state,
    show_state,
    shown,
    size_of,
)


class Sums:
    """The ledger world; see the module's text."""

    levels = tuple(SIZES)
    alphabet = (*digits, *LABELS, *"+-:,=?>\n")
    end = "\n"
    width = max(size.total_digits for size in SIZES.values()) + 1
    belief_end = ">"
    belief_width = 1 + max(size.entry_digits + size.total_digits for size in SIZES.values()) + 1

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
        top, entries = size.modulus - 1, []
        for u in draws:
            low = -total if total < largest else -largest
            high = top - total if top - total < largest else largest
            entry = low + int(u * (high - low))  # low .. high - 1: zero is skipped
            entry += entry >= 0
            entries.append(entry)
            total += entry
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
        near = near_texts(ledger.level, self._next(state))
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
        """Entries, one block each, with a block for each audit to come; then the start total, as on a line."""
        ledger = state.ledger
        size = ledger.size
        blocks = []
        for i, entry in enumerate(ledger.entries):
            if self.fixes(State(ledger, i, 0)):
                blocks.append("=" + "?" * size.total_digits)
            blocks.append(f"{LABELS[i]}{entry:+0{size.entry_digits + 1}d}")
        return f"{','.join(blocks)}:{size.texts[ledger.start]}\n"

    def says(self, state: State) -> str:
        """The audit, where there is one, and the label of the line to write; "" when done."""
        ledger, i, _ = state
        if i == ledger.size.entries:
            return ""
        return f"={ledger.size.texts[ledger.totals[i]]}\n{LABELS[i]}" if self.fixes(state) else LABELS[i]

    def belief(self, state: State) -> str:
        """The entry to come and the total it is to be added to: "+47547"; the total alone when done."""
        ledger, i, total = state
        size = ledger.size
        entry = f"{ledger.entries[i]:+0{size.entry_digits + 1}d}" if i < size.entries else ""
        return entry + size.texts[total]

    def show(self, state: State) -> str:
        """Start total and entries, lines written, total: "500+47-03... 7 547"; the digits tell the level."""
        return show_state(state)

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read, or a true total leaves the range."""
        return read_state(text)

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
            "A ledger: labelled signed entries, then, after ':', the start total. For each label write the running"
            " total after its entry, zero-padded to as many digits as the start total, modulo that power of ten,"
            f" one line each.{audit}"
        )

    # --- The same on arrays. A row is (i, total, true total before line 0 .. n): its length tells the level. ---

    def pack(self, states: Sequence[State]) -> Rows:
        """(n, 3 + entries). BadOption where levels are mixed."""
        levels = {state.ledger.level for state in states}
        if len(levels) != 1:
            raise BadOption(f"levels {sorted(levels)} in one batch of {self.name}: pack one level at a time")
        return np.array([(state.i, state.total, *state.ledger.totals) for state in states], np.int64)

    def unpack(self, rows: Rows) -> list[State]:
        """Inverse of `pack`."""
        return [State(ledger_of(tuple(totals)), i, total) for i, total, *totals in rows.tolist()]

    def code(self, action: str) -> int:
        """The total, after the codes of shorter totals."""
        return CODES[action]

    def batch_done(self, rows: Rows) -> NDArray[np.bool_]:
        """`done` of each row."""
        done: NDArray[np.bool_] = rows[:, 0] == size_of(rows).entries
        return done

    def batch_true(self, rows: Rows) -> NDArray[np.int8]:
        """`true` of each row."""
        true: NDArray[np.bool_] = rows[:, 1] == rows[np.arange(len(rows)), 2 + rows[:, 0]]
        return true.astype(np.int8)

    def batch_distance(self, rows: Rows) -> NDArray[np.float64]:
        """`distance` of each row."""
        return (size_of(rows).entries - rows[:, 0]).astype(np.float64)

    def batch_fixes(self, rows: Rows) -> NDArray[np.bool_]:
        """`fixes` of each row."""
        i = rows[:, 0]
        if not self.k:
            return np.zeros(len(rows), np.bool_)
        fixes: NDArray[np.bool_] = (i > 0) & (i % self.k == 0) & (i < size_of(rows).entries)
        return fixes

    def _batch_next(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The right next total and the true one (the last entry's, where done): (n,) each."""
        size, each = size_of(rows), np.arange(len(rows))
        i = np.minimum(rows[:, 0], size.entries - 1)
        now, then = rows[each, 2 + i], rows[each, 3 + i]
        base = np.where(self.batch_fixes(rows), now, rows[:, 1])
        return (base + then - now) % size.modulus, then

    def batch_policy(self, rows: Rows) -> tuple[Codes, NDArray[np.float64]]:
        """`policy` of each row: one action."""
        right, _ = self._batch_next(rows)
        return (right + size_of(rows).offset)[:, None], np.ones((len(rows), 1))

    def batch_wrong(self, rows: Rows) -> Codes:
        """`wrong` of each row: (n, 9 D), one less where the mend is a digit away."""
        size = size_of(rows)
        right, true = self._batch_next(rows)
        codes = near(size.level)[right] + size.offset
        row, column = np.nonzero(codes == (true + size.offset)[:, None])
        order = np.arange(codes.shape[1])
        order = order + (order >= column[:, None])
        codes[row] = np.pad(codes[row], ((0, 0), (0, 1)), constant_values=-1)[np.arange(len(row))[:, None], order]
        codes[self.batch_done(rows)] = -1
        return codes

    def batch_mend(self, rows: Rows) -> Codes:
        """`mend` of each row."""
        size = size_of(rows)
        none = (self.batch_true(rows) == 1) | self.batch_fixes(rows) | self.batch_done(rows)
        return np.where(none, -1, self._batch_next(rows)[1] + size.offset)

    def batch_allows(self, rows: Rows, codes: Codes) -> NDArray[np.bool_]:
        """`allows` of each row and its code."""
        size = size_of(rows)
        return (codes >= size.offset) & (codes < size.offset + size.modulus) & ~self.batch_done(rows)

    def batch_step(self, rows: Rows, codes: Codes) -> Rows:
        """`step` of each row."""
        after = rows.copy()
        after[:, 0] += 1
        after[:, 1] = codes - size_of(rows).offset
        return after

    def batch_show(self, rows: Rows) -> list[str]:
        """`show` of each row."""
        texts = size_of(rows).texts
        keys = np.ascontiguousarray(rows[:, 2:]).view(np.dtype((np.void, 8 * (rows.shape[1] - 2))))[:, 0].tolist()
        lines, totals = rows[:, 0].tolist(), rows[:, 1].tolist()
        return [f"{shown(key)} {i} {texts[total]}" for key, i, total in zip(keys, lines, totals, strict=True)]

    def batch_write(self, codes: Codes) -> list[str]:
        """`write` of each code."""
        return [WRITTEN[code] for code in codes.tolist()]

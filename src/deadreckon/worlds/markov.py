"""Markov chains of order k whose exact law is known: the next symbol is the action, the policy is the law.

Transcripts are symbols with a space after each, "a c b "; the opening is the context the chain starts from, drawn
from the stationary law of error-free text. Three kinds:

* ``full``: any symbol may follow any context; no step is an error, truth is undefined. For entropies and divergences.
* ``ergodic``: lower-case symbols are right, upper-case ones are errors. The law never goes from right to error (such
  a step is a slip), and from an error it returns to a right symbol with probability `back`.
* ``absorbing``: as ergodic, but no right symbol is allowed after an error: the goal, the end of the text, is lost.

A symbol of the other class (right after error, error after right) restarts the context: the k last symbols then
count as that symbol k times. So a context is of one class, and after a return it is that of an error-free history.

A noisy oracle on `ergodic` leaves the track with probability slip and returns with probability `back` (there is no
mend, so its own rate `recover` has no effect): the track is a two-state chain whatever the symbols do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Codes, Rows, nan
from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.specs import between, known_only, one_of, read_option
from deadreckon.worlds.markov_law import Law, Vector
from deadreckon.worlds.markov_table import BACK, KINDS, LENGTH, SYMBOLS, Table, letters_of, table_of
from deadreckon.worlds.tabled import Tabled


class State(NamedTuple):
    """The context (k symbols, oldest first) and the number of symbols written so far."""

    level: int
    last: str
    steps: int


class Markov(Tabled):
    """The Markov world; see the module's text."""

    levels = tuple(SYMBOLS)
    end = " "
    width = 1
    belief_end = ">"

    def __init__(self, kind: str = "full", order: int = 1, *, back: float = BACK, length: int = LENGTH):
        """`back`: return probability of `ergodic`; `length`: symbols of an episode. BadOption outside the ranges."""
        if kind not in KINDS:
            raise BadOption(f"markov kind={kind!r}: choose from {', '.join(KINDS)}")
        if not 1 <= order <= 3:
            raise BadOption(f"markov order={order}: give an integer from 1 to 3")
        if not 0.0 < back < 1.0:
            raise BadOption(f"markov back={back}: give a probability per step above 0 and below 1")
        if kind != "ergodic" and back != BACK:
            raise BadOption(f"markov kind={kind} has no way back: drop back={back} or choose kind=ergodic")
        if length < 1:
            raise BadOption(f"markov length={length}: give at least 1 symbol")
        self.kind, self.order, self.back, self.length = kind, order, back, length
        unusual = [f"-back{back!r}"] * (back != BACK) + [f"-length{length}"] * (length != LENGTH)
        self.name = f"markov-{kind}{order}{''.join(unusual)}-v1"
        letters = letters_of(kind)
        self.alphabet = (*(letter + " " for letter in letters), ">")
        self.belief_width = order + 1
        self._codes = {letter: code for code, letter in enumerate(letters)}
        self._written = (*letters, "")  # -1 is the last
        self._tables = {level: table_of(kind, order, level, back) for level in SYMBOLS}

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Markov:
        """From a spec's options: kind, order, back, length. BadOption otherwise."""
        known_only("markov", options, ("kind", "order", "back", "length"))
        return cls(
            read_option("markov", options, "kind", one_of(*KINDS), "full"),
            read_option("markov", options, "order", between(1, 3), 1),
            back=read_option("markov", options, "back", float, BACK),
            length=read_option("markov", options, "length", between(1, 1_000_000), LENGTH),
        )

    def law(self, level: int) -> Law:
        """The exact law over the level's contexts, for the closed forms of `markov_law`."""
        return self._table(level).law

    def contexts(self, level: int) -> Sequence[str]:
        """The contexts behind the rows of `law`."""
        return tuple(self._table(level).contexts)

    def on_track(self, level: int) -> NDArray[np.bool_]:
        """Which contexts are error-free: (C,)."""
        return self._table(level).right.copy()

    def start_law(self, level: int) -> Vector:
        """The law start contexts are drawn from: the stationary one of error-free text, (C,)."""
        return self._table(level).start.copy()

    def _table(self, level: int) -> Table:
        if level not in self._tables:
            raise BadOption(f"markov has no level {level}: choose from {', '.join(map(str, SYMBOLS))}")
        return self._tables[level]

    def start(self, level: int, rng: np.random.Generator) -> State:
        """A context from the stationary law of error-free text."""
        table = self._table(level)
        cdf = np.cumsum(table.start[table.right])
        drawn = np.searchsorted(cdf / cdf[-1], rng.random(), side="right")
        return State(level, table.contexts[int(drawn)], 0)

    def _place(self, state: State) -> tuple[Table, int]:
        table = self._tables[state.level]
        return table, table.index[state.last]

    def legal(self, state: State) -> Sequence[str]:
        """Symbols of the level; after an error of the absorbing kind, errors alone; none when done."""
        if self.done(state):
            return ()
        table, i = self._place(state)
        return tuple(letter for letter in table.symbols if table.after[i, self._codes[letter]] >= 0)

    def _after(self, state: State, action: str) -> int:
        """The context a symbol leads to, -1 where it is not allowed."""
        table, i = self._place(state)
        code = self._codes.get(action, -1)
        return table.leads[i][code] if code >= 0 and state.steps < self.length else -1

    def allows(self, state: State, action: str) -> bool:
        """As `legal`."""
        return self._after(state, action) >= 0

    def step(self, state: State, action: str) -> State:
        """The context moves on. IllegalAction where `allows` is False."""
        after = self._after(state, action)
        if after < 0:
            allowed = ", ".join(self.legal(state)) or "nothing, the episode is done"
            raise IllegalAction(f"{action!r} cannot follow in {self.show(state)!r}: allowed are {allowed}")
        return State(state.level, self._tables[state.level].contexts[after], state.steps + 1)

    def done(self, state: State) -> bool:
        """`length` symbols are written."""
        return state.steps >= self.length

    def policy(self, state: State) -> Mapping[str, float]:
        """The exact law."""
        table, i = self._place(state)
        return table.policies[i]

    def wrong(self, state: State) -> Sequence[str]:
        """Symbols the law leaves out: slips from a right context, illegal once absorbed; none when done."""
        table, i = self._place(state)
        return () if self.done(state) else table.wrong[i]

    def mend(self, state: State) -> str | None:
        """None: where a return is possible it is in the law itself."""
        return None

    def true(self, state: State) -> bool | None:
        """Is the context one of error-free text? None in the kind `full`."""
        return None if self.kind == "full" else state.last.islower()

    def fixes(self, state: State) -> bool:
        """The world tells nothing."""
        return False

    def distance(self, state: State) -> float:
        """Symbols left; inf once absorbed; nan in the kind `full`, whose text leads nowhere."""
        if self.kind == "full":
            return nan
        lost = self.kind == "absorbing" and state.last.isupper()
        return float("inf") if lost else float(self.length - state.steps)

    def opening(self, state: State) -> str:
        """The context."""
        return self.belief(state)

    def says(self, state: State) -> str:
        """Nothing."""
        return ""

    def belief(self, state: State) -> str:
        """The context: "a c "."""
        return "".join(letter + " " for letter in state.last)

    def show(self, state: State) -> str:
        """Level, context, symbols written: "1 ac 17"."""
        return f"{state.level} {state.last} {state.steps}"

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        match = re.fullmatch(r"([0-9]) ([a-zA-Z]+) (0|[1-9][0-9]{0,6})", text)
        state = State(int(match[1]), match[2], int(match[3])) if match else None
        known = state is not None and state.level in self._tables and state.last in self._tables[state.level].index
        if state is None or not known or state.steps > self.length:
            example = self.show(State(1, self._tables[1].contexts[0], 0))
            raise BadText(f"{text!r} is no state of {self.name}: write level, context, symbols written, as {example!r}")
        return state

    def write(self, action: str) -> str:
        """The letter."""
        return action

    def parse(self, text: str) -> str | None:
        """A letter of any level."""
        return text if text in self._codes else None

    def rules(self) -> str:
        """The chain in words."""
        errors = "" if self.kind == "full" else " Upper-case letters are errors."
        return (
            f"A random text of single letters; which letter comes next depends on the last"
            f" {self.order} alone. Continue it as it would go on by itself, one letter at a time.{errors}"
        )

    # --- The same on arrays. A row is (level, context, symbols written). ---

    def pack(self, states: Sequence[State]) -> Rows:
        """(n, 3). BadOption where levels are mixed."""
        levels = {state.level for state in states}
        if len(levels) != 1:
            raise BadOption(f"levels {sorted(levels)} in one batch of {self.name}: pack one level at a time")
        index = self._table(levels.pop()).index
        return np.array([(state.level, index[state.last], state.steps) for state in states], np.int64)

    def unpack(self, rows: Rows) -> list[State]:
        """Inverse of `pack`."""
        return [State(level, self._tables[level].contexts[i], steps) for level, i, steps in rows.tolist()]

    def _batch_table(self, rows: Rows) -> Table:
        return self._tables[int(rows[0, 0]) if len(rows) else 1]

    def batch_true(self, rows: Rows) -> NDArray[np.int8]:
        """`true` of each row."""
        if self.kind == "full":
            return np.full(len(rows), -1, np.int8)
        return self._batch_table(rows).right[rows[:, 1]].astype(np.int8)

    def batch_distance(self, rows: Rows) -> NDArray[np.float64]:
        """`distance` of each row."""
        if self.kind == "full":
            return np.full(len(rows), nan)
        lost = (self.kind == "absorbing") & (self.batch_true(rows) == 0)
        return np.where(lost, np.inf, self.length - rows[:, 2])

    def batch_allows(self, rows: Rows, codes: Codes) -> NDArray[np.bool_]:
        """`allows` of each row and its code."""
        after = self._batch_table(rows).after
        known = (codes >= 0) & (codes < after.shape[1]) & ~self.batch_done(rows)
        return known & (after[rows[:, 1], np.where(known, codes, 0)] >= 0)

    def batch_step(self, rows: Rows, codes: Codes) -> Rows:
        """`step` of each row."""
        after = self._batch_table(rows).after
        return np.stack([rows[:, 0], after[rows[:, 1], np.maximum(codes, 0)], rows[:, 2] + 1], axis=1)

    def batch_says(self, rows: Rows) -> list[str]:
        """Nothing."""
        return [""] * len(rows)

    def batch_show(self, rows: Rows) -> list[str]:
        """`show` of each row."""
        contexts = self._batch_table(rows).contexts
        return [f"{level} {contexts[i]} {steps}" for level, i, steps in rows.tolist()]

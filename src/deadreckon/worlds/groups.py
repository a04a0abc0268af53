"""Word problems of two groups of 120 elements: S5, whose product must be taken in order, and its twin Z120.

The opening is an element, drawn uniformly; then the world says letters, each of which acts on the element from the
right, and the actor writes the element after them::

    25314
    a=52314                      <- every=1: the state is shown after every letter
    b=23145
    a b b=14532                  <- every=3: three letters are worked off between two states
    a b ... a=41352              <- every=0: the state stays hidden until the word is over

Letters are two generators (`letters=two`, a and b) or all 120 elements (`letters=all`, each written as the element).
A wrong element is carried on from, until the true one is written: that is a mend. Before every turn each element is
equally likely, so a guess is right once in 120 in both groups.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Codes, Rows
from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.specs import between, known_only, one_of, read_option
from deadreckon.worlds.group_tables import (
    GROUPS,
    LENGTHS,
    LETTERS,
    LEVEL_OF,
    ORDER,
    Word,
    group,
    others,
    word,
    wrong_texts,
)

ACTS = {
    "s5": "an arrangement of 1 to 5",
    "z120": "a number modulo 120, three digits",
}
MEANS = {
    ("s5", "two"): "a swaps the first two places, b moves the first to the end",
    ("s5", "all"): "a letter 25314 puts what stood at place 2 first, at place 5 second, and so on",
    ("z120", "two"): "a adds 1, b adds 49",
    ("z120", "all"): "a letter is a number to add",
}


class State(NamedTuple):
    """Before turn i of a word, with the element as last written (right or not)."""

    word: Word
    i: int
    at: int


class Groups:
    """The world of word problems; see the module's text."""

    levels = tuple(LENGTHS)
    end = "\n"
    width = 2
    belief_end = ">"
    belief_width = 2

    def __init__(self, group_name: str = "s5", letters: str = "two", every: int = 1):
        """`every`: letters between two states, 0 = the whole word. BadOption outside the ranges."""
        if group_name not in GROUPS or letters not in LETTERS:
            raise BadOption(f"groups group={group_name!r}, letters={letters!r}: choose from {GROUPS} and {LETTERS}")
        if not 0 <= every <= max(LEVEL_OF):
            raise BadOption(f"groups every={every}: give an integer from 0 to {max(LEVEL_OF)}")
        self.group, self.letters, self.every = group_name, letters, every
        self.name = f"groups-{group_name}-{letters}-every{every}-v1"
        self._group = group(group_name)
        self.alphabet = (*self._group.texts, *"ab =>\n")
        self._names = dict(zip("ab", self._group.pair, strict=True)) if letters == "two" else self._group.codes
        self._texts = {code: name for name, code in self._names.items()}
        self._laws = tuple({text: 1.0} for text in self._group.texts)
        self._written = (*self._group.texts, "")  # -1 is the last

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Groups:
        """From a spec's options: group, letters, every. BadOption otherwise."""
        known_only("groups", options, ("group", "letters", "every"))
        return cls(
            read_option("groups", options, "group", one_of(*GROUPS), "s5"),
            read_option("groups", options, "letters", one_of(*LETTERS), "two"),
            read_option("groups", options, "every", between(0, max(LEVEL_OF)), 1),
        )

    def _word(self, start: int, letters: tuple[int, ...]) -> Word:
        return word(self.group, self.letters, self.every, start, letters)

    def start(self, level: int, rng: np.random.Generator) -> State:
        """Start element and letters uniform."""
        if level not in LENGTHS:
            raise BadOption(f"groups has no level {level}: choose from {', '.join(map(str, LENGTHS))}")
        start = int(rng.integers(ORDER))
        drawn = rng.integers(len(self._names), size=LENGTHS[level]).tolist()
        codes = tuple(self._names.values())
        return State(self._word(start, tuple(codes[i] for i in drawn)), 0, start)

    def legal(self, state: State) -> Sequence[str]:
        """Every element; none when done."""
        return () if self.done(state) else self._group.texts

    def allows(self, state: State, action: str) -> bool:
        """Any element, until the word ends."""
        return action in self._group.codes and state.i < len(state.word.chunks)

    def step(self, state: State, action: str) -> State:
        """Carry on from the written element. IllegalAction where `allows` is False."""
        if not self.allows(state, action):
            left = len(state.word.chunks) - state.i
            raise IllegalAction(f"{action!r} is no element in {self.show(state)!r}: {left} turns are left")
        return State(state.word, state.i + 1, self._group.codes[action])

    def done(self, state: State) -> bool:
        """The word is over."""
        return state.i == len(state.word.chunks)

    def _next(self, state: State) -> int:
        return self._group.product[state.at][state.word.chunks[state.i]]

    def policy(self, state: State) -> Mapping[str, float]:
        """The one right element: the written one times the letters of the turn."""
        return self._laws[self._next(state)]

    def wrong(self, state: State) -> Sequence[str]:
        """Every other element but the mend; none when done."""
        if self.done(state):
            return ()
        return wrong_texts(self.group, self._next(state), state.word.totals[state.i + 1])

    def mend(self, state: State) -> str | None:
        """The true element, from a wrong one."""
        if self.done(state) or self.true(state):
            return None
        return self._group.texts[state.word.totals[state.i + 1]]

    def true(self, state: State) -> bool:
        """Is the written element the true one?"""
        return state.at == state.word.totals[state.i]

    def fixes(self, state: State) -> bool:
        """The world tells letters alone."""
        return False

    def distance(self, state: State) -> float:
        """Turns left."""
        return float(len(state.word.chunks) - state.i)

    def element(self, code: int) -> str:
        """The text of an element."""
        return self._group.texts[code]

    def opening(self, state: State) -> str:
        """The start element."""
        return self._group.texts[state.word.start] + "\n"

    def says(self, state: State) -> str:
        """The letters of the turn: "a b="; "" when done."""
        return "" if self.done(state) else state.word.said[state.i]

    def belief(self, state: State) -> str:
        """The element as last written."""
        return self._group.texts[state.at]

    def show(self, state: State) -> str:
        """Start, letters, turns written, element: "25314:a,b,... 2 14532"."""
        letters = ",".join(self._texts[code] for code in state.word.letters)
        return f"{self._group.texts[state.word.start]}:{letters} {state.i} {self._group.texts[state.at]}"

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        match = re.fullmatch(r"([0-9]{3,5}):([0-9ab,]{1,800}) (0|[1-9][0-9]{0,2}) ([0-9]{3,5})", text)
        example = f"{self._group.texts[0]}:{','.join([next(iter(self._names))] * 8)} 0 {self._group.texts[0]}"
        letters = match[2].split(",") if match else []
        codes = self._group.codes
        known = match is not None and match[1] in codes and match[4] in codes and self._names.keys() >= set(letters)
        if match is None or not known or len(letters) not in LEVEL_OF:
            raise BadText(f"{text!r} is no state of {self.name}: write start, letters, turns, element, as {example!r}")
        found = self._word(codes[match[1]], tuple(self._names[letter] for letter in letters))
        state = State(found, int(match[3]), codes[match[4]])
        if state.i > len(found.chunks) or (state.i == 0 and state.at != found.start):
            raise BadText(f"{text!r} cannot be: it has 0..{len(found.chunks)} turns and begins at {match[1]}")
        return state

    def write(self, action: str) -> str:
        """The element."""
        return action

    def parse(self, text: str) -> str | None:
        """An element."""
        return text if text in self._group.codes else None

    def rules(self) -> str:
        """The rules in words."""
        return (
            f"A word problem: the first line is the start, {ACTS[self.group]}. Letters then change it one after the"
            f" other: {MEANS[self.group, self.letters]}. After each '=' write what it has become by all letters so"
            " far."
        )

    # --- The same on arrays. A row is (i, at, true element before turn 0 .. n, letters). ---

    def pack(self, states: Sequence[State]) -> Rows:
        """(n, w), w set by the level. BadOption where levels are mixed."""
        levels = {state.word.level for state in states}
        if len(levels) != 1:
            raise BadOption(f"levels {sorted(levels)} in one batch of {self.name}: pack one level at a time")
        return np.array([(s.i, s.at, *s.word.totals, *s.word.letters) for s in states], np.int64)

    def _turns(self, rows: Rows) -> int:
        """Turns of these rows' words: w = 3 + turns + letters."""
        return next(
            turns
            for length in LEVEL_OF
            for turns in [-(-length // (self.every or length))]
            if 3 + turns + length == rows.shape[1]
        )

    def unpack(self, rows: Rows) -> list[State]:
        """Inverse of `pack`."""
        first = 3 + self._turns(rows)
        return [State(self._word(row[2], tuple(row[first:])), row[0], row[1]) for row in rows.tolist()]

    def code(self, action: str) -> int:
        """Its place among the elements."""
        return self._group.codes[action]

    def batch_done(self, rows: Rows) -> NDArray[np.bool_]:
        """`done` of each row."""
        done: NDArray[np.bool_] = rows[:, 0] == self._turns(rows)
        return done

    def batch_true(self, rows: Rows) -> NDArray[np.int8]:
        """`true` of each row."""
        true: NDArray[np.bool_] = rows[:, 1] == rows[np.arange(len(rows)), 2 + rows[:, 0]]
        return true.astype(np.int8)

    def batch_distance(self, rows: Rows) -> NDArray[np.float64]:
        """`distance` of each row."""
        return (self._turns(rows) - rows[:, 0]).astype(np.float64)

    def batch_fixes(self, rows: Rows) -> NDArray[np.bool_]:
        """`fixes` of each row: never."""
        return np.zeros(len(rows), np.bool_)

    def _batch_next(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The right next element and the true one (those of the last turn, where done): (n,) each."""
        i, each, times = np.minimum(rows[:, 0], self._turns(rows) - 1), np.arange(len(rows)), self._group.times
        now, then = rows[each, 2 + i], rows[each, 3 + i]
        chunk = times[self._group.inverse[now], then]
        return times[rows[:, 1], chunk], then

    def batch_policy(self, rows: Rows) -> tuple[Codes, NDArray[np.float64]]:
        """`policy` of each row: one action."""
        return self._batch_next(rows)[0][:, None], np.ones((len(rows), 1))

    def batch_wrong(self, rows: Rows) -> Codes:
        """`wrong` of each row: (n, 119), one less off the track."""
        right, true = self._batch_next(rows)
        codes = others()[right]
        row, column = np.nonzero(codes == true[:, None])
        shifted = np.pad(codes[row], ((0, 0), (0, 1)), constant_values=-1)
        order = np.arange(codes.shape[1])
        codes[row] = shifted[np.arange(len(row))[:, None], order + (order >= column[:, None])]
        codes[self.batch_done(rows)] = -1
        return codes

    def batch_mend(self, rows: Rows) -> Codes:
        """`mend` of each row."""
        return np.where((self.batch_true(rows) == 1) | self.batch_done(rows), -1, self._batch_next(rows)[1])

    def batch_allows(self, rows: Rows, codes: Codes) -> NDArray[np.bool_]:
        """`allows` of each row and its code."""
        return (codes >= 0) & (codes < ORDER) & ~self.batch_done(rows)

    def batch_step(self, rows: Rows, codes: Codes) -> Rows:
        """`step` of each row."""
        after = rows.copy()
        after[:, 0] += 1
        after[:, 1] = codes
        return after

    def batch_show(self, rows: Rows) -> list[str]:
        """`show` of each row."""
        return [self.show(state) for state in self.unpack(rows)]

    def batch_write(self, codes: Codes) -> list[str]:
        """`write` of each code."""
        return [self._written[code] for code in codes.tolist()]

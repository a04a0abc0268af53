"""Othello by random legal play: a game in which every legal move is right, so that only the rules can be broken.

Black begins; a player who can flip nothing says so (``pass``, a ply of its own); the game is over when neither can
move. A start state is a few random legal plies into the game, and its opening lists them. An illegal move leads
nowhere: the world cannot go on from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Codes, Rows, nan
from deadreckon.errors import BadOption, IllegalAction
from deadreckon.specs import read_options
from deadreckon.worlds.bitboards import AREAS, U64, flips, moves, nth_square
from deadreckon.worlds.position import (
    ACTIONS,
    NAMES,
    PASS,
    Position,
    board,
    first_position,
    pack_positions,
    read_position,
    show_position,
    show_positions,
    sides_of,
    unpack_positions,
)

SIZES = {1: 6, 2: 8}  # squares along a side, by level
OPENING_PLIES = 4

_TEXTS = (*NAMES, "")  # by code; -1 is the last
_BITS = np.array([*(1 << square for square in range(64)), 0], np.uint64)  # by action
_AREAS = np.array([AREAS.get(size, 0) for size in range(16)], np.uint64)
_SQUARES = {size: tuple(square for square in range(64) if area >> square & 1) for size, area in AREAS.items()}


@lru_cache(maxsize=4096)
def _moves(own: int, other: int, area: int) -> int:
    return moves(own, other, area)


class Othello:
    """Random legal play on 6x6 (level 1) and 8x8 (level 2)."""

    name = "othello-random-v1"
    levels = tuple(SIZES)
    end = " "
    width = 1
    belief_end = ">"
    belief_width = 17
    alphabet = (
        *(f"{name} " for name in NAMES),
        *("".join(cells) + "/" for cells in product(".xo", repeat=3)),  # half a row of 6x6
        *("".join(cells) for cells in product(".xo", repeat=4)),  # half a row of 8x8
        belief_end,
    )

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Othello:
        """From a spec's options: there are none. BadOption otherwise."""
        read_options("othello", options, {})
        return cls()

    def start(self, level: int, rng: np.random.Generator) -> Position:
        """The position after OPENING_PLIES random legal plies. BadOption: no such level."""
        if level not in SIZES:
            raise BadOption(f"othello has no level {level}: choose 1 (6x6) or 2 (8x8)")
        state = first_position(SIZES[level])
        played = []
        for _ in range(OPENING_PLIES):
            legal = self.legal(state)
            played.append(legal[int(rng.random() * len(legal))])
            state = self.step(state, played[-1])
        return state._replace(opening=tuple(played))

    def legal(self, state: Position) -> Sequence[int]:
        """Squares in board order; the pass where there is no other move; nothing when the game is over."""
        found = self._found(state)
        if not found:
            return () if self.done(state) else (PASS,)
        return [square for square in _SQUARES[state.size] if found >> square & 1]

    def _found(self, state: Position) -> int:
        own, other = sides_of(state)
        return _moves(own, other, AREAS[state.size])

    def allows(self, state: Position, action: int) -> bool:
        """Whether the move flips a disc; a pass where no move does and the game is not over."""
        if action == PASS:
            return not self._found(state) and not self.done(state)
        return 0 <= action < PASS and self._found(state) >> action & 1 == 1

    def step(self, state: Position, action: int) -> Position:
        """Place a disc and flip, or pass. IllegalAction where `allows` is False."""
        if not self.allows(state, action):
            raise IllegalAction(f"{NAMES[action]} is not legal in {self.show(state)!r}: ask legal() first")
        own, other = sides_of(state)
        disc = 0 if action == PASS else 1 << action
        flipped = flips(disc, own, other)
        own, other = own | disc | flipped, other ^ flipped
        black, white = (other, own) if state.mover else (own, other)
        return Position(black, white, state.ply + 1, state.size, state.opening)

    def done(self, state: Position) -> bool:
        """Neither player can move."""
        area = AREAS[state.size]
        return not _moves(state.black, state.white, area) and not _moves(state.white, state.black, area)

    def policy(self, state: Position) -> Mapping[int, float]:
        """Uniform over the legal actions."""
        legal = self.legal(state)
        return dict.fromkeys(legal, 1.0 / len(legal)) if legal else {}

    def wrong(self, state: Position) -> Sequence[int]:
        """The illegal actions: squares in board order, then the pass."""
        found = self._found(state)
        illegal = [square for square in _SQUARES[state.size] if not found >> square & 1]
        return illegal if self.allows(state, PASS) else [*illegal, PASS]

    def mend(self, state: Position) -> int | None:
        """None: no state is wrong."""
        return None

    def true(self, state: Position) -> bool | None:
        """None: an illegal move leads to no state, so every state is that of a legal game."""
        return None

    def fixes(self, state: Position) -> bool:
        """False: the world says nothing."""
        return False

    def distance(self, state: Position) -> float:
        """nan: random play has no goal."""
        return nan

    def opening(self, state: Position) -> str:
        """The plies before the start state: ``d3 c3 c4 c5 ``."""
        return "".join(f"{NAMES[action]} " for action in state.opening)

    def says(self, state: Position) -> str:
        """Nothing: the model plays both sides."""
        return ""

    def belief(self, state: Position) -> str:
        """The board by half rows (``.`` empty, ``x`` black, ``o`` white), on 6x6 each followed by a slash."""
        rows = board(state)
        return "".join(rows) if state.size == 8 else "".join(f"{row[:3]}/{row[3:]}/" for row in rows)

    def show(self, state: Position) -> str:
        """Rows, mover, ply and opening: ``....../..ox../..xo../....../...... b 0 d3,c3`` (``-`` for no opening)."""
        return show_position(state)

    def restore(self, text: str) -> Position:
        """Inverse of `show`. BadText."""
        return read_position(text)

    def write(self, action: int) -> str:
        """``d3`` or ``pass``."""
        return NAMES[action]

    def parse(self, text: str) -> int | None:
        """The action of that name, on any board size; None otherwise."""
        return ACTIONS.get(text)

    def rules(self) -> str:
        """The rules in words."""
        return (
            "Othello on a 6x6 or 8x8 board, black first; squares are named by column letter and row number from the "
            "top. The four middle squares start as white, black above black, white. A move puts a disc on an empty "
            "square so that it encloses a straight line of the opponent's discs between itself and another disc of "
            "the mover; all discs so enclosed are flipped. Who has no such move says pass; the game ends when neither "
            "has one. Play both sides in turn, one move at a time; any legal move is right."
        )

    def pack(self, states: Sequence[Position]) -> Rows:
        """Rows (n, 4), as in `pack_positions`."""
        return pack_positions(states)

    def unpack(self, rows: Rows) -> list[Position]:
        """Inverse of `pack`."""
        return unpack_positions(rows)

    def code(self, action: int) -> int:
        """The action itself."""
        return action

    def batch_done(self, rows: Rows) -> NDArray[np.bool_]:
        """`done` of each row."""
        own, other, area = _batch_sides(rows)
        over: NDArray[np.bool_] = moves(own, other, area) == 0
        over[over] = moves(other[over], own[over], area[over]) == 0
        return over

    def batch_true(self, rows: Rows) -> NDArray[np.int8]:
        """-1 everywhere: undefined."""
        return np.full(len(rows), -1, np.int8)

    def batch_distance(self, rows: Rows) -> NDArray[np.float64]:
        """nan everywhere: no goal."""
        return np.full(len(rows), nan)

    def batch_fixes(self, rows: Rows) -> NDArray[np.bool_]:
        """False everywhere."""
        return np.zeros(len(rows), np.bool_)

    def batch_policy(self, rows: Rows) -> tuple[Codes, NDArray[np.float64]]:
        """`policy` of each row: (n, most legal actions)."""
        codes = _listed(*_batch_legal(rows))
        real = codes >= 0
        return codes, real / np.maximum(real.sum(axis=1), 1)[:, None]

    def batch_random(self, rows: Rows, u: NDArray[np.float64]) -> Codes:
        """One legal action of each row, uniform, from a draw u in [0, 1) each: (n,); -1 where the game is over."""
        found, passes = _batch_legal(rows)
        counts = np.bitwise_count(found)
        none = counts == 0
        found[none] = 1  # any square will do: it is not taken
        codes = nth_square(found, (u * np.maximum(counts, 1)).astype(np.uint64))
        codes[none] = np.where(passes[none], PASS, -1)
        return codes

    def batch_wrong(self, rows: Rows) -> Codes:
        """`wrong` of each row: (n, most illegal actions)."""
        found, passes = _batch_legal(rows)
        return _listed(_AREAS[rows[:, 3] & 15] & ~found, ~passes)

    def batch_mend(self, rows: Rows) -> Codes:
        """-1 everywhere: no state is wrong."""
        return np.full(len(rows), -1, np.int64)

    def batch_allows(self, rows: Rows, codes: Codes) -> NDArray[np.bool_]:
        """`allows` of each row and its code."""
        found, passes = _batch_legal(rows)
        return np.where(codes == PASS, passes, found & _BITS[codes] != 0)

    def batch_step(self, rows: Rows, codes: Codes) -> Rows:
        """`step` of each row."""
        own, other = rows[:, 0].view(np.uint64), rows[:, 1].view(np.uint64)
        disc = _BITS[codes]
        flipped = flips(disc, own, other)
        after = np.empty(rows.shape[::-1], np.int64)  # by columns: they are worked on one at a time
        after[0] = (other ^ flipped).view(np.int64)
        after[1] = (own | disc | flipped).view(np.int64)
        after[2] = rows[:, 2] + 1
        after[3] = rows[:, 3]
        return after.T

    def batch_says(self, rows: Rows) -> list[str]:
        """Nothing."""
        return [""] * len(rows)

    def batch_show(self, rows: Rows) -> list[str]:
        """`show` of each row."""
        return show_positions(rows)

    def batch_write(self, codes: Codes) -> list[str]:
        """`write` of each code."""
        return [_TEXTS[code] for code in codes.tolist()]


def _batch_sides(rows: Rows) -> tuple[U64, U64, U64]:
    """Own discs, the opponent's, and the board's squares."""
    return rows[:, 0].view(np.uint64), rows[:, 1].view(np.uint64), _AREAS[rows[:, 3] & 15]


def _batch_legal(rows: Rows) -> tuple[U64, NDArray[np.bool_]]:
    """The squares that are legal, and whether the pass is."""
    own, other, area = _batch_sides(rows)
    found = moves(own, other, area)
    passes: NDArray[np.bool_] = found == 0
    passes[passes] = moves(other[passes], own[passes], area[passes]) != 0
    return found, passes


def _listed(found: U64, passes: NDArray[np.bool_]) -> Codes:
    """Squares in board order, then the pass where it is in, then -1: (n, most in a row)."""
    counts = np.bitwise_count(found) + passes
    width = int(counts.max(initial=0))
    codes = np.empty((width, len(found)), np.int64)
    for place in range(width):
        lowest = found & -found
        codes[place] = np.bitwise_count(lowest - 1)  # of no square: 64, the pass
        found = found ^ lowest
    codes[np.arange(width)[:, None] >= counts] = -1
    return codes.T

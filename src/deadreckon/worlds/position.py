"""A position of othello: its names, its notation and its packed form."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Rows
from deadreckon.errors import BadText
from deadreckon.worlds.bitboards import AREAS

PASS = 64  # the action; a move is the number of its square, 8 * row + column
NAMES = (*(f"{'abcdefgh'[square % 8]}{square // 8 + 1}" for square in range(64)), "pass")  # by action
ACTIONS = {name: action for action, name in enumerate(NAMES)}

_LONGEST_OPENING = 8  # what fits into the packed form
_EXAMPLE = "....../....../..ox../..xo../....../...... b 0 -"


class Position(NamedTuple):
    """A game in progress. Boards are bit sets, bit 8 * row + column, row 0 at the top."""

    black: int
    white: int
    ply: int  # plies since the first position, those of the opening and passes included
    size: int
    opening: tuple[int, ...]  # the actions from the first position to the start state

    @property
    def mover(self) -> int:
        """Whose turn it is: 0 black, 1 white; they alternate, for a pass is a ply."""
        return self.ply & 1


def sides_of(state: Position) -> tuple[int, int]:
    """The mover's discs and the other's."""
    return (state.white, state.black) if state.mover else (state.black, state.white)


def first_position(size: int) -> Position:
    """Four discs in the middle, black to move."""
    low = size // 2 - 1
    here, across = 9 * low, 9 * low + 1  # upper left square of the four, and the one to its right
    return Position(1 << across | 1 << here + 8, 1 << here | 1 << here + 9, 0, size, ())


def board(state: Position) -> tuple[str, ...]:
    """The rows of the board from the top, a character a square: ``.`` empty, ``x`` black, ``o`` white."""
    texts, black, white = _row_texts(state.size), state.black, state.white
    return tuple(
        texts[_TERNARY[black >> 8 * row & 0xFF] + 2 * _TERNARY[white >> 8 * row & 0xFF]] for row in range(state.size)
    )


_TERNARY = [sum(3 ** (7 - column) for column in range(8) if octet >> column & 1) for octet in range(256)]


@lru_cache(maxsize=2)
def _row_texts(size: int) -> list[str]:
    """Every row of a board by its number in base 3, first column first: 0 empty, 1 black, 2 white."""
    return ["".join(cells)[:size] for cells in product(".xo", repeat=8)]


def show_position(state: Position) -> str:
    """Rows, mover, ply and opening, as in the example; ``-`` for no opening."""
    return "/".join(board(state)) + _tail(state.ply, state.opening)


@lru_cache(maxsize=4096)
def _tail(ply: int, opening: tuple[int, ...]) -> str:
    return f" {'bw'[ply & 1]} {ply} {','.join(NAMES[action] for action in opening) or '-'}"


def show_positions(rows: Rows) -> list[str]:
    """`show_position` of each packed row."""
    shown = [""] * len(rows)
    white_moves, sizes = rows[:, 2] & 1 == 1, rows[:, 3] & 15
    black, white = np.where(white_moves, rows[:, (1, 0)].T, rows[:, :2].T)
    for size in np.unique(sizes).tolist():
        lines = np.flatnonzero(sizes == size)
        texts, ternary = np.array([f"{text}/" for text in _row_texts(size)], np.bytes_), np.array(_TERNARY)
        numbers = ternary[_octets(black[lines], size)] + 2 * ternary[_octets(white[lines], size)]
        heads = texts[numbers].view(f"S{size * (size + 1)}")[:, 0].astype(np.str_).tolist()
        for line, head, (ply, made) in zip(lines, heads, rows[lines, 2:].tolist(), strict=True):
            shown[line] = head[:-1] + _tail(ply, _unpacked(made >> 4))
    return shown


def _octets(boards: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """The rows of each board, a byte each, from the top: (n, size)."""
    return boards.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :size]


def read_position(text: str) -> Position:
    """Inverse of `show_position`. BadText."""
    parts = text.split(" ")
    rows = parts[0].split("/")
    size = len(rows)
    fits = size in AREAS and all(len(row) == size and not row.strip(".xo") for row in rows)
    if len(parts) != 4 or not fits or parts[1] not in ("b", "w"):
        raise BadText(f"{text!r} is no position: write rows of .xo, b or w, ply and opening, like {_EXAMPLE!r}")
    names = [] if parts[3] == "-" else parts[3].split(",")
    plausible = parts[2].isascii() and parts[2].isdigit() and len(parts[2]) <= 3
    if not plausible or len(names) > _LONGEST_OPENING or not ACTIONS.keys() >= {*names}:
        raise BadText(f"{text!r} has no such ply or opening: write a number and moves, like {_EXAMPLE!r}")
    if int(parts[2]) & 1 != "bw".index(parts[1]):
        raise BadText(f"{text!r} has the wrong player to move: black moves at even plies, white at odd ones")
    black, white = (_bits(rows, disc) for disc in "xo")
    return Position(black, white, int(parts[2]), size, tuple(ACTIONS[name] for name in names))


def _bits(rows: Sequence[str], disc: str) -> int:
    return sum(1 << 8 * i + j for i, row in enumerate(rows) for j, cell in enumerate(row) if cell == disc)


def pack_positions(states: Sequence[Position]) -> Rows:
    """Rows (n, 4): the mover's discs, the other's (64 bits as a signed integer), ply, size + 16 * packed opening."""
    rows = [(*sides_of(state), state.ply, state.size + (_packed(state.opening) << 4)) for state in states]
    return np.array(rows, np.uint64).reshape(-1, 4).view(np.int64)


def unpack_positions(rows: Rows) -> list[Position]:
    """Inverse of `pack_positions`."""
    plain = np.ascontiguousarray(rows).view(np.uint64).tolist()
    return [
        Position(other, own, ply, made & 15, _unpacked(made >> 4))
        if ply & 1
        else Position(own, other, ply, made & 15, _unpacked(made >> 4))
        for own, other, ply, made in plain
    ]


@lru_cache(maxsize=4096)
def _packed(opening: tuple[int, ...]) -> int:
    return sum(action + 1 << 7 * place for place, action in enumerate(opening))


@lru_cache(maxsize=4096)
def _unpacked(opening: int) -> tuple[int, ...]:
    return tuple((opening >> 7 * place & 127) - 1 for place in range(_LONGEST_OPENING) if opening >> 7 * place & 127)

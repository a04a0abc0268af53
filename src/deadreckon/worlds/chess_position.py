"""A chess position as plain integers: what a state of the world `chess` holds, and the words for how a move errs."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

PLIES = {1: 8, 2: 16, 3: 32, 4: 64, 5: 128, 6: 256}  # most plies after the start, both sides together, by level
STANDARD = 518  # the number of the standard start among the 960
PIECES = "PNBRQK"
SQUARES = tuple(f"{file}{rank}" for rank in range(1, 9) for file in "abcdefgh")  # a1, b1 ... h8

_GAPS = re.compile("11+")


class Game(NamedTuple):
    """What does not change in a rollout."""

    number: int  # of the start position, 0 to 959
    opening: tuple[str, ...]  # the plies before the start state, in UCI
    plies: int  # most plies after it
    seed: int  # of a random opponent


class State(NamedTuple):
    """A game in progress. Bit sets have a1 as bit 0, b1 as bit 1, h8 as bit 63."""

    pawns: int
    knights: int
    bishops: int
    rooks: int
    queens: int
    kings: int
    white: int
    black: int
    turn: bool  # White's
    castling: int  # the rooks that may still castle
    ep: int | None  # the square a pawn has just passed over
    halfmove: int  # plies since a capture or a pawn's move
    fullmove: int
    i: int  # plies since the start state
    reply: str  # the opponent's move that led here, as it is written; "" = none
    game: Game

    def cells(self) -> list[str]:
        """The piece on each square, a1 first, upper case for White; "1" = none."""
        cells, white = ["1"] * 64, self.white
        for name, bits in zip(PIECES, self[:6], strict=True):
            while bits:
                lowest = bits & -bits
                cells[lowest.bit_length() - 1] = name if white & lowest else name.lower()
                bits ^= lowest
        return cells

    def fen(self, *, by_file: bool) -> str:
        """The position in FEN, a square passed over always told; `by_file`: castling rights as the rooks' files."""
        cells = self.cells()
        rows = "/".join(["".join(cells[first : first + 8]) for first in range(56, -8, -8)])
        if "11" in rows:
            rows = _GAPS.sub(lambda gap: str(len(gap[0])), rows)
        castling = self._castling(by_file=by_file) or "-"
        passed = "-" if self.ep is None else SQUARES[self.ep]
        return f"{rows} {'w' if self.turn else 'b'} {castling} {passed} {self.halfmove} {self.fullmove}"

    def _castling(self, *, by_file: bool) -> str:
        """Rooks that may castle, White's first, from the h file to the a file: "KQkq" or "HAha"."""
        names = "ABCDEFGH" if by_file else "Q------K"
        white = "".join([names[file] for file in range(7, -1, -1) if self.castling >> file & 1])
        black = "".join([names[file] for file in range(7, -1, -1) if self.castling >> 56 + file & 1])
        return white + black.lower()


class Reason(StrEnum):
    """Why a move that was written cannot be played."""

    SYNTAX = "syntax"  # no move at all
    AMBIGUOUS = "ambiguous"  # SAN that two pieces could mean
    SPELLING = "spelling"  # SAN that means a legal move, but is not how it is written (a needless file, no x)
    EMPTY = "empty square"  # UCI: nothing stands there; SAN: the mover has no such piece
    SIDE = "wrong side"  # the other side's piece
    OWN_PIECE = "own piece"  # the target holds a piece of the mover
    BLOCKED = "blocked path"  # something stands in between, or before a pawn
    CHECK = "own king in check"  # the king would stand in check
    CASTLING = "castling"  # the right is lost, or the king is in, passes or meets check
    PROMOTION = "promotion"  # a pawn on its last rank without a new piece, or a new piece elsewhere
    GEOMETRY = "geometry"  # the piece does not move so


class Fault(StrEnum):
    """What a wrong move is owed to, where the mover wrote down the position it had in mind."""

    TRACKING = "tracking"  # the position was wrong, and the move is right in it
    DECIDING = "deciding"  # the position was right, and the move is wrong in it
    BOTH = "both"  # the position was wrong, and the move is wrong in it too
    UNREADABLE = "unreadable"  # no position can be read from what was written

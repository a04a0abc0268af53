"""Othello on bitboards: square (column, row) is bit 8 * row + column, on 6x6 as on 8x8.

`moves` and `flips` are written once and take Python integers or uint64 arrays of n boards (n,). The fill along a
line is the parallel prefix of chess programming (Kogge-Stone): six squares in four steps.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
Board = TypeVar("Board", int, U64)

FULL = 0xFFFFFFFFFFFFFFFF
AREAS = {size: sum(((1 << size) - 1) << 8 * row for row in range(size)) for size in (6, 8)}  # the squares of a board

_MIDDLE = 0x7E7E7E7E7E7E7E7E  # columns b-g: a run of flipped discs never includes an edge column, unless vertical
_LINES = ((1, _MIDDLE), (7, _MIDDLE), (8, FULL), (9, _MIDDLE))  # step along a line, squares its runs can lie on
_ONES, _HIGHS = 0x0101010101010101, 0x8080808080808080


def moves(own: Board, other: Board, area: Board) -> Board:
    """The empty squares of `area` on which a disc of `own` flips one of `other`."""
    found = own ^ own
    for step, squares in _LINES:
        run = other & squares
        up = run & (own << step)
        up |= run & (up << step)
        pair = run & (run << step)
        up |= pair & (up << 2 * step)
        up |= pair & (up << 2 * step)
        down = run & (own >> step)
        down |= run & (down >> step)
        pair >>= step
        down |= pair & (down >> 2 * step)
        down |= pair & (down >> 2 * step)
        found |= (up << step) | (down >> step)
    return found & area & ~(own | other)


def flips(disc: Board, own: Board, other: Board) -> Board:
    """The discs of `other` that a new disc of `own` flips: `disc` is one bit, or none for a pass."""
    found = own ^ own
    for step, squares in _LINES:
        run = other & squares
        up = run & (disc << step)
        up |= run & (up << step)
        pair = run & (run << step)
        up |= pair & (up << 2 * step)
        up |= pair & (up << 2 * step)
        found |= up * (((up << step) & own) != 0)
        down = run & (disc >> step)
        down |= run & (down >> step)
        pair >>= step
        down |= pair & (down >> 2 * step)
        down |= pair & (down >> 2 * step)
        found |= down * (((down >> step) & own) != 0)
    return found


_RANKED = np.zeros((256, 8), np.uint8)  # place of the k-th set bit of a byte
for _byte in range(256):
    _places = [_place for _place in range(8) if _byte >> _place & 1]
    _RANKED[_byte, : len(_places)] = _places


def nth_square(boards: U64, n: U64) -> NDArray[np.int64]:
    """The n-th set square of each board, from 0 and in bit order: (k,), (k,) -> (k,). n < number of set squares.

    Select by broadword: cumulative byte counts in one product, the byte by comparing all eight at once (Vigna,
    "Broadword implementation of rank/select queries", WEA 2008), the bit in it by table.
    """
    counts = boards - ((boards >> 1) & 0x5555555555555555)
    counts = (counts & 0x3333333333333333) + ((counts >> 2) & 0x3333333333333333)
    counts = ((counts + (counts >> 4)) & 0x0F0F0F0F0F0F0F0F) * np.uint64(_ONES)
    before = ((n * np.uint64(_ONES)) | _HIGHS) - counts  # high bit of byte i: bytes 0..i hold at most n bits
    shift = np.bitwise_count(before & _HIGHS).astype(np.uint64) << 3
    rank = n - (((counts << 8) >> shift) & 0xFF)
    octet = (boards >> shift) & 0xFF
    square: U64 = shift + _RANKED.take((octet * 8 + rank).view(np.int64))
    return square.view(np.int64)

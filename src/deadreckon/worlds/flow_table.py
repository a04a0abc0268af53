"""A chaotic system in cells: which cells its attractor meets, and the law of the next cell given this one.

logistic with r = 4 in cells of equal invariant measure: exact. With x = sin^2(pi u / 2) the map is the tent map, cell k
of N = 2^m is u in [k/N, (k+1)/N), and its image is two whole cells: given all cells so far the next is one of these,
each with probability 1/2 (Ulam and von Neumann 1947). Every other system: the share of an orbit of 409,600 symbols
that goes from one cell to another (Ulam's method), the law given the present cell alone.
"""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deadreckon.worlds.flow_maps import Points, orbits
from deadreckon.worlds.markov_law import Law, Vector, stationary, transition, within
from deadreckon.worlds.markov_table import padded

GRIDS = {"logistic": {1: 8, 2: 32, 3: 128}, "henon": {1: 8, 2: 12, 3: 16}, "lorenz": {1: 8, 2: 12, 3: 16}}
WINDOWS = {"logistic": ((0.0, 1.0),), "henon": ((-1.5, 1.5), (-0.45, 0.45)), "lorenz": ((-22.0, 22.0), (0.0, 50.0))}
SEEN = {"logistic": (0,), "henon": (0, 1), "lorenz": (0, 2)}  # coordinates a cell tells: of lorenz x and z


def cell_texts(name: str, grid: int) -> list[str]:
    """Cells as text: "017" on a line, "0307" (column, row) on a plane."""
    if name == "logistic":
        return [f"{k:03d}" for k in range(grid)]
    return [f"{i:02d}{j:02d}" for i in range(grid) for j in range(grid)]


def cells_of(name: str, points: Points, grid: int, *, exact: bool) -> NDArray[np.int64]:
    """The cell of each point (..., d): (...). What lies outside the window is in the cell at its edge."""
    if exact:
        edges = np.sin(np.pi * np.arange(1, grid) / (2 * grid)) ** 2
        return np.searchsorted(edges, points[..., 0], side="right").astype(np.int64)
    cell = np.zeros(points.shape[:-1], np.int64)
    for axis, (low, high) in zip(SEEN[name], WINDOWS[name], strict=True):
        place = np.floor((points[..., axis] - low) / (high - low) * grid).astype(np.int64)
        cell = cell * grid + np.clip(place, 0, grid - 1)
    return cell


def _tent(grid: int) -> NDArray[np.float64]:
    """The exact law of the tent map on `grid` equal cells."""
    p = np.zeros((grid, grid))
    for k in range(grid):
        first = 2 * k if k < grid // 2 else 2 * (grid - 1 - k)
        p[k, first : first + 2] = 0.5
    return p


def _counted(name: str, r: float, grid: int) -> NDArray[np.float64]:
    """Transition shares of the reference orbits, among cells that the orbits leave again; rows of others are 0."""
    seen = cells_of(name, orbits(name, r), grid, exact=False)
    size = grid ** len(SEEN[name])
    pairs = np.bincount((seen[:-1] * size + seen[1:]).ravel(), minlength=size * size)
    counts = pairs.reshape(size, size).astype(np.float64)
    while True:
        left = counts.sum(axis=1) > 0
        trimmed = counts * left[None, :]
        if (trimmed == counts).all():
            break
        counts = trimmed
    return counts / np.where(left, counts.sum(axis=1), 1.0)[:, None]


def _nearest(name: str, grid: int, support: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The nearest cell of the attractor, the first where several are."""
    every = np.arange(len(support))
    place = np.stack([every // grid, every % grid] if len(SEEN[name]) == 2 else [every], axis=1)
    there = np.flatnonzero(support)
    apart = ((place[:, None] - place[there][None]) ** 2).sum(axis=2)
    found: NDArray[np.int64] = there[np.argmin(apart, axis=1)]
    return found


class Table:
    """One level's law over its cells. Columns of codes are action codes: places in the highest level's cells."""

    def __init__(self, name: str, r: float, level: int):
        """`name` and `r` as in flow_maps."""
        grid, top = GRIDS[name][level], GRIDS[name][max(GRIDS[name])]
        self.grid, self.level = grid, level
        self.exact = name == "logistic" and r == 4.0
        self.texts = cell_texts(name, grid)
        self.index = {text: i for i, text in enumerate(self.texts)}
        rank = {text: code for code, text in enumerate(cell_texts(name, top))}
        self.codes = np.array([rank[text] for text in self.texts], np.int64)
        self.cell_of = np.full(len(rank) + 1, -1, np.int64)  # code -> cell, -1 where the level has none
        self.cell_of[self.codes] = np.arange(len(self.texts))
        p = _tent(grid) if self.exact else _counted(name, r, grid)
        self.support: NDArray[np.bool_] = p.sum(axis=1) > 0
        self.p = p if self.exact else p[_nearest(name, grid, self.support)]
        after = np.tile(np.arange(len(p)), (len(p), 1))
        self.law = Law(self.p, after)
        inner = within(self.law, self.support)
        self.start: Vector = np.zeros(len(p))
        self.start[self.support] = stationary(transition(inner))
        self.inner = inner
        right = [np.flatnonzero(row) for row in self.p]
        off = np.flatnonzero(~self.support)
        wrong = [off if len(off) else np.flatnonzero(row == 0) for row in self.p]
        self.policies = [
            MappingProxyType({self.texts[a]: float(self.p[i, a]) for a in cells}) for i, cells in enumerate(right)
        ]
        self.wrong = [tuple(self.texts[a] for a in cells) for cells in wrong]
        self.policy_codes = padded([self.codes[cells].tolist() for cells in right])
        chances = [self.p[i, cells] for i, cells in enumerate(right)]
        self.policy_p = np.zeros(self.policy_codes.shape)
        for i, row in enumerate(chances):
            self.policy_p[i, : len(row)] = row
        self.wrong_codes = padded([self.codes[cells].tolist() for cells in wrong])


@lru_cache(maxsize=32)
def table_of(name: str, r: float, level: int) -> Table:
    """The table of a system and a level."""
    return Table(name, r, level)

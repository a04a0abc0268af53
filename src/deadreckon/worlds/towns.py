"""The street maps of the world `maps`: one town a level, drawn once and fixed for ever by its seed.

A town is a grid of crossings. Some streets are missing, some are one-way, and a few blocks are traps: one-way
streets lead in, none leads out. Outside the traps every crossing can be reached from every other. No crossing
has streets out in all four directions, so there is a wrong turn everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from deadreckon.seeds import Purpose, generator, hash64
from deadreckon.worlds.search import FAR, distances, reaches

DIRECTIONS = ("N", "E", "S", "W")
SIZES = {1: 6, 2: 12, 3: 20}  # crossings along a side, by level
SPLITS = ("test", "train", "all")
NO_GOAL = -1  # the goal of a walk; in the tables it is the last column
LANDMARKS = (
    *("Mill", "Church", "School", "Bank", "Museum", "Station", "Harbour", "Library"),
    *("Market", "Castle", "Park", "Theatre", "Hospital", "Tower", "Bakery", "Garage"),
    *("Hotel", "Stadium", "Cinema", "Chapel", "Forge", "Brewery", "Observatory", "Zoo"),
)

_SEED = 20
_MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # column, row; rows are numbered from the north
_CLOSED, _ONE_WAY = 0.15, 0.35  # a street is missing below the first, one-way below the second
_TRAPS: dict[int, tuple[tuple[int, int], ...]] = {1: ((2, 1),), 2: ((2, 2), (1, 2)), 3: ((2, 3), (3, 2), (2, 2))}
_NAMED = {1: 4, 2: 12, 3: 24}  # landmarks, by level


@dataclass(frozen=True, slots=True)
class Crossing:
    """A crossing as a drawing needs it: column and row from the north-west, landmark or "", inside a trap or not."""

    name: str
    column: int
    row: int
    landmark: str
    trap: bool


@dataclass(frozen=True, slots=True)
class Street:
    """A street between two neighbouring crossings; a one-way street leads from `start` to `end` only."""

    start: str
    end: str
    one_way: bool


@dataclass(frozen=True, slots=True)
class Town:
    """One level's map: ahead[u] is the crossing to the N, E, S, W of u (-1: no street), landmark[u] its name or ""."""

    size: int
    ahead: tuple[tuple[int, ...], ...]
    trap: tuple[bool, ...]
    landmark: tuple[str, ...]


@lru_cache(maxsize=len(SIZES))
def town(level: int) -> Town:
    """The town of a level; the same for ever (a new draw would be a new world name)."""
    size = SIZES[level]
    rng = generator(_SEED, hash64("maps-v1", level), Purpose.START)
    traps = _draw_traps(size, _TRAPS[level], rng)
    ahead = _grid(size)
    _close_ways_out(ahead, traps)
    _thin(ahead, rng)
    _leave_a_wrong_turn(ahead, rng)
    places = np.argsort(rng.random(size * size))[: _NAMED[level]].tolist()
    names = dict(zip(places, LANDMARKS, strict=False))
    crossings = range(size * size)
    return Town(
        size=size,
        ahead=tuple(tuple(after) for after in ahead),
        trap=tuple(any(u in trap for trap in traps) for u in crossings),
        landmark=tuple(names.get(u, "") for u in crossings),
    )


def _grid(size: int) -> list[list[int]]:
    def neighbour(u: int, move: tuple[int, int]) -> int:
        column, row = u % size + move[0], u // size + move[1]
        return row * size + column if 0 <= column < size and 0 <= row < size else -1

    return [[neighbour(u, move) for move in _MOVES] for u in range(size * size)]


def _draw_traps(size: int, shapes: Sequence[tuple[int, int]], rng: np.random.Generator) -> list[set[int]]:
    """Blocks that touch neither the edge nor each other, so that what lies outside hangs together."""
    taken: set[int] = set()
    traps = []
    for width, height in shapes:
        while True:
            left = 1 + int(rng.random() * (size - 1 - width))
            top = 1 + int(rng.random() * (size - 1 - height))
            block = _block(size, left, top, width, height)
            if not block & taken:
                break
        traps.append(block)
        taken |= _block(size, left - 1, top - 1, width + 2, height + 2)
    return traps


def _block(size: int, left: int, top: int, width: int, height: int) -> set[int]:
    return {row * size + column for row in range(top, top + height) for column in range(left, left + width)}


def _close_ways_out(ahead: list[list[int]], traps: Sequence[set[int]]) -> None:
    for trap in traps:
        for u in trap:
            ahead[u] = [after if after in trap else -1 for after in ahead[u]]


def _thin(ahead: list[list[int]], rng: np.random.Generator) -> None:
    """Visit every street once, in random order, and close it, make it one-way, or leave it, keeping all reachable."""
    streets = [(u, way) for u, after in enumerate(ahead) for way in (1, 2) if after[way] >= 0]
    for index in np.argsort(rng.random(len(streets))).tolist():
        u, way = streets[index]
        v, back = ahead[u][way], way ^ 2
        kind, side = rng.random(2)
        if kind < _ONE_WAY and (kind < _CLOSED or side < 0.5):
            _try_close(ahead, u, way)
        if kind < _ONE_WAY and (kind < _CLOSED or side >= 0.5):
            _try_close(ahead, v, back)


def _leave_a_wrong_turn(ahead: list[list[int]], rng: np.random.Generator) -> None:
    for u, after in enumerate(ahead):
        ways = np.argsort(rng.random(4)).tolist()
        if min(after) >= 0 and not any(_try_close(ahead, u, way) for way in ways):
            raise AssertionError(f"crossing {u} needs all four of its streets: change the seed of the towns")


def _try_close(ahead: list[list[int]], u: int, way: int) -> bool:
    """Close the way out of u unless what it leads to could then no longer be reached from u."""
    v = ahead[u][way]
    if v < 0:
        return False
    ahead[u][way] = -1
    if reaches(ahead, u, v):
        return True
    ahead[u][way] = v
    return False


@dataclass(frozen=True, slots=True)
class Atlas:
    """All towns side by side, as tables. Crossings are numbered through: level 1 first, then 2 and 3 (n = 580).

    Bit d of a mask stands for DIRECTIONS[d]. The last column of `right` (goal NO_GOAL) is that of a walk, on which
    every street is right.
    """

    names: tuple[str, ...]  # (n,) "c03"
    level: tuple[int, ...]  # (n,)
    first: dict[int, int]  # level -> its first crossing
    landmark: tuple[str, ...]  # (n,)
    trap: NDArray[np.bool_]  # (n,)
    ahead: NDArray[np.int16]  # (n, 4), -1 = no street
    streets: NDArray[np.uint8]  # (n,) mask of the streets out
    steps: NDArray[np.int16]  # (n, n) shortest way from, to; FAR = none
    right: NDArray[np.uint8]  # (n, n + 1) mask of the streets on a shortest way; every street where there is none


@lru_cache(maxsize=1)
def atlas() -> Atlas:
    """The tables of all levels (built once, in some hundredths of a second)."""
    towns = {level: town(level) for level in SIZES}
    first, n = {}, 0
    for level, place in towns.items():
        first[level], n = n, n + len(place.ahead)
    ahead = np.concatenate([_shifted(place, first[level]) for level, place in towns.items()])
    steps = np.full((n, n), FAR, np.int16)
    for level, place in towns.items():
        block = slice(first[level], first[level] + len(place.ahead))
        steps[block, block] = distances(np.array(place.ahead, np.int16))
    streets = ((ahead >= 0) << np.arange(4)).sum(axis=1).astype(np.uint8)
    return Atlas(
        names=tuple(name for place in towns.values() for name in _names(place.size)),
        level=tuple(level for level, place in towns.items() for _ in place.ahead),
        first=first,
        landmark=tuple(name for place in towns.values() for name in place.landmark),
        trap=np.array([inside for place in towns.values() for inside in place.trap]),
        ahead=ahead,
        streets=streets,
        steps=steps,
        right=_right(ahead, streets, steps),
    )


def _shifted(place: Town, first: int) -> NDArray[np.int16]:
    ahead = np.array(place.ahead, np.int16)
    return np.where(ahead >= 0, ahead + np.int16(first), ahead)


def _names(size: int) -> list[str]:
    return [f"{chr(ord('a') + column)}{row + 1:02d}" for row in range(size) for column in range(size)]


def _right(ahead: NDArray[np.int16], streets: NDArray[np.uint8], steps: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Bit d of [u, g]: the street d out of u exists and leads one step nearer to g."""
    right = np.zeros(steps.shape, np.uint8)
    for way in range(4):
        nearer = (ahead[:, way, None] >= 0) & (steps[ahead[:, way]] == steps - 1)
        right |= nearer.astype(np.uint8) << np.uint8(way)
    right = np.where(steps == FAR, streets[:, None], right)
    return np.concatenate([right, streets[:, None]], axis=1)


@lru_cache(maxsize=1)
def plain_tables() -> tuple[list[list[int]], list[int], list[list[int]], list[bytes]]:
    """`ahead`, `streets`, `steps` and `right` of the atlas as plain Python, quicker for one state at a time."""
    tables = atlas()
    right = [row.tobytes() for row in tables.right]
    return tables.ahead.tolist(), tables.streets.tolist(), tables.steps.tolist(), right


def crossings(level: int) -> tuple[Crossing, ...]:
    """Every crossing of a level's map, row by row from the north-west."""
    place = town(level)
    listed = enumerate(zip(_names(place.size), place.landmark, place.trap, strict=True))
    return tuple(Crossing(name, u % place.size, u // place.size, mark, trap) for u, (name, mark, trap) in listed)


def streets(level: int) -> tuple[Street, ...]:
    """Every street of a level's map once, one-way ones in the direction they lead."""
    place = town(level)
    names = _names(place.size)
    pairs = {(u, v) for u, after in enumerate(place.ahead) for v in after if v >= 0}
    listed = sorted((u, v) for u, v in pairs if u < v or (v, u) not in pairs)
    return tuple(Street(names[u], names[v], (v, u) not in pairs) for u, v in listed)


@lru_cache(maxsize=18)
def start_pairs(level: int, split: str, walk: bool) -> tuple[tuple[int, int], ...]:
    """The (start, goal) pairs of a level's split, in order; `test` and `train` share none. A walk's goal is NO_GOAL."""
    tables = atlas()
    inside = np.array(tables.level) == level
    outside = np.flatnonzero(inside & ~tables.trap)
    if walk:
        pairs = [(start, NO_GOAL) for start in outside.tolist()]
    else:
        steps = tables.steps[np.ix_(outside, outside)]
        starts, goals = np.nonzero((steps >= SIZES[level]) & (steps < FAR))
        pairs = list(zip(outside[starts].tolist(), outside[goals].tolist(), strict=True))
    if split == "all":
        return tuple(pairs)
    return tuple(pair for pair in pairs if (hash64(*pair) % 5 == 0) == (split == "test"))

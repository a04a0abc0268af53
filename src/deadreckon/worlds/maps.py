"""A street map and a traveller who is not shown where it is: dead reckoning itself.

The reader gets start and goal (``c03>k09:``) and gives turns by the compass (``N E E S``). The map is fixed by the
level and never written down: it has to be known. At a crossing with a landmark the world says its name, which gives the
true position away (a fix). Unlike an audit in `sums`, a fix changes nothing in what is right: that is always a
shortest way to the goal from the crossing where the traveller actually is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Codes, Rows, nan
from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.specs import one_of, read_options
from deadreckon.worlds.directory import directory
from deadreckon.worlds.search import FAR
from deadreckon.worlds.towns import DIRECTIONS, LANDMARKS, NO_GOAL, SIZES, SPLITS, atlas, plain_tables, start_pairs

STYLES = ("shortest", "noisy", "walk")
WALK_STEPS = {1: 16, 2: 32, 3: 48}  # by level

_CODE = {direction: way for way, direction in enumerate(DIRECTIONS)}
_TURNS = [tuple(turn for turn, way in _CODE.items() if mask >> way & 1) for mask in range(16)]  # by mask
_LAWS = [{turn: 1.0 / len(turns) for turn in turns} for turns in _TURNS]
_WAYS = np.array([[*(_CODE[turn] for turn in turns), *[-1] * (4 - len(turns))] for turns in _TURNS])
_CHANCES = np.array([[*law.values(), *[0.0] * (4 - len(law))] for law in _LAWS])
_TEXTS = (*DIRECTIONS, "")  # by code; -1 is the last
_NOTATION = re.compile(r"([123]) ([a-t]\d\d)(?:>([a-t]\d\d) @([a-t]\d\d)| @([a-t]\d\d) (\d{1,2}) left)", re.A)


class Place(NamedTuple):
    """Where a traveller is. Crossings are numbers of the atlas, and so tell the level too."""

    start: int
    goal: int  # NO_GOAL on a walk
    at: int
    left: int  # steps a walk still has to go; 0 on the way to a goal


class Maps:
    """Routes (`shortest`; `noisy` for transcripts with slips in them) or random walks (`walk`) on a town's streets.

    `true`: the crossing lies on some shortest way from start to goal, steps(start, at) + steps(at, goal) =
    steps(start, goal). So going back along the way is a slip that keeps the state true. In a trap the goal cannot
    be reached any more: the traveller is lost, and no street is better than another.
    """

    levels = tuple(SIZES)
    end = " "
    width = 1
    belief_end = "]"
    belief_width = 3
    alphabet = (
        *(f"{direction} " for direction in DIRECTIONS),
        *(chr(ord("a") + column) for column in range(20)),
        *(f"{row:02d}" for row in range(1, 21)),
        *(">", ":", "]"),
        *(f"({landmark}) " for landmark in LANDMARKS),
    )

    def __init__(self, *, style: str = "shortest", split: str = "test"):
        """`style` of the transcripts; `split` of the (start, goal) pairs: `test` is a fifth of them. BadOption."""
        for name, value, known in (("style", style, STYLES), ("split", split, SPLITS)):
            if value not in known:
                raise BadOption(f"maps {name}={value!r}: choose from {', '.join(known)}")
        self.name = f"maps-{style}-v1"
        self.style, self.split = style, split
        self._tables = atlas()
        self._ahead, self._streets, self._steps, self._right = plain_tables()
        self._heads = [f"{level} {name}" for level, name in zip(self._tables.level, self._tables.names, strict=True)]
        self._fixes = np.array([mark != "" for mark in self._tables.landmark])

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Maps:
        """From a spec's options `style` and `split`. BadOption otherwise."""
        return cls(**read_options("maps", options, {"style": one_of(*STYLES), "split": one_of(*SPLITS)}))

    def start(self, level: int, rng: np.random.Generator) -> Place:
        """A pair of the split at least a town's width apart, neither in a trap (a walk: a start). BadOption: level."""
        if level not in SIZES:
            raise BadOption(f"maps has no level {level}: choose from 1 to {max(SIZES)}")
        pairs = start_pairs(level, self.split, self.style == "walk")
        start, goal = pairs[int(rng.random() * len(pairs))]
        return Place(start, goal, start, WALK_STEPS[level] if goal == NO_GOAL else 0)

    def legal(self, state: Place) -> Sequence[str]:
        """The streets out of the crossing, in the order N, E, S, W."""
        return _TURNS[self._streets[state.at]]

    def allows(self, state: Place, action: str) -> bool:
        """Whether there is a street that way."""
        way = _CODE.get(action)
        return way is not None and self._ahead[state.at][way] >= 0

    def step(self, state: Place, action: str) -> Place:
        """The next crossing. IllegalAction where there is no street."""
        if not self.allows(state, action):
            here = self._tables.names[state.at]
            raise IllegalAction(f"no street {action} of {here} in {self.show(state)!r}: ask legal() first")
        start, goal, at, left = state
        return Place(start, goal, self._ahead[at][_CODE[action]], left - 1 if goal == NO_GOAL else left)

    def done(self, state: Place) -> bool:
        """At the goal, or at the end of the walk."""
        return state.left <= 0 if state.goal == NO_GOAL else state.at == state.goal

    def policy(self, state: Place) -> Mapping[str, float]:
        """Uniform over the streets on a shortest way to the goal (walk, or lost: over every street)."""
        return dict(_LAWS[self._right[state.at][state.goal]])

    def wrong(self, state: Place) -> Sequence[str]:
        """Streets that are neither right nor a mend, else the directions without a street; order N, E, S, W."""
        streets = self._streets[state.at]
        slips = streets & ~self._right[state.at][state.goal] & ~self._mends(state)
        return _TURNS[slips or ~streets & 15]

    def mend(self, state: Place) -> str | None:
        """Off the shortest ways: the first street (N, E, S, W) that is not right but leads back onto one."""
        return next(iter(_TURNS[self._mends(state)]), None)

    def _mends(self, state: Place) -> int:
        """Mask of the streets that restore the true state though they are not right."""
        start, goal, at, _ = state
        if goal == NO_GOAL or self.true(state):
            return 0
        slips = _TURNS[self._streets[at] & ~self._right[at][goal]]
        out, whole = self._steps[start], self._steps[start][goal]
        ways = (_CODE[turn] for turn in slips)
        return sum(1 << way for way in ways if out[v := self._ahead[at][way]] + self._steps[v][goal] == whole)

    def true(self, state: Place) -> bool | None:
        """Whether the crossing lies on some shortest way from start to goal; None on a walk."""
        start, goal, at, _ = state
        out = self._steps[start]
        return None if goal == NO_GOAL else out[at] + self._steps[at][goal] == out[goal]

    def fixes(self, state: Place) -> bool:
        """Whether the crossing has a landmark (the start's own is not named: the opening has told)."""
        return self._tables.landmark[state.at] != "" and state.at != state.start

    def distance(self, state: Place) -> float:
        """Length of a shortest way to the goal; inf in a trap; nan on a walk."""
        if state.goal == NO_GOAL:
            return nan
        steps = self._steps[state.at][state.goal]
        return float(steps) if steps < FAR else float("inf")

    def opening(self, state: Place) -> str:
        """Start and goal, ``c03>k09:``; on a walk the start, ``c03:``."""
        names = self._tables.names
        return f"{names[state.start]}:" if state.goal == NO_GOAL else f"{names[state.start]}>{names[state.goal]}:"

    def says(self, state: Place) -> str:
        """The landmark's name, ``(Mill) ``."""
        return f"({self._tables.landmark[state.at]}) " if self.fixes(state) else ""

    def belief(self, state: Place) -> str:
        """The crossing: ``c03``."""
        return self._tables.names[state.at]

    def show(self, state: Place) -> str:
        """Level, opening and crossing: ``2 c03>k09 @d04``; on a walk ``2 c03 @d04 12 left``."""
        names, level = self._tables.names, self._tables.level[state.at]
        if state.goal == NO_GOAL:
            return f"{level} {names[state.start]} @{names[state.at]} {state.left} left"
        return f"{level} {names[state.start]}>{names[state.goal]} @{names[state.at]}"

    def restore(self, text: str) -> Place:
        """Inverse of `show`. BadText."""
        parts = _NOTATION.fullmatch(text)
        example = "2 c03 @d04 12 left" if self.style == "walk" else "2 c03>k09 @d04"
        if parts is None or (parts[3] is None) != (self.style == "walk"):
            raise BadText(f"{text!r} is no state of {self.name}: write it like {example!r}")
        level, start, goal, at, at_walk, left = parts.groups()
        numbers = {name: u for u, name in enumerate(self._tables.names) if self._tables.level[u] == int(level)}
        try:
            if goal is None:
                return Place(numbers[start], NO_GOAL, numbers[at_walk], int(left))
            return Place(numbers[start], numbers[goal], numbers[at], 0)
        except KeyError as error:
            raise BadText(f"{text!r} names crossing {error}, level {level} has none such: see crossings()") from None

    def write(self, action: str) -> str:
        """The direction's letter."""
        return action

    def parse(self, text: str) -> str | None:
        """N, E, S or W; None otherwise."""
        return text if text in _CODE else None

    def rules(self) -> str:
        """The rules in words."""
        to_goal = "Give the turns of a shortest way from the first crossing to the second."
        task = "Walk on from the start, taking any street." if self.style == "walk" else to_goal
        return (
            "A town of streets on a grid; crossings are named by column letter and two-digit row, numbered from the "
            f"north. Some streets are missing or one-way. {task} One turn at a time: N, E, S or W. Landmarks are"
            " named in brackets."
        )

    def brief(self, level: int) -> str:
        """The streets out of every crossing, and the landmarks."""
        return directory(level)

    def pack(self, states: Sequence[Place]) -> Rows:
        """Rows (n, 4): start, goal, at, left."""
        return np.array(states, np.int64).reshape(-1, 4)

    def unpack(self, rows: Rows) -> list[Place]:
        """Inverse of `pack`."""
        return [Place(*row) for row in rows.tolist()]

    def code(self, action: str) -> int:
        """Place of the direction in N, E, S, W."""
        return _CODE[action]

    def batch_done(self, rows: Rows) -> NDArray[np.bool_]:
        """`done` of each row."""
        done: NDArray[np.bool_] = np.where(rows[:, 1] == NO_GOAL, rows[:, 3] <= 0, rows[:, 2] == rows[:, 1])
        return done

    def batch_true(self, rows: Rows) -> NDArray[np.int8]:
        """`true` of each row."""
        start, goal, at, _ = rows.T
        return np.where(goal == NO_GOAL, -1, self._on_way(start, goal, at)).astype(np.int8)

    def _on_way(self, start: Codes, goal: Codes, at: Codes) -> NDArray[np.bool_]:
        steps = self._tables.steps
        on_way: NDArray[np.bool_] = steps[start, at] + steps[at, goal] == steps[start, goal]
        return on_way

    def batch_distance(self, rows: Rows) -> NDArray[np.float64]:
        """`distance` of each row."""
        steps = self._tables.steps[rows[:, 2], rows[:, 1]].astype(np.float64)
        steps[steps == FAR] = np.inf
        steps[rows[:, 1] == NO_GOAL] = nan
        return steps

    def batch_fixes(self, rows: Rows) -> NDArray[np.bool_]:
        """`fixes` of each row."""
        fixes: NDArray[np.bool_] = self._fixes[rows[:, 2]] & (rows[:, 2] != rows[:, 0])
        return fixes

    def batch_policy(self, rows: Rows) -> tuple[Codes, NDArray[np.float64]]:
        """`policy` of each row: (n, 4)."""
        right = self._tables.right[rows[:, 2], rows[:, 1]]
        return _WAYS[right], _CHANCES[right]

    def batch_wrong(self, rows: Rows) -> Codes:
        """`wrong` of each row: (n, 4)."""
        streets = self._tables.streets[rows[:, 2]]
        slips = streets & ~self._tables.right[rows[:, 2], rows[:, 1]] & ~self._batch_mends(rows)
        return _WAYS[np.where(slips != 0, slips, ~streets & 15)]

    def batch_mend(self, rows: Rows) -> Codes:
        """`mend` of each row."""
        first: Codes = _WAYS[self._batch_mends(rows), 0]
        return first

    def _batch_mends(self, rows: Rows) -> NDArray[np.uint8]:
        """`_mends` of each row."""
        mends = np.zeros(len(rows), np.uint8)
        off = np.flatnonzero(self.batch_true(rows) == 0)
        start, goal, at, _ = rows[off].T
        for way in range(4):
            after = self._tables.ahead[at, way]
            mends[off] |= self._on_way(start, goal, after).astype(np.uint8) << np.uint8(way)
        mends[off] &= self._tables.streets[at] & ~self._tables.right[at, goal]
        return mends

    def batch_allows(self, rows: Rows, codes: Codes) -> NDArray[np.bool_]:
        """`allows` of each row and its code."""
        allowed: NDArray[np.bool_] = (self._tables.ahead[rows[:, 2], codes] >= 0) & (codes >= 0)
        return allowed

    def batch_step(self, rows: Rows, codes: Codes) -> Rows:
        """`step` of each row."""
        after = rows.copy()
        after[:, 2] = self._tables.ahead[rows[:, 2], codes]
        after[:, 3] -= rows[:, 1] == NO_GOAL
        return after

    def batch_show(self, rows: Rows) -> list[str]:
        """`show` of each row."""
        names, heads = self._tables.names, self._heads
        if self.style == "walk":
            return [f"{heads[start]} @{names[at]} {left} left" for start, _, at, left in rows.tolist()]
        return [f"{heads[start]}>{names[goal]} @{names[at]}" for start, goal, at, _ in rows.tolist()]

    def batch_write(self, codes: Codes) -> list[str]:
        """`write` of each code."""
        return [_TEXTS[code] for code in codes.tolist()]

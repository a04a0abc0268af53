"""The Tower of Hanoi: from any legal position to all discs on peg C, by the shortest way.

The reader gets the peg of each disc, the largest first (``CABA:``), and moves the top disc of one peg to another
(``AB``, from A to B). From any position exactly one way to all discs on one peg is shortest (Hinz, "The Tower of
Hanoi", L'Enseignement Mathematique 35, 1989), so every position has one right move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from itertools import permutations
from typing import NamedTuple

import numpy as np

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.specs import read_options

PEGS = "ABC"
GOAL = "C"
MOVES = tuple(map("".join, permutations(PEGS, 2)))
DISCS = {1: 3, 2: 4, 3: 5, 4: 6}  # by level


class State(NamedTuple):
    """Pegs of the discs, the largest first: as they were dealt, and as they lie."""

    start: str
    at: str


def allowed(at: str) -> tuple[str, ...]:
    """The moves that put no disc on a smaller one, in the order of `MOVES`."""
    top = [at.rfind(peg) for peg in PEGS]  # index of the smallest disc on each peg, -1: empty
    return tuple(move for move in MOVES if top[PEGS.index(move[0])] > top[PEGS.index(move[1])])


def moved(at: str, move: str) -> str:
    """The position after a move that is allowed."""
    disc = at.rfind(move[0])
    return at[:disc] + move[1] + at[disc + 1 :]


@cache
def steps(at: str) -> int:
    """Fewest moves to all discs on C: a disc that is not where it has to go costs 2^k with k smaller discs."""
    target, fewest = GOAL, 0
    for disc, peg in enumerate(at):
        if peg != target:
            fewest += 2 ** (len(at) - 1 - disc)
            target = next(iter({*PEGS} - {peg, target}))
    return fewest


@cache
def right_move(at: str) -> str:
    """The move of the shortest way."""
    return next(move for move in allowed(at) if steps(moved(at, move)) < steps(at))


@lru_cache(maxsize=1024)
def way(start: str) -> frozenset[str]:
    """Every position on the shortest way from the start to the goal."""
    on = [start]
    while steps(on[-1]):
        on.append(moved(on[-1], right_move(on[-1])))
    return frozenset(on)


class Hanoi:
    """Towers of 3, 4, 5 or 6 discs; `true`: the position lies on the shortest way from the start."""

    name = "hanoi-v1"
    levels = tuple(DISCS)
    alphabet = (*(f"{move} " for move in MOVES), *PEGS, ":", "]")
    end = " "
    width = 1
    belief_end = "]"
    belief_width = max(DISCS.values()) + 1

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Hanoi:
        """There are no options. BadOption where one is given."""
        read_options("hanoi", options, {})
        return cls()

    def start(self, level: int, rng: np.random.Generator) -> State:
        """Any position but the goal, all alike. BadOption: no such level."""
        if level not in DISCS:
            raise BadOption(f"hanoi has no level {level}: choose from 1 to {max(DISCS)}")
        place = int(rng.integers(3 ** DISCS[level] - 1))  # the goal is the last: all digits 2
        at = "".join(PEGS[place // 3**disc % 3] for disc in range(DISCS[level]))
        return State(at, at)

    def legal(self, state: State) -> Sequence[str]:
        """The allowed moves."""
        return allowed(state.at)

    def allows(self, state: State, action: str) -> bool:
        """Whether the move puts no disc on a smaller one."""
        return action in allowed(state.at)

    def step(self, state: State, action: str) -> State:
        """The position after it. IllegalAction."""
        if not self.allows(state, action):
            raise IllegalAction(f"no move {action!r} in {self.show(state)!r}: ask legal() first")
        return State(state.start, moved(state.at, action))

    def done(self, state: State) -> bool:
        """All discs on C."""
        return steps(state.at) == 0

    def policy(self, state: State) -> Mapping[str, float]:
        """The one move of the shortest way."""
        return {right_move(state.at): 1.0}

    def wrong(self, state: State) -> Sequence[str]:
        """Allowed moves that are neither right nor a mend; where there is none, moves that are not allowed."""
        best = {right_move(state.at), self.mend(state)}
        slips = [move for move in allowed(state.at) if move not in best]
        return slips or [move for move in MOVES if not self.allows(state, move)]

    def mend(self, state: State) -> str | None:
        """Off the way: an allowed move back onto it that is not the right one."""
        if self.true(state):
            return None
        back = (move for move in allowed(state.at) if moved(state.at, move) in way(state.start))
        return next((move for move in back if move != right_move(state.at)), None)

    def true(self, state: State) -> bool:
        """Whether the position lies on the shortest way from the start."""
        return state.at in way(state.start)

    def fixes(self, state: State) -> bool:
        """Never: nothing is said on the way."""
        return False

    def distance(self, state: State) -> float:
        """Fewest moves to the goal."""
        return float(steps(state.at))

    def opening(self, state: State) -> str:
        """The pegs of the start, ``CABA:``."""
        return f"{state.start}:"

    def says(self, state: State) -> str:
        """Nothing."""
        return ""

    def belief(self, state: State) -> str:
        """The pegs of the discs, the largest first."""
        return state.at

    def show(self, state: State) -> str:
        """Start and position: ``CABA>CABB``."""
        return f"{state.start}>{state.at}"

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText."""
        start, _, at = text.partition(">")
        if text.count(">") != 1 or len(start) != len(at) or len(at) not in DISCS.values() or {*start, *at} - {*PEGS}:
            raise BadText(f"{text!r} is no state of {self.name}: write it like 'CABA>CABB'")
        return State(start, at)

    def write(self, action: str) -> str:
        """From and to."""
        return action

    def parse(self, text: str) -> str | None:
        """Two different pegs; None otherwise."""
        return text if text in MOVES else None

    def rules(self) -> str:
        """The rules in words."""
        return (
            "Discs of different sizes lie on three pegs, A, B and C; the start names the peg of each disc, the largest "
            "first. A move takes the top disc of one peg to another, never onto a smaller disc: AB moves it from A to "
            "B. Give the moves of the shortest way to all discs on C, one at a time."
        )

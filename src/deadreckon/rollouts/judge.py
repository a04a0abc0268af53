"""How a step is judged, and what the rule of the run makes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from deadreckon.contracts import ERRORS, DecliningWorld, Event, OnError, Stop, World
from deadreckon.seeds import Purpose, draw, pick
from deadreckon.worlds.kinds import UnjudgedWorld

S = TypeVar("S")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Judged:
    """The event, and the state the action itself would lead to (None where it leads nowhere)."""

    event: Event | None  # None: the world has no oracle
    after: Any


def judge(world: World[S, A], state: S, text: str) -> Judged:
    """Judge an action's text against the actual state.

    In this order: not an action -> unparsed; not allowed -> illegal; in the oracle's support -> right; declines to
    answer -> abstain; restores the true state from a wrong one -> mend; otherwise slip. Where the world has no oracle,
    no event.
    """
    action = world.parse(text)
    if isinstance(world, UnjudgedWorld):
        return Judged(None, None if action is None or not world.allows(state, action) else world.step(state, action))
    if action is None:
        return Judged(Event.UNPARSED, None)
    if not world.allows(state, action):
        return Judged(Event.ILLEGAL, None)
    after = world.step(state, action)
    if world.policy(state).get(action, 0.0) > 0.0:
        return Judged(Event.RIGHT, after)
    if isinstance(world, DecliningWorld) and world.declines(action):
        return Judged(Event.ABSTAIN, after)
    if world.true(state) is False and world.true(after) is True:
        return Judged(Event.MEND, after)
    return Judged(Event.SLIP, after)


def choose(law: Mapping[A, float], u: float) -> A:
    """Inverse-CDF choice from a law, in its order."""
    actions = list(law)
    cdf = np.cumsum(np.array([list(law.values())]), axis=1)
    return actions[int(pick(cdf, np.array([u]))[0])]


def oracle_action(world: World[S, A], state: S, key: tuple[int, int], place: tuple[int, int]) -> A:
    """The oracle's choice at key = (seed, item), place = (step, rollout)."""
    policy = world.policy(state)
    if len(policy) == 1:
        return next(iter(policy))
    return choose(policy, draw(key, place[0], place[1], Purpose.ORACLE))


def wrong_action(world: World[S, A], state: S, key: tuple[int, int], place: tuple[int, int]) -> A | None:
    """The error an intervention injects: uniform over `World.wrong`; None where every action is right."""
    wrong = world.wrong(state)
    if not wrong:
        return None
    return wrong[min(int(draw(key, place[0], place[1], Purpose.INJECT) * len(wrong)), len(wrong) - 1)]


def is_error(event: Event | None) -> bool:
    """slip, illegal or unparsed; what nobody can judge is none."""
    return event in ERRORS


def goes_on(judged: Judged, rule: OnError) -> bool:
    """Whether the rollout can continue after this step under the rule."""
    if not is_error(judged.event) or rule in (OnError.SKIP, OnError.REPAIR):
        return True
    return rule is OnError.ACCEPT and judged.after is not None


def goal_open(world: World[S, A], state: S) -> bool | None:
    """Whether the distance to the goal is finite; None where there is no goal."""
    distance = world.distance(state)
    return None if math.isnan(distance) else math.isfinite(distance)


def ending(world: World[S, A], state: S, *, open_goal: bool | None, last: bool) -> Stop | None:
    """Why the rollout ends in this state, or None."""
    if world.done(state):
        return Stop.DONE
    if open_goal is False:
        return Stop.LOST
    return Stop.HORIZON if last else None

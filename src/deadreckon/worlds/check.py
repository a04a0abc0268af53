"""The laws every world keeps: a battery for ours and for any that other packages bring."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic

import numpy as np

from deadreckon.contracts import A, BatchWorld, DecliningWorld, FiniteWorld, S, World
from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.seeds import Purpose, generator, hash64
from deadreckon.worlds.broken import WorldLawBroken, require
from deadreckon.worlds.check_batch import check_batch

__all__ = ["WorldLawBroken", "check_world"]

JUNK = ("", " ", "\x00", "\u2603", "no action at all", "-1", "\U0001f600" * 3, "(", "9" * 400, "\n")


@dataclass
class Walk(Generic[S, A]):
    """One episode as it was walked: one action fewer than states."""

    states: list[S]
    actions: list[A] = field(default_factory=list)


def check_world(world: World[S, A], *, items: int = 4, seed: int = 0, looked_at: int = 16, longest: int = 2000) -> None:
    """Walk `items` episodes per level, with and without errors, and hold the world to every law.

    `looked_at` states of each walk are examined, an episode of right actions must end within `longest` steps.
    WorldLawBroken names the law, the state and the action.
    """
    _check_names(world)
    walks: list[Walk[S, A]] = []
    for level in world.levels:
        here = list(_walks(world, level, items, seed, longest))
        walks += here
        states = [state for walk in here for state in _some([*walk.states], looked_at)]
        pool = _pool(world, states)
        for state in states:
            _check_state(world, state)
            if not world.done(state):
                _check_actions(world, state, pool)
        if isinstance(world, BatchWorld):
            check_batch(world, states, pool, seed)
    for walk in walks:
        _check_text(world, walk)
    _check_levels(world, seed)
    _check_junk(world, [walk.states[-1] for walk in walks], seed)


def _check_names(world: World[S, A]) -> None:
    require(world, bool(re.fullmatch(r"\S+-v[0-9]+", world.name)), "the name is versioned: NAME-v1")
    require(world, len(world.levels) > 0, "there is a level")
    require(world, world.end != "" and world.belief_end != "", "actions and beliefs have an end")
    require(world, bool(world.rules().strip()), "the rules are in words")
    symbols = list(world.alphabet)
    require(world, "" not in symbols and len(set(symbols)) == len(symbols), "symbols are not empty and listed once")


def _check_levels(world: World[S, A], seed: int) -> None:
    for level in (min(world.levels) - 1, max(world.levels) + 1):
        try:
            state = world.start(level, _rng(world, level, 0, seed))
        except BadOption:
            continue
        require(world, False, f"a level that does not exist ({level}) is a BadOption", state)


# --- Walks ---


def _rng(world: World[S, A], level: int, item: int, seed: int) -> np.random.Generator:
    return generator(seed, hash64(world.name, level, item), Purpose.START)


def _walks(world: World[S, A], level: int, items: int, seed: int, longest: int) -> Iterator[Walk[S, A]]:
    """A right walk and a mixed one per item."""
    for item in range(items):
        start = world.start(level, _rng(world, level, item, seed))
        again = world.start(level, _rng(world, level, item, seed))
        require(world, start == again and hash(start) == hash(again), "the same rng starts the same state", start)
        require(world, world.true(start) is not False, "no start state is wrong", start)
        dice = random.Random(repr((seed, level, item)))
        walk = _walk(world, start, dice, longest, _right)
        require(world, world.done(walk.states[-1]), f"right actions end the episode within {longest} steps", start)
        for state in walk.states:
            require(world, world.true(state) is not False, "right actions keep a true state true", state)
            require(world, world.distance(state) != math.inf, "right actions never lose the goal", state)
        yield walk
        yield _walk(world, start, dice, longest, _mixed)


def _walk(
    world: World[S, A],
    start: S,
    dice: random.Random,
    longest: int,
    choose: Callable[[World[S, A], S, random.Random], A],
) -> Walk[S, A]:
    walk: Walk[S, A] = Walk([start])
    while len(walk.actions) < longest and not world.done(walk.states[-1]):
        walk.actions.append(choose(world, walk.states[-1], dice))
        walk.states.append(world.step(walk.states[-1], walk.actions[-1]))
    return walk


def _right(world: World[S, A], state: S, dice: random.Random) -> A:
    policy = world.policy(state)
    return dice.choices(list(policy), list(policy.values()))[0]


def _mixed(world: World[S, A], state: S, dice: random.Random) -> A:
    """Mostly right, often wrong where a wrong action is allowed, sometimes a mend."""
    u, mend = dice.random(), world.mend(state)
    if mend is not None and u < 0.2:
        return mend
    wrong = [action for action in world.wrong(state) if world.allows(state, action)]
    return dice.choice(wrong) if wrong and u > 0.6 else _right(world, state, dice)


def _some(states: Sequence[S], n: int) -> list[S]:
    """At most n of them, evenly spaced, the first and the last included."""
    places = np.unique(np.linspace(0, len(states) - 1, min(n, len(states))).astype(int))
    return [states[i] for i in places]


def _pool(world: World[S, A], states: Sequence[S]) -> list[A]:
    """Every action the world speaks of in these states, each once."""
    seen: dict[A, None] = {}
    for state in states:
        if not world.done(state):
            mend = world.mend(state)
            seen.update(dict.fromkeys([*world.policy(state), *world.wrong(state), *([] if mend is None else [mend])]))
            if isinstance(world, FiniteWorld):
                seen.update(dict.fromkeys(world.legal(state)))
    return list(seen)


# --- States and actions ---


def _check_state(world: World[S, A], state: S) -> None:
    require(world, world.restore(world.show(state)) == state, "restore(show(s)) == s", state)
    require(world, not world.fixes(state) or world.says(state) != "", "a fix is said", state)
    distance = world.distance(state)
    require(world, math.isnan(distance) or distance >= 0, "a distance is not negative", state)
    require(world, distance != 0 or world.done(state), "an episode at its goal is done", state)


def _check_actions(world: World[S, A], state: S, pool: Sequence[A]) -> None:
    before = world.show(state)
    _check_policy(world, state)
    _check_wrong(world, state)
    _check_mend(world, state)
    if isinstance(world, DecliningWorld) and isinstance(world, FiniteWorld):
        _check_declining(world, state, [action for action in world.legal(state) if world.declines(action)])
    others = random.Random(before).sample(pool, min(20, len(pool)))
    for action in {*others, *world.policy(state), *world.wrong(state)}:
        _check_action(world, state, action)
    if isinstance(world, FiniteWorld):
        legal = list(world.legal(state))
        require(
            world, legal == list(world.legal(state)) and len({*legal}) == len(legal), "legal is a fixed list", state
        )
        for action in {*pool, *legal}:
            allowed = world.allows(state, action)
            require(world, allowed == (action in legal), "legal lists what allows() accepts", state, action)
    require(world, world.show(state) == before, "no method changes a state", state)


def _check_policy(world: World[S, A], state: S) -> None:
    policy = world.policy(state)
    total = math.fsum(policy.values())
    require(world, abs(total - 1) < 1e-12, f"the policy sums to 1 (it sums to {total!r})", state)
    nearest = math.nan
    for action, p in policy.items():
        require(world, p > 0, f"a right action has probability (not {p})", state, action)
        require(world, world.allows(state, action), "a right action is allowed", state, action)
        after = world.step(state, action)
        require(
            world, world.true(state) is not True or world.true(after) is not False, "right keeps true", state, action
        )
        nearest = float(np.fmin(nearest, world.distance(after)))
    distance = world.distance(state)
    same = distance == nearest + 1 or (math.isnan(distance) and math.isnan(nearest))
    require(world, same, f"distance = 1 + least distance after a right action ({distance} != 1 + {nearest})", state)


def _check_wrong(world: World[S, A], state: S) -> None:
    wrong, policy, mend = list(world.wrong(state)), world.policy(state), world.mend(state)
    require(world, wrong == list(world.wrong(state)) and len({*wrong}) == len(wrong), "wrong is a fixed list", state)
    for action in wrong:
        require(world, action not in policy, "a wrong action is not in the policy", state, action)
        require(world, action != mend, "a mend is not wrong", state, action)
        if world.true(state) is False and world.allows(state, action):
            after = world.true(world.step(state, action))
            require(world, after is not True, "a wrong action mends nothing", state, action)
    if isinstance(world, FiniteWorld) and not wrong:
        require(world, {*world.legal(state)} <= {*policy}, "wrong is empty only where every action is right", state)


def _check_mend(world: World[S, A], state: S) -> None:
    mend = world.mend(state)
    if mend is None:
        return
    require(world, world.true(state) is False, "a mend is offered from wrong states alone", state, mend)
    require(world, mend not in world.policy(state), "a mend is not in the policy", state, mend)
    require(world, world.allows(state, mend), "a mend is allowed", state, mend)
    require(world, world.true(world.step(state, mend)) is True, "a mend restores the true state", state, mend)


def _check_declining(world: World[S, A], state: S, declining: Sequence[A]) -> None:
    require(world, len(declining) > 0, "who may decline can", state)
    for action in declining:
        after = world.true(world.step(state, action))
        require(world, action not in world.wrong(state), "to decline is not wrong", state, action)
        require(world, world.true(state) is not True or after is not False, "to decline keeps true", state, action)


def _check_action(world: World[S, A], state: S, action: A) -> None:
    require(world, world.parse(world.write(action)) == action, "parse(write(a)) == a", state, action)
    require(world, world.end not in world.write(action), "an action does not contain its end", state, action)
    if world.allows(state, action):
        once, twice = world.step(state, action), world.step(state, action)
        require(
            world, once == twice and hash(once) == hash(twice), "the same step leads to the same state", state, action
        )
        return
    try:
        world.step(state, action)
    except IllegalAction:
        return
    require(world, False, "a step that is not allowed is an IllegalAction", state, action)


# --- Text ---


def _check_text(world: World[S, A], walk: Walk[S, A]) -> None:
    """Both styles of transcript are in the alphabet, part by part as in the whole, within the widths."""
    pattern = re.compile("|".join(map(re.escape, sorted(world.alphabet, key=len, reverse=True))), re.DOTALL)
    filler = world.alphabet[0] * (world.belief_width - 1) + world.belief_end
    require(world, len(pattern.findall(filler)) == world.belief_width, "filler has the width of a belief")
    for stated in (False, True):
        parts = [world.opening(walk.states[0])]
        for state, action in zip(walk.states, walk.actions, strict=False):
            belief = world.belief(state) + world.belief_end if stated else ""
            turn = world.write(action) + world.end
            parts += [world.says(state), belief, turn]
            width, belief_width = len(pattern.findall(turn)), len(pattern.findall(belief))
            require(world, width <= world.width, f"an action has at most {world.width} symbols", state, action)
            require(world, belief_width <= world.belief_width, "a belief has at most belief_width symbols", state)
            require(world, world.belief_end not in world.belief(state), "a belief does not contain its end", state)
        whole = "".join(parts)
        symbols = [symbol for part in parts for symbol in pattern.findall(part)]
        require(world, "".join(symbols) == whole, "transcripts are in the alphabet", walk.states[0])
        require(world, symbols == pattern.findall(whole), "parts have the symbols of the whole", walk.states[0])


def _check_junk(world: World[S, A], states: Sequence[S], seed: int) -> None:
    """Nothing that is read can raise anything but BadText, or be read as what it is not."""
    dice = random.Random(seed)
    for text in (*JUNK, *(_spoiled(world.show(dice.choice(states)), dice) for _ in range(100))):
        action = world.parse(text)
        same = action is None or world.parse(world.write(action)) == action
        require(world, same, f"what is read from {text!r} can be written", None, action)
        try:
            state = world.restore(text)
        except BadText:
            continue
        require(world, world.restore(world.show(state)) == state, f"what is restored from {text!r} can be shown", state)
    for text in JUNK[:5]:
        require(world, world.parse(text) is None, f"{text!r} is no action")


def _spoiled(text: str, dice: random.Random) -> str:
    """One character dropped, doubled or replaced."""
    at = dice.randrange(len(text))
    return text[:at] + dice.choice(("", text[at] * 2, dice.choice("09aZ +-.:,\n\u2603"))) + text[at + 1 :]

"""The law of batched worlds: on arrays as one state at a time, exactly."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from deadreckon.contracts import A, BatchSpeaker, BatchWorld, Codes, Rows, S
from deadreckon.worlds.broken import require

TRIES = 6  # actions tried from each state, beside the right and the wrong ones


def check_batch(world: BatchWorld[S, A], states: Sequence[S], pool: Sequence[A], seed: int) -> None:
    """Hold the batched form to the scalar one on these states of one level. WorldLawBroken."""
    rows = world.pack(states)
    require(world, rows.dtype == np.int64 and rows.shape[:1] == (len(states),), "rows are int64, one a state")
    require(world, world.unpack(rows) == list(states), "unpack(pack(s)) == s")
    before = rows.copy()
    _check_facts(world, states, rows)
    going = [i for i, state in enumerate(states) if not world.done(state)]
    _check_laws(world, [states[i] for i in going], rows[going])
    _check_codes(world, pool)
    _check_steps(world, [states[i] for i in going], rows[going], pool, seed)
    require(world, np.array_equal(rows, before), "no batched method changes its rows")


def _check_facts(world: BatchWorld[S, A], states: Sequence[S], rows: Rows) -> None:
    done, true = world.batch_done(rows), world.batch_true(rows)
    distance, fixes, shown = world.batch_distance(rows), world.batch_fixes(rows), world.batch_show(rows)
    said = world.batch_says(rows) if isinstance(world, BatchSpeaker) else [world.says(state) for state in states]
    for i, state in enumerate(states):
        require(world, said[i] == world.says(state), "batch_says as says", state)
        require(world, bool(done[i]) == world.done(state), "batch_done as done", state)
        truth = {True: 1, False: 0, None: -1}[world.true(state)]
        require(world, int(true[i]) == truth, "batch_true as true", state)
        alike = np.array_equal(distance[i], world.distance(state), equal_nan=True)
        require(world, alike, "batch_distance as distance", state)
        require(world, bool(fixes[i]) == world.fixes(state), "batch_fixes as fixes", state)
        require(world, shown[i] == world.show(state), "batch_show as show", state)


def _check_laws(world: BatchWorld[S, A], states: Sequence[S], rows: Rows) -> None:
    codes, probs = world.batch_policy(rows)
    wrong, mend = world.batch_wrong(rows), world.batch_mend(rows)
    for i, state in enumerate(states):
        policy = world.policy(state)
        real = codes[i] >= 0
        require(world, codes[i][real].tolist() == [world.code(a) for a in policy], "batch_policy as policy", state)
        require(world, probs[i][real].tolist() == list(policy.values()), "batch_policy as policy, exactly", state)
        require(world, not probs[i][~real].any(), "padding has no probability", state)
        expected = [world.code(action) for action in world.wrong(state)]
        padded = expected + [-1] * (wrong.shape[1] - len(expected))
        require(world, wrong[i].tolist() == padded, "batch_wrong as wrong, padded at the end", state)
        best = world.mend(state)
        require(world, int(mend[i]) == (-1 if best is None else world.code(best)), "batch_mend as mend", state)


def _check_codes(world: BatchWorld[S, A], pool: Sequence[A]) -> None:
    codes = [world.code(action) for action in pool]
    require(world, min(codes, default=0) >= 0 and len({*codes}) == len(codes), "every action has its own code >= 0")
    written = world.batch_write(np.array([*codes, -1], np.int64))
    require(world, written == [*map(world.write, pool), ""], 'batch_write as write, "" for none')


def _check_steps(world: BatchWorld[S, A], states: Sequence[S], rows: Rows, pool: Sequence[A], seed: int) -> None:
    """Right, wrong and any other actions, in a shuffled batch."""
    dice = random.Random(seed)
    tried: list[tuple[int, A]] = []
    for i, state in enumerate(states):
        actions = [*world.policy(state), *world.wrong(state), *dice.sample(pool, min(TRIES, len(pool)))]
        tried += [(i, action) for action in dice.sample(actions, min(3 * TRIES, len(actions)))]
    dice.shuffle(tried)
    place = np.array([i for i, _ in tried], np.int64)
    codes: Codes = np.array([world.code(action) for _, action in tried], np.int64)
    allowed = world.batch_allows(rows[place], codes)
    for (i, action), one in zip(tried, allowed.tolist(), strict=True):
        require(world, one == world.allows(states[i], action), "batch_allows as allows", states[i], action)
    taken = rows[place[allowed]]
    after = iter(world.unpack(world.batch_step(taken, codes[allowed])))
    require(world, np.array_equal(taken, rows[place[allowed]]), "no batched method changes its rows")
    for (i, action), one in zip(tried, allowed.tolist(), strict=True):
        if one:
            same = next(after) == world.step(states[i], action)
            require(world, same, "batch_step as step", states[i], action)

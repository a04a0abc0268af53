"""How many steps a second do the worlds allow? What a noisy oracle asks of a world, in both forms.

One step asks for policy, wrong, mend, allows, step, true, fixes, distance, done, show and write. The scalar form is
timed as the plain loop runs it, the batched form, where a world has one, on `ROWS` rollouts at once; both on the same
items in the same run, in CPU seconds of one thread, medians of five. Beside them the oracle alone: calls of allows
and step in pairs, and calls of policy. Othello has a benchmark of its own (benchmarks/othello.py); so has chess beside
python-chess alone (benchmarks/chess_moves.py).

    python benchmarks/worlds.py [SPEC ...]
"""

from __future__ import annotations

import sys
from statistics import median
from time import process_time
from typing import Any

import numpy as np

from deadreckon.contracts import BatchWorld, Codes, Rows, World
from deadreckon.worlds import load_world

SPECS = (
    "sums:k=8",
    "markov:kind=ergodic",
    "markov:kind=absorbing,order=2",
    "maps",
    "chess",
    *(f"arithmetic:op={op}" for op in ("add", "sub", "mul", "div")),
    "facts:docs=mixed",
    "facts:form=tell",
    *(f"causal:task={task}" for task in ("row", "effect", "experiment")),
    "flows",
    "flows:map=lorenz",
    "grammar",
    "groups",
    "groups:group=z120,letters=all,every=0",
    "text",
    *(f"proofs:form={form}" for form in ("chain", "cite", "select")),
    "proofs:kind=star",
    *(f"machines:kind={kind}" for kind in ("mealy", "turing", "stack")),
    "retrieval_sums:keys=2",
)
ROWS = 4096
SLIP = 0.02
GOALS = {"batched": 200_000, "scalar": 20_000}  # noisy-oracle steps/s per core, the loop's own work included
PAIRS = 50_000  # goal: allows + step a second per core


def scalar_steps(world: World[Any, Any], states: list[Any], rng: np.random.Generator) -> int:
    """Every state to its end, one step at a time; the number of steps."""
    steps = 0
    for state in states:
        for u in rng.random(256).tolist():
            if world.done(state):
                break
            policy, wrong, mend = world.policy(state), world.wrong(state), world.mend(state)
            action = wrong[int(u / SLIP * len(wrong))] if u < SLIP and wrong else next(iter(policy))
            if mend is not None and u > 0.8:
                action = mend
            world.fixes(state), world.show(state), world.write(action)
            steps += 1
            if not world.allows(state, action):
                break
            state = world.step(state, action)
            world.true(state), world.distance(state)
    return steps


def batched_steps(world: BatchWorld[Any, Any], states: list[Any], rng: np.random.Generator) -> int:
    """The same on arrays; the number of steps."""
    rows, steps = world.pack(states), 0
    while len(rows):
        codes = chosen(world, rows, rng.random(len(rows)))
        world.batch_fixes(rows), world.batch_show(rows), world.batch_write(codes)
        steps += len(rows)
        allowed = world.batch_allows(rows, codes)
        rows = world.batch_step(rows[allowed], codes[allowed])
        world.batch_true(rows), world.batch_distance(rows)
        rows = rows[~world.batch_done(rows)]
    return steps


def chosen(world: BatchWorld[Any, Any], rows: Rows, u: np.ndarray[Any, np.dtype[np.float64]]) -> Codes:
    """As in `scalar_steps`: wrong below SLIP, the mend above 0.8, the first right action otherwise."""
    right, _ = world.batch_policy(rows)
    wrong, mend = world.batch_wrong(rows), world.batch_mend(rows)
    codes = right[:, 0]
    if wrong.shape[1]:
        count = (wrong >= 0).sum(axis=1)
        place = np.minimum((u / SLIP * count).astype(int), np.maximum(count - 1, 0))
        codes = np.where((u < SLIP) & (count > 0), wrong[np.arange(len(rows)), place], codes)
    return np.where((mend >= 0) & (u > 0.8), mend, codes)


def visited(world: World[Any, Any], states: list[Any]) -> list[tuple[Any, Any]]:
    """States of error-free episodes, each with a right action."""
    pairs = []
    for state in states:
        while not world.done(state) and len(pairs) < ROWS:
            action = next(iter(world.policy(state)))
            pairs.append((state, action))
            state = world.step(state, action)
    return pairs


def allowed_steps(world: World[Any, Any], pairs: list[Any], _: np.random.Generator) -> int:
    """allows and step of each pair; their number."""
    for state, action in pairs:
        if world.allows(state, action):
            world.step(state, action)
    return len(pairs)


def policies(world: World[Any, Any], pairs: list[Any], _: np.random.Generator) -> int:
    """policy of each pair's state; their number."""
    for state, _action in pairs:
        world.policy(state)
    return len(pairs)


def rate(run: Any, world: Any, states: list[Any]) -> float:
    """Median steps per CPU second of five runs."""
    rates = []
    for seed in range(6):  # the first warms up
        rng = np.random.default_rng(seed)
        begun = process_time()
        rates.append(run(world, states, rng) / (process_time() - begun))
    return median(rates[1:])


def main(specs: list[str]) -> None:
    """Print a line per world and level."""
    print(f"goals: {GOALS}, allows+step {PAIRS:,}")
    print(f"{'world':40} {'level':>5} {'batched/s':>11} {'scalar/s':>9} {'allows+step/s':>13} {'policy/s':>11}")
    for spec in specs or SPECS:
        world = load_world(spec)
        for level in world.levels:
            states = [world.start(level, np.random.default_rng([level, i % 512])) for i in range(ROWS)]
            fast = rate(batched_steps, world, states) if isinstance(world, BatchWorld) else float("nan")
            slow, pairs = rate(scalar_steps, world, states[:128]), visited(world, states)
            alone, policy = rate(allowed_steps, world, pairs), rate(policies, world, pairs)
            print(f"{world.name:40} {level:5} {fast:11,.0f} {slow:9,.0f} {alone:13,.0f} {policy:11,.0f}")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Trees of causes whose root is not known: whichever it is, the seen law is one and the same.

Each link of a tree has a strength s in eighths: the chance that its two ends are equal; every variable is 1 half of the
time. Rooted anywhere, with every link pointing away from the root, the law of what is seen is

    P(row) = 1/2 prod_links (s if its ends are equal else 1 - s)

so that only doing can tell roots apart: do(v) cuts the link that leads from v towards the root, and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import log
from typing import NamedTuple

import numpy as np

LETTERS = "ABCDE"
SIZES = {1: 3, 2: 4, 3: 5}  # variables, by level
TRIES = {1: 4, 2: 6, 3: 8}  # experiments, by level
STRENGTHS = (1, 7)  # eighths
EXAM = 4  # one link (towards the goal) in so many is the exam's
NEAR = 1e-9  # nats: experiments that differ less are equally good


class Tree(NamedTuple):
    """Links (a, b, eighths) with a < b, sorted; the variable that is to become 1; the root, which is not told."""

    links: tuple[tuple[int, int, int], ...]
    goal: int
    root: int

    @property
    def size(self) -> int:
        """Number of variables."""
        return len(self.links) + 1


class Trial(NamedTuple):
    """An experiment and what came of it."""

    node: int
    value: int
    row: tuple[int, ...]


@lru_cache(maxsize=1 << 12)
def neighbours(links: tuple[tuple[int, int, int], ...]) -> tuple[dict[int, int], ...]:
    """Of each variable: its neighbours, with the strengths of the links."""
    near: list[dict[int, int]] = [{} for _ in range(len(links) + 1)]
    for a, b, strength in links:
        near[a][b] = near[b][a] = strength
    return tuple(near)


@lru_cache(maxsize=1 << 14)
def towards(links: tuple[tuple[int, int, int], ...], root: int) -> tuple[int, ...]:
    """Of each variable the neighbour on its way to the root; -1 for the root itself."""
    near, way, queue = neighbours(links), {root: -1}, [root]
    for node in queue:
        for other in near[node]:
            if other not in way:
                way[other] = node
                queue.append(other)
    return tuple(way[node] for node in range(len(near)))


def outcome(tree: Tree, node: int, value: int, noise: Sequence[int]) -> tuple[int, ...]:
    """The row under do(node = value); noise: an eighth (0..7) a variable, which its mechanism turns on."""
    way, near = towards(tree.links, tree.root), neighbours(tree.links)
    row: dict[int, int] = {}

    def made(v: int) -> int:
        if v not in row:
            if v == node:
                row[v] = value
            elif way[v] < 0:
                row[v] = int(noise[v] < 4)
            else:
                above = made(way[v])
                row[v] = above if noise[v] < near[v][way[v]] else 1 - above
        return row[v]

    return tuple(made(v) for v in range(tree.size))


def weight(tree: Tree, trial: Trial, root: int) -> int:
    """P(row | do, root) times a factor that no root changes: the strength of each link but the cut one, in eighths."""
    cut = towards(tree.links, root)[trial.node]
    total = 1
    for a, b, strength in tree.links:
        if (a, b) in ((trial.node, cut), (cut, trial.node)):
            total *= 4
        else:
            total *= strength if trial.row[a] == trial.row[b] else 8 - strength
    return total


@lru_cache(maxsize=1 << 14)
def posterior(tree: Tree, trials: tuple[Trial, ...]) -> tuple[int, ...]:
    """What each root weighs after these experiments, in proportion; all weigh the same before. Exact integers."""
    if not trials:
        return (1,) * tree.size
    before = posterior(tree, trials[:-1])
    return tuple(before[root] * weight(tree, trials[-1], root) for root in range(tree.size))


def chance(tree: Tree, node: int, value: int, root: int) -> tuple[int, int]:
    """P(goal = 1 | do(node = value), root) as a fraction: numerator, denominator."""
    way = towards(tree.links, root)
    at, steps, sign = tree.goal, 0, 1
    while at != node and at >= 0:
        after = way[at]
        if after >= 0:
            strength = neighbours(tree.links)[at][after]
            sign, steps = sign * (2 * strength - 8), steps + 1
        at = after
    if at < 0:
        return 1, 2
    return 8**steps + (sign if value else -sign), 2 * 8**steps


@lru_cache(maxsize=1 << 14)
def promise(tree: Tree, weights: tuple[int, ...]) -> dict[str, int]:
    """Of each setting of another variable: P(goal = 1) as the weights of roots have it, times a common factor."""
    scale = 2 * 8 ** (tree.size - 1)
    found = {}
    for node in range(tree.size):
        for value in (0, 1) if node != tree.goal else ():
            parts = (chance(tree, node, value, root) for root in range(tree.size))
            found[f"{LETTERS[node]}{value}"] = sum(w * scale * a // b for w, (a, b) in zip(weights, parts, strict=True))
    return found


@lru_cache(maxsize=1 << 14)
def informations(tree: Tree, weights: tuple[int, ...]) -> dict[str, float]:
    """Of each setting of a variable but the goal: nats its row is expected to tell of the root.

    I(root; row | do) = H(row) - sum_r P(r) H(row | r), over all rows.
    """
    total = sum(weights)
    found: dict[str, float] = {}
    for node in range(tree.size):
        if node == tree.goal:
            continue
        gained = _told(tree, node, [w / total for w in weights])
        found |= {f"{LETTERS[node]}{value}": gained for value in (0, 1)}  # the links are symmetric: so are the values
    return found


def _told(tree: Tree, node: int, p: Sequence[float]) -> float:
    """Roots matter by the side of `node` they lie on; the row by which neighbours of `node` agree with it."""
    near = neighbours(tree.links)[node]
    way = [towards(tree.links, root)[node] for root in range(tree.size)]
    sides = {side: sum(q for q, w in zip(p, way, strict=True) if w == side) for side in (*near, -1)}
    told = 0.0
    for pattern in range(2 ** len(near)):
        equal = {other: pattern >> k & 1 for k, other in enumerate(near)}
        given = {}
        for side in sides:
            given[side] = 1.0
            for other, strength in near.items():
                s = 4 if other == side else strength
                given[side] *= (s if equal[other] else 8 - s) / 8
        mean = sum(sides[side] * given[side] for side in sides)
        told += sum(q * given[side] * log(given[side] / mean) for side, q in sides.items() if q > 0)
    return told


def draw_tree(size: int, part: str, rng: np.random.Generator) -> Tree:
    """A tree in which the goal has two neighbours at least, strengths and root uniform.

    `part`: the neighbour through which the root drives the goal is one of the exam's links, or none of them.
    """
    while True:
        names = rng.permutation(size).tolist()
        pairs = [sorted((names[v], names[int(rng.integers(v))])) for v in range(1, size)]
        strengths = rng.choice(STRENGTHS, size=size - 1).tolist()
        links = tuple(sorted((a, b, s) for (a, b), s in zip(pairs, strengths, strict=True)))
        goal, root = int(rng.integers(size)), int(rng.integers(size))
        driver = towards(links, root)[goal]
        exam = driver >= 0 and (driver + 2 * goal) % EXAM == 0
        if len(neighbours(links)[goal]) >= 2 and (part == "all" or exam == (part == "exam")):
            return Tree(links, goal, root)

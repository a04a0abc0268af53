"""Systems to ask about: pairs of models with one seen law and two laws of do(), and the bank that the text names.

Each pair is a model and its twin in which one variable, the hinge, only shows what drives in its place (a gauge). What
is seen is the same to the last digit; do(hinge) differs. A system of the kind `identified` is told with the model's own
graph, from which with the seen law do(hinge) follows; one of the kind `unidentified` with a graph that allows both
twins, so that it cannot follow from anything seen.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np

from deadreckon.seeds import Purpose, generator, hash64
from deadreckon.worlds.identify import identified
from deadreckon.worlds.scm import Graph, Pair, Scm, apart, coins_of, graph, law, union

SIZES = {1: 2, 2: 3, 3: 4}  # variables, by level
KINDS = ("any", "identified", "unidentified")
PAIRS = 32  # of a level's bank
EXAM = 4  # one pair in so many is the exam's
FAR = Fraction(1, 8)  # least total variation between the twins' laws of do(hinge = 1)


class System(NamedTuple):
    """A model, the variable in question, and the graph that is told of it."""

    scm: Scm
    hinge: int
    told: Graph

    @property
    def follows(self) -> bool:
        """Whether the law under do(hinge) follows from the seen law and the graph that is told."""
        return identified(self.told, self.hinge, frozenset(range(self.scm.size)) - {self.hinge})


def draw_scm(size: int, rng: np.random.Generator) -> Scm:
    """Any order of causes; each arrow with chance 1/2, each shared coin with 3/10 (two at most); tables uniform."""
    order = rng.permutation(size).tolist()
    arrows = {pair for pair in combinations(order, 2) if rng.random() < 0.5}
    coins = tuple(pair for pair in combinations(range(size), 2) if rng.random() < 0.3)[:2]
    parents = tuple(tuple(u for u in range(size) if (u, v) in arrows) for v in range(size))
    sizes = [2 ** (len(parents[v]) + len(coins_of(coins, v))) for v in range(size)]
    return Scm(parents, coins, tuple(tuple(rng.integers(1, 4, size=n).tolist()) for n in sizes), -1)


def draw_twins(size: int, kind: str, rng: np.random.Generator) -> tuple[System, System]:
    """A pair of this kind: the model first, then its twin."""
    while True:
        scm, hinge = draw_scm(size, rng), int(rng.integers(size))
        twin = scm._replace(gauge=hinge)
        if apart(law(scm, (hinge, 1)), law(twin, (hinge, 1))) < FAR:
            continue
        if kind == "unidentified":
            told = union((graph(scm), graph(twin)))
            return System(scm, hinge, told), System(twin, hinge, told)
        pair = System(scm, hinge, graph(scm)), System(twin, hinge, graph(twin))
        if all(system.follows for system in pair):
            return pair


@lru_cache(maxsize=len(SIZES))
def bank(level: int) -> tuple[tuple[System, System], ...]:
    """The level's pairs, all different, the first half identified."""
    rng = generator(0, hash64("causal", "bank", level), Purpose.START)
    found: dict[Scm, tuple[System, System]] = {}
    while len(found) < PAIRS:
        pair = draw_twins(SIZES[level], "identified" if len(found) < PAIRS // 2 else "unidentified", rng)
        found.setdefault(pair[0].scm, pair)
    return tuple(found.values())


@lru_cache(maxsize=len(SIZES))
def named(level: int) -> tuple[Pair, ...]:
    """Behind each name its pair and which of the twins: an order that tells nothing."""
    order = generator(0, hash64("causal", "names", level), Purpose.START).permutation(2 * PAIRS).tolist()
    return tuple((place // 2, place % 2) for place in order)


def system_of(level: int, name: int) -> System:
    """The system of a name."""
    pair, which = named(level)[name]
    return bank(level)[pair][which]


@lru_cache(maxsize=64)
def names_of(level: int, kind: str, part: str) -> tuple[int, ...]:
    """Names of the systems of a kind and a part: all, learn, or exam (of each kind one pair in EXAM, both twins)."""
    sides = {"all": (True, False), "exam": (True,), "learn": (False,)}[part]
    kinds = {"any": (True, False), "identified": (True,), "unidentified": (False,)}[kind]
    return tuple(
        name
        for name, (pair, _) in enumerate(named(level))
        if (pair % EXAM == 0) in sides and (pair < PAIRS // 2) in kinds
    )

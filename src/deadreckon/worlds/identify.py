"""Whether do() follows from what is seen and the graph, and what it then is: the identification algorithm.

Tian & Pearl, "A general identification condition for causal effects", AAAI 2002; complete by Huang & Valtorta and by
Shpitser & Pearl, both 2006. It works on c-factors Q[T], the law of T under do(everything else), here arrays of exact
fractions with one axis of two a variable, constant along the axes that they do not depend on.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deadreckon.worlds.scm import Graph, Law

Table = NDArray[Any]  # of Fractions, shape (2,) * variables


def table_of(law: Law, size: int) -> Table:
    """A law of rows as an array."""
    table = np.full((2,) * size, Fraction(0), dtype=object)
    for row, p in law.items():
        table[row] = p
    return table


def effect(graph: Graph, seen: Table, x: int, ys: frozenset[int]) -> Table | None:
    """P(ys | do(x)) as a function of ys and x, from the seen law (nowhere 0) alone; None where it is not identified."""
    everything = frozenset(range(graph.size))
    below = _ancestors(graph, ys, everything - {x})
    parts = _districts(graph, below)
    factors = []
    for part in parts:
        home = next(district for district in _districts(graph, everything) if part <= district)
        found = _within(graph, part, home, _factor(graph, home, everything, seen))
        if found is None:
            return None
        factors.append(found)
    whole = np.full(seen.shape, Fraction(1), dtype=object)
    for factor in factors:
        whole = whole * factor
    return _summed(whole, below - ys)


@lru_cache(maxsize=1 << 14)
def identified(graph: Graph, x: int, ys: frozenset[int]) -> bool:
    """Whether P(ys | do(x)) follows from the graph and the seen law, whatever that is."""
    uniform = np.full((2,) * graph.size, Fraction(1, 2**graph.size), dtype=object)
    return effect(graph, uniform, x, ys) is not None


def _within(graph: Graph, part: frozenset[int], home: frozenset[int], q: Table) -> Table | None:
    """Q[part] from Q[home], part one district of its own inside the district `home`; None = fail."""
    above = _ancestors(graph, part, home)
    if above == part:
        return _summed(q, home - part)
    if above == home:
        return None
    smaller = _summed(q, home - above)
    inner = next(district for district in _districts(graph, above) if part <= district)
    return _within(graph, part, inner, _factor(graph, inner, above, smaller))


def _factor(graph: Graph, part: frozenset[int], home: frozenset[int], q: Table) -> Table:
    """Q[part] from Q[home], part a district of home: the product of Q[home] up to v over Q[home] before v."""
    order = [v for v in _order(graph) if v in home]
    found = np.full(q.shape, Fraction(1), dtype=object)
    for place, v in enumerate(order):
        if v in part:
            found = found * _summed(q, frozenset(order[place + 1 :])) / _summed(q, frozenset(order[place:]))
    return found


def _summed(table: Table, axes: Iterable[int]) -> Table:
    """Summed over some variables, constant along them after that."""
    for axis in axes:
        table = np.repeat(table.sum(axis=axis, keepdims=True), 2, axis=axis)
    return table


def _ancestors(graph: Graph, of: frozenset[int], within: frozenset[int]) -> frozenset[int]:
    """Nodes of `within` with a path of arrows in it to one of `of`, those included."""
    found, queue = {*of}, [*of]
    for node in queue:
        new = (graph.parents(node) & within) - found
        found |= new
        queue += new
    return frozenset(found)


def _districts(graph: Graph, within: frozenset[int]) -> list[frozenset[int]]:
    """Parts of `within` that arcs hold together (c-components)."""
    left, parts = {*within}, []
    while left:
        part, queue = set[int](), [min(left)]
        for node in queue:
            part.add(node)
            queue += [b for a, b in _both(graph) if a == node and b in left and b not in part and b not in queue]
        left -= part
        parts.append(frozenset(part))
    return parts


def _both(graph: Graph) -> list[tuple[int, int]]:
    return [*graph.arcs, *((b, a) for a, b in graph.arcs)]


def _order(graph: Graph) -> list[int]:
    """Causes before effects."""
    placed: list[int] = []
    while len(placed) < graph.size:
        placed.append(next(v for v in range(graph.size) if v not in placed and graph.parents(v) <= {*placed}))
    return placed

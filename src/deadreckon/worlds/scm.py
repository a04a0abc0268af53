"""Structural causal models of binary variables, their laws enumerated exactly, and their graphs.

A variable is 1 with a probability in quarters that its parents and its hidden causes decide; a hidden cause is a fair
coin that two variables share. At most one variable is a *gauge*: it shows a hidden value that drives its children in
its place, so that what is seen is the same and setting it changes nothing else::

    P(v | do(x)) = sum_u P(u) prod_{w != x} P(w | parents, u)    where x drives (truncated factorisation, Pearl 2009)
    P(v | do(x)) = P(v without x)                                where x is a gauge
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import product
from math import lcm, prod
from typing import NamedTuple

LETTERS = "ABCD"
Row = tuple[int, ...]  # a value, 0 or 1, of each variable
Law = Mapping[Row, Fraction]  # of rows; sums to 1
Pair = tuple[int, int]


class Scm(NamedTuple):
    """Parents, shared coins and tables of each variable. A table's index reads parents, then coins, as binary."""

    parents: tuple[tuple[int, ...], ...]
    coins: tuple[Pair, ...]
    tables: tuple[tuple[int, ...], ...]  # quarters: P(1)
    gauge: int  # -1 = every variable drives

    @property
    def size(self) -> int:
        """Number of variables."""
        return len(self.parents)


class Graph(NamedTuple):
    """A graph of seen variables: arrows, and arcs between two that share a hidden cause (the smaller first)."""

    size: int
    arrows: frozenset[Pair]
    arcs: frozenset[Pair]

    def parents(self, node: int) -> set[int]:
        """Where arrows into it come from."""
        return {tail for tail, head in self.arrows if head == node}


def coins_of(coins: tuple[Pair, ...], node: int) -> list[int]:
    """Which coins a variable sees."""
    return [k for k, pair in enumerate(coins) if node in pair]


def _weight(scm: Scm, node: int, row: Row, hidden: Row) -> int:
    """Quarters: the chance of the variable's value in this row."""
    place = 0
    for bit in (*(row[p] for p in scm.parents[node]), *(hidden[k] for k in coins_of(scm.coins, node))):
        place = 2 * place + bit
    one = scm.tables[node][place]
    return one if row[node] else 4 - one


@lru_cache(maxsize=1 << 14)
def law(scm: Scm, do: Pair | None = None) -> Law:
    """The exact law of rows, seen or under do(variable = value); rows of probability 0 are left out."""
    if do is not None and do[0] == scm.gauge:
        return _set(law(scm), *do)
    nodes = [node for node in range(scm.size) if do is None or node != do[0]]
    counts: dict[Row, int] = {}
    for row in product((0, 1), repeat=scm.size):
        if do is None or row[do[0]] == do[1]:
            flips = product((0, 1), repeat=len(scm.coins))
            counts[row] = sum(prod(_weight(scm, node, row, hidden) for node in nodes) for hidden in flips)
    total = 2 ** len(scm.coins) * 4 ** len(nodes)
    return {row: Fraction(count, total) for row, count in counts.items() if count}


def _set(seen: Law, node: int, value: int) -> Law:
    """Rows as they come, the variable alone replaced."""
    made: dict[Row, Fraction] = {}
    for row, p in seen.items():
        after = (*row[:node], value, *row[node + 1 :])
        made[after] = made.get(after, Fraction(0)) + p
    return dict(sorted(made.items()))


@lru_cache(maxsize=1 << 14)
def given(scm: Scm, node: int, value: int) -> Law:
    """P(row | variable = value), as seen."""
    kept = {row: p for row, p in law(scm).items() if row[node] == value}
    total = sum(kept.values())
    return {row: p / total for row, p in kept.items()}


def chance(rows: Law, node: int) -> Fraction:
    """P(variable = 1)."""
    return sum((p for row, p in rows.items() if row[node]), Fraction(0))


def counts_text(scm: Scm) -> str:
    """The seen law as counts, of the least total that makes them whole: "00 11 01 5 10 7 11 9"."""
    rows = law(scm)
    total = lcm(*(p.denominator for p in rows.values()))
    return " ".join(f"{''.join(map(str, row))} {p * total}" for row, p in rows.items())


def apart(one: Law, other: Law) -> Fraction:
    """Total variation: half the sum of |p - q|."""
    zero = Fraction(0)
    return sum((abs(one.get(row, zero) - other.get(row, zero)) for row in one.keys() | other.keys()), zero) / 2


def ordered(scm: Scm) -> list[int]:
    """Variables, causes before effects. ValueError where causes run in a circle."""
    placed: list[int] = []
    while len(placed) < scm.size:
        ready = [v for v in range(scm.size) if v not in placed and {*scm.parents[v]} <= {*placed}]
        if not ready:
            raise ValueError("causes run in a circle")
        placed += ready
    return placed


@lru_cache(maxsize=1 << 14)
def graph(scm: Scm) -> Graph:
    """The latent projection (Verma & Pearl 1990): what the model's graph says of the seen variables alone.

    A path through hidden nodes alone is an arrow; two such paths from one hidden node are an arc.
    """
    driver = [("behind" if v == scm.gauge else "seen", v) for v in range(scm.size)]
    heads = {node: [driver[c] for c in range(scm.size) if node[1] in scm.parents[c]] for node in driver}
    heads |= {("coin", k): [driver[a], driver[b]] for k, (a, b) in enumerate(scm.coins)}
    if scm.gauge >= 0:
        heads[driver[scm.gauge]].append(("seen", scm.gauge))
    reached = {node: _seen_from(heads, node) for node in heads}
    arrows = {(node[1], head) for node, ends in reached.items() if node[0] == "seen" for head in ends}
    arcs = {(a, b) for node, ends in reached.items() if node[0] != "seen" for a in ends for b in ends if a < b}
    return Graph(scm.size, frozenset(arrows), frozenset(arcs))


def _seen_from(heads: Mapping[tuple[str, int], list[tuple[str, int]]], node: tuple[str, int]) -> set[int]:
    """Seen variables that a path through hidden nodes alone leads to."""
    found: set[int] = set()
    for head in heads.get(node, []):
        found |= {head[1]} if head[0] == "seen" else _seen_from(heads, head)
    return found


def union(graphs: Iterable[Graph]) -> Graph:
    """Every arrow and arc of graphs over the same variables."""
    listed = list(graphs)
    arrows = frozenset[Pair]().union(*(g.arrows for g in listed))
    return Graph(listed[0].size, arrows, frozenset[Pair]().union(*(g.arcs for g in listed)))


def graph_text(told: Graph) -> str:
    """ "A>B A-C": arrows, then arcs; "." where there is nothing."""
    arrows = [f"{LETTERS[a]}>{LETTERS[b]}" for a, b in sorted(told.arrows)]
    return " ".join([*arrows, *(f"{LETTERS[a]}-{LETTERS[b]}" for a, b in sorted(told.arcs))]) or "."


def scm_text(scm: Scm) -> str:
    """ "A=2;B,A,0=1323;AB": each variable with parents, coins and table, a gauge with "!"; then the coins' pairs."""
    parts = []
    for v in range(scm.size):
        causes = [*(LETTERS[p] for p in scm.parents[v]), *map(str, coins_of(scm.coins, v))]
        mark = "!" if v == scm.gauge else ""
        parts.append(f"{','.join([LETTERS[v] + mark, *causes])}={''.join(map(str, scm.tables[v]))}")
    return ";".join([*parts, *(LETTERS[a] + LETTERS[b] for a, b in scm.coins)])


def read_scm(text: str) -> Scm | None:
    """Inverse of `scm_text`; None where it cannot be read."""
    parts = text.split(";")
    nodes = [part.partition("=") for part in parts if "=" in part]
    pairs = [part for part in parts if "=" not in part]
    letters = LETTERS[: len(nodes)]
    if not 2 <= len(nodes) <= len(LETTERS) or not all(len(p) == 2 and {*p} <= {*letters} for p in pairs):
        return None
    coins = tuple((letters.index(pair[0]), letters.index(pair[1])) for pair in pairs)
    parents = tuple(tuple(letters.index(c) for c in head.split(",")[1:] if c and c in letters) for head, _, _ in nodes)
    tables = tuple(tuple(map(int, table)) if table.isascii() and table.isdigit() else () for _, _, table in nodes)
    gauges = [v for v, (head, _, _) in enumerate(nodes) if head[1:2] == "!"]
    scm = Scm(parents, coins, tables, gauges[0] if gauges else -1)
    return scm if _fits(scm) and scm_text(scm) == text else None


def _fits(scm: Scm) -> bool:
    """Tables of the right length with quarters in 1..3, few causes, none in a circle."""
    if len(scm.coins) > 2 or any(a >= b for a, b in scm.coins):
        return False
    for v in range(scm.size):
        causes = len(scm.parents[v]) + len(coins_of(scm.coins, v))
        if len(scm.tables[v]) != 2**causes or not {*scm.tables[v]} <= {1, 2, 3}:
            return False
        if v in scm.parents[v] or len({*scm.parents[v]}) < len(scm.parents[v]):
            return False
    try:
        return len(ordered(scm)) == scm.size
    except ValueError:
        return False

"""Propositional Horn theories, small enough to know the shortest proof from every set of atoms.

A rule leads from a body of one or two atoms to a head. Sets of atoms are bit masks; the fewest steps to the goal from
all of them at once, by value iteration over the masks:

    d(K) = 0 if goal in K, else 1 + min over rules with body in K, head neither in K nor the lure, of d(K + head)
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LETTERS = "abcdefghijkl"
FAR = 99  # stands for "not from here"


class Size(NamedTuple):
    """What a level sets."""

    atoms: int
    facts: int
    rules: int
    steps: int  # of the shortest proof


SIZES = {1: Size(7, 2, 6, 2), 2: Size(10, 3, 11, 3), 3: Size(12, 3, 14, 4), 4: Size(12, 3, 16, 5)}


MOST_RULES = max(size.rules for size in SIZES.values())


class Rule(NamedTuple):
    """Body (one atom, or two in order) and head."""

    body: tuple[int, ...]
    head: int


class Theory(NamedTuple):
    """Facts, rules, and two atoms in question, the smaller first, of which exactly one follows."""

    atoms: int
    facts: tuple[int, ...]
    rules: tuple[Rule, ...]
    asked: tuple[int, int]

    @property
    def goal(self) -> int:
        """The one that follows."""
        first, second = self.asked
        return first if closure(self) >> first & 1 else second

    @property
    def lure(self) -> int:
        """The one that does not; a proof ends there too, so that none leads through it."""
        first, second = self.asked
        return second if self.goal == first else first


def mask(atoms: tuple[int, ...]) -> int:
    """A set of atoms as bits."""
    return sum(1 << atom for atom in atoms)


@lru_cache(maxsize=1 << 14)
def closure(theory: Theory) -> int:
    """Every atom that follows, by forward chaining."""
    known, before = mask(theory.facts), -1
    while known != before:
        before = known
        for rule in theory.rules:
            if mask(rule.body) & ~known == 0:
                known |= 1 << rule.head
    return known


@lru_cache(maxsize=1 << 12)
def distances(theory: Theory) -> NDArray[np.int8]:
    """d(K) of every set of atoms: (2^atoms,), FAR where the goal does not follow."""
    masks = np.arange(1 << theory.atoms)
    found = np.where(masks >> theory.goal & 1, 0, FAR).astype(np.int8)
    lure = theory.lure
    uses = [
        (np.flatnonzero((masks & mask(rule.body) == mask(rule.body)) & (masks >> rule.head & 1 == 0)), rule)
        for rule in theory.rules
        if rule.head != lure
    ]
    for _ in range(theory.atoms):
        before = found.copy()
        for places, rule in uses:
            found[places] = np.minimum(found[places], found[places | 1 << rule.head] + 1)
        if (found == before).all():
            break
    return found


def draw_theory(size: Size, rng: np.random.Generator) -> Theory:
    """Rules uniform, all different, none with its head in its body or for a fact, until the shortest proof of some atom
    takes `steps` steps and another atom with a rule of its own does not follow."""
    while True:
        order = rng.permutation(size.atoms).tolist()
        facts = tuple(sorted(order[: size.facts]))
        rules = _draw_rules(size, facts, rng)
        known = closure(Theory(size.atoms, facts, rules, (0, 1)))
        heads = {rule.head for rule in rules}
        proved = [atom for atom in order if known >> atom & 1 and atom not in facts]
        open_ = [atom for atom in order if not known >> atom & 1 and atom in heads]
        if len(proved) < size.steps or not open_ or size.atoms - known.bit_count() < 3:
            continue
        for goal in proved:
            if _some_proof(facts, rules, goal) < size.steps:
                continue
            asked = (min(goal, open_[0]), max(goal, open_[0]))
            theory = Theory(size.atoms, facts, rules, asked)
            if distances(theory)[mask(facts)] == size.steps:
                return theory


def _some_proof(facts: tuple[int, ...], rules: tuple[Rule, ...], goal: int) -> int:
    """Steps of a proof of an atom that follows: no fewer than the shortest takes."""
    by: dict[int, Rule] = {}
    known = {*facts}
    while goal not in known:
        for rule in rules:
            if rule.head not in known and {*rule.body} <= known:
                by[rule.head] = rule
                known.add(rule.head)
    needed = {goal}
    for _ in by:
        needed |= {atom for head in needed & by.keys() for atom in by[head].body}
    return len(needed & by.keys())


def _draw_rules(size: Size, facts: tuple[int, ...], rng: np.random.Generator) -> tuple[Rule, ...]:
    found: dict[Rule, None] = {}
    while len(found) < size.rules:
        drawn = rng.permuted(np.tile(np.arange(size.atoms), (2 * size.rules, 1)), axis=1)[:, :3].tolist()
        for (head, *body), short in zip(drawn, rng.integers(2, size=2 * size.rules).tolist(), strict=True):
            if head not in facts and len(found) < size.rules:
                found[Rule(tuple(sorted(body[: 2 - short])), head)] = None
    return tuple(found)


def atoms_text(atoms: tuple[int, ...]) -> str:
    """ "abe"."""
    return "".join(LETTERS[atom] for atom in atoms)


def rule_text(rule: Rule) -> str:
    """ "ab>c"."""
    return f"{atoms_text(rule.body)}>{LETTERS[rule.head]}"


def read_theory(atoms: int, rules: str, facts: str, asked: str) -> Theory | None:
    """None where a part is out of order, or not exactly one of the two follows."""
    read = [re.fullmatch(r"([a-l]{1,2})>([a-l])", part) for part in rules.split(",")]
    found = tuple(Rule(tuple(map(LETTERS.index, m[1])), LETTERS.index(m[2])) for m in read if m)
    parts = [tuple(map(LETTERS.index, text)) for text in (facts, asked)]
    listed = [*(rule.body for rule in found), *parts]
    ordered = all(list(part) == sorted({*part}) for part in listed)
    if len(found) < len(read) or not ordered or len(found) > MOST_RULES or not 2 <= atoms <= len(LETTERS):
        return None
    if max(atom for part in (*listed, tuple(r.head for r in found)) for atom in part) >= atoms:
        return None
    theory = Theory(atoms, parts[0], found, (parts[1][0], parts[1][1]))
    follow = closure(theory) & mask(theory.asked)
    return theory if follow.bit_count() == 1 and not mask(theory.facts) & mask(theory.asked) else None

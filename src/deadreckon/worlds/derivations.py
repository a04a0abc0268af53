"""Lines of a Horn proof: what may be written, what is proved, and which steps are those of a shortest proof."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from deadreckon.worlds.horn import LETTERS, MOST_RULES, Theory, distances, mask

FORMS = ("chain", "cite", "select", "direct")
LABELS = tuple(f"{k:02}" for k in range(1, MOST_RULES + 2))  # the last is no theory's
BACK = tuple(f"<{k}" for k in range(len(LETTERS)))
NONE = -1


class Line(NamedTuple):
    """A written atom and the rule it was said to come from, NONE where that was not said."""

    rule: int
    atom: int


class State(NamedTuple):
    """After some lines; `chosen`: the rule that is selected and not yet applied, NONE = none."""

    theory: Theory
    lines: tuple[Line, ...]
    chosen: int


@lru_cache(maxsize=1 << 14)
def known(state: State) -> int:
    """Facts and written atoms, as bits."""
    return mask((*state.theory.facts, *(line.atom for line in state.lines)))


def applies(theory: Theory, rule: int, have: int) -> bool:
    """Is the rule's body known?"""
    return mask(theory.rules[rule].body) & ~have == 0


@lru_cache(maxsize=1 << 14)
def proved(state: State) -> int:
    """How many lines stand before the first that nothing proves."""
    have = mask(state.theory.facts)
    for k, (rule, atom) in enumerate(state.lines):
        rules = range(len(state.theory.rules)) if rule == NONE else (rule,)
        if not any(state.theory.rules[r].head == atom and applies(state.theory, r, have) for r in rules):
            return k
        have |= 1 << atom
    return len(state.lines)


@lru_cache(maxsize=1 << 14)
def next_rules(theory: Theory, have: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Rules whose body is known and whose head is new: those of a shortest proof, and detours."""
    near = distances(theory)
    best: list[int] = []
    detours: list[int] = []
    for k, rule in enumerate(theory.rules):
        if applies(theory, k, have) and not have >> rule.head & 1:
            nearer = rule.head != theory.lure and near[have | 1 << rule.head] < near[have]
            (best if nearer else detours).append(k)
    return tuple(best), tuple(detours)


@lru_cache(maxsize=1 << 14)
def offered(theory: Theory, have: int, shape: str) -> Mapping[str, tuple[int, int]]:
    """What may be written, with its rule and its atom (NONE = not said): anything new, proved or not.

    `shape`: chain, cite, direct; select for a rule alone.
    """
    new = [atom for atom in range(theory.atoms) if not have >> atom & 1]
    if shape == "direct":
        return {LETTERS[atom]: (NONE, atom) for atom in theory.asked}
    if shape == "chain":
        return {LETTERS[atom]: (NONE, atom) for atom in new}
    rules = range(len(theory.rules))
    if shape == "select":
        return {LABELS[k]: (k, NONE) for k in rules if theory.rules[k].head in new}
    return {LABELS[k] + LETTERS[atom]: (k, atom) for k in rules for atom in new}


@lru_cache(maxsize=1 << 14)
def slips(theory: Theory, have: int, shape: str, chosen: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Steps that nothing proves (those that answer the question only where there are no others), and proved ones."""
    best, detours = next_rules(theory, have)
    used = (*best, *detours) if chosen == NONE else (chosen,)
    follow = {theory.rules[k].head for k in used}

    def proves(rule: int, atom: int) -> bool:
        if rule == NONE:
            return atom in follow
        return rule in used and atom in (NONE, theory.rules[rule].head)

    def answers(rule: int, atom: int) -> bool:
        return (theory.rules[rule].head if atom == NONE else atom) in theory.asked

    listed = offered(theory, have, shape)
    unproved = [action for action, said in listed.items() if not proves(*said)]
    quiet = [action for action in unproved if not answers(*listed[action])]
    return tuple(quiet or unproved), tuple(action for action in listed if action not in unproved)

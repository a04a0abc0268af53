"""Experiment, then exploit, where what is seen tells nothing of what drives the goal (`causal:task=experiment`).

The opening is a tree of links, each with the chance in eighths that its ends are equal, and the goal; one variable, the
root, drives all others along the links, and nothing that is seen says which (rooted.py). The actor sets variables and
reads the rows that come of it; then sets one so that the goal becomes 1::

    AC7 BC1 C
    ?A1
    101?B0
    001!A1

Right are the experiments that are expected to tell most of the root, given all rows so far; at the end the settings
with the greatest chance of the goal, as the rows make it (all roots being equally likely at first). Expert traces so
read by a network are Lampinen et al., "Passive learning of active causal strategies", NeurIPS 2023.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.worlds.rooted import (
    LETTERS,
    NEAR,
    SIZES,
    STRENGTHS,
    TRIES,
    Tree,
    Trial,
    chance,
    draw_tree,
    informations,
    outcome,
    posterior,
    promise,
)

MOST = 16  # experiments of an episode
ACTIONS = tuple(f"{letter}{value}" for letter in LETTERS for value in "01")
_PLACE = {action: place for place, action in enumerate(ACTIONS)}
OFFERED = {
    (size, goal): tuple(action for action in ACTIONS[: 2 * size] if action[0] != LETTERS[goal])
    for size in SIZES.values()
    for goal in range(size)
}


class State(NamedTuple):
    """After some settings; the last of all is for the goal. `noise` decides what comes of each, whatever is set."""

    tree: Tree
    noise: tuple[str, ...]  # of each experiment: an eighth a variable
    done: tuple[str, ...]


@lru_cache(maxsize=1 << 14)
def trials_of(state: State) -> tuple[Trial, ...]:
    """The experiments so far, with their rows."""
    made = zip(state.done, state.noise, strict=False)
    settings = ((LETTERS.index(action[0]), int(action[1]), tuple(map(int, noise))) for action, noise in made)
    return tuple(Trial(node, value, outcome(state.tree, node, value, noise)) for node, value, noise in settings)


@lru_cache(maxsize=1 << 14)
def _best(state: State) -> Mapping[str, float]:
    """The right settings, each as likely."""
    weights = posterior(state.tree, trials_of(state))
    if len(state.done) < len(state.noise):
        told = informations(state.tree, weights)
        most = max(told.values())
        right = [action for action, nats in told.items() if nats > most - NEAR]
    else:
        hoped = promise(state.tree, weights)
        right = [action for action, share in hoped.items() if share == max(hoped.values())]
    return {action: 1 / len(right) for action in right}


@lru_cache(maxsize=1 << 14)
def _true(state: State) -> bool:
    """Has every setting been right?"""
    before = state._replace(done=state.done[:-1])
    return not state.done or (state.done[-1] in _best(before) and _true(before))


class Experiments:
    """The world of experiments and their use; see the module's text."""

    levels = tuple(SIZES)
    alphabet = (
        *(action + "\n" for action in ACTIONS),
        *("".join(map(str, row)) for size in SIZES.values() for row in product((0, 1), repeat=size)),
        *LETTERS,
        *map(str, STRENGTHS),
        *"?! \n|",
    )
    end = "\n"
    width = 1
    belief_end = "|"
    belief_width = max(SIZES.values()) + 1

    def __init__(self, part: str = "all", tries: int | None = None):
        """`part`: of the links that drive the goal; `tries`: experiments, None = the level's. BadOption otherwise."""
        if part not in ("all", "learn", "exam"):
            raise BadOption(f"causal part={part!r}: choose from all, learn, exam")
        if tries is not None and not 0 <= tries <= MOST:
            raise BadOption(f"causal tries={tries}: give 0 to {MOST} experiments")
        self.part, self.tries = part, tries
        unusual = "" if tries is None else f"-tries{tries}"
        self.name = f"causal-experiment-{part}{unusual}-v1"

    def start(self, level: int, rng: np.random.Generator) -> State:
        """A tree with its root, and the noise of each experiment."""
        if level not in SIZES:
            raise BadOption(f"causal has no level {level}: choose from {', '.join(map(str, SIZES))}")
        tree = draw_tree(SIZES[level], self.part, rng)
        tries = TRIES[level] if self.tries is None else self.tries
        noise = rng.integers(8, size=(tries, tree.size)).tolist()
        return State(tree, tuple("".join(map(str, eighths)) for eighths in noise), ())

    def gain(self, state: State) -> Mapping[str, float]:
        """Nats each experiment is expected to tell of the root, given the rows so far."""
        return informations(state.tree, posterior(state.tree, trials_of(state)))

    def success(self, state: State) -> tuple[Fraction, Fraction]:
        """P(goal = 1) of the setting that is done last, and of the best there is, the root being what it truly is.

        BadText where that setting is not done yet.
        """
        if not self.done(state):
            raise BadText(f"{self.show(state)!r} is not at its end: take all {len(state.noise) + 1} turns first")
        settings = {
            action: Fraction(*chance(state.tree, LETTERS.index(action[0]), int(action[1]), state.tree.root))
            for action in OFFERED[state.tree.size, state.tree.goal]
        }
        return settings[state.done[-1]], max(settings.values())

    def legal(self, state: State) -> Sequence[str]:
        """Either value of every variable but the goal; none when done."""
        return () if self.done(state) else OFFERED[state.tree.size, state.tree.goal]

    def allows(self, state: State, action: str) -> bool:
        """As `legal`."""
        place = _PLACE.get(action, -1)
        return 0 <= place < 2 * state.tree.size and place // 2 != state.tree.goal and not self.done(state)

    def step(self, state: State, action: str) -> State:
        """Set it. IllegalAction where `allows` is False."""
        if not self.allows(state, action):
            offered = ", ".join(self.legal(state)) or "nothing, it is done"
            raise IllegalAction(f"{action!r} cannot be set in {self.show(state)!r}: allowed are {offered}")
        return State(state.tree, state.noise, (*state.done, action))

    def done(self, state: State) -> bool:
        """The setting for the goal is made."""
        return len(state.done) > len(state.noise)

    def policy(self, state: State) -> Mapping[str, float]:
        """The experiments that tell most, or the settings that promise most."""
        return _best(state)

    def wrong(self, state: State) -> Sequence[str]:
        """Every other setting; none when done."""
        right = () if self.done(state) else _best(state)
        return tuple(action for action in self.legal(state) if action not in right)

    def mend(self, state: State) -> str | None:
        """None: an experiment cannot be taken back."""
        return None

    def true(self, state: State) -> bool:
        """Has every setting been right?"""
        return _true(state)

    def fixes(self, state: State) -> bool:
        """The world tells rows."""
        return False

    def distance(self, state: State) -> float:
        """Turns left."""
        return float(len(state.noise) + 1 - len(state.done))

    def opening(self, state: State) -> str:
        """Links and the goal: "AC7 BC1 C"."""
        return f"{_links_text(state.tree)} {LETTERS[state.tree.goal]}\n".replace(",", " ")

    def says(self, state: State) -> str:
        """The row of the last experiment, then "?" for another or "!" for the goal; "" when done."""
        if self.done(state):
            return ""
        rows = trials_of(state)
        row = "".join(map(str, rows[-1].row)) if rows else ""
        return row + ("?" if len(state.done) < len(state.noise) else "!")

    def belief(self, state: State) -> str:
        """The likeliest roots."""
        weights = posterior(state.tree, trials_of(state))
        return "".join(letter for letter, w in zip(LETTERS, weights, strict=False) if w == max(weights))

    def show(self, state: State) -> str:
        """Links, goal, root, noise of each experiment, settings: "AC7,BC1 C A 051,443 A1,B0"; "-" for none."""
        tree = state.tree
        noise, done = ",".join(state.noise) or "-", ",".join(state.done) or "-"
        return f"{_links_text(tree)} {LETTERS[tree.goal]} {LETTERS[tree.root]} {noise} {done}"

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        match = re.fullmatch(r"([A-E17,]{7,15}) ([A-E]) ([A-E]) (-|[0-7,]{3,95}) (-|[A-E01,]{2,50})", text)
        tree = _read_tree(*match.group(1, 2, 3)) if match else None
        if match is None or tree is None:
            raise BadText(f"{text!r} is no state of {self.name}: write it as 'AC7,BC1 C A 051,443 A1,B0'")
        noise, done = (() if part == "-" else tuple(part.split(",")) for part in match.group(4, 5))
        offered = OFFERED[tree.size, tree.goal]
        whole = all(len(eighths) == tree.size for eighths in noise) and {*done} <= {*offered}
        if not whole or len(done) > len(noise) + 1 or len(noise) > MOST:
            raise BadText(f"{text!r}: {tree.size} eighths an experiment, at most {MOST} of them and one setting more")
        return State(tree, noise, done)

    def write(self, action: str) -> str:
        """The setting."""
        return action

    def parse(self, text: str) -> str | None:
        """A variable and a value."""
        return text if text in _PLACE else None

    def rules(self) -> str:
        """The rules in words."""
        return (
            "Variables A, B, ... are 0 or 1. The first line lists links, as AC7: in seven of eight cases the ends A"
            " and C are equal (AC1: in one of eight), and last the goal. One variable, not told and each as likely,"
            " drives its neighbours along the links, these theirs, and so on. Setting a variable from outside changes"
            " what lies behind it, seen from the one that drives all, and leaves the others as they come. After '?' set"
            " a variable other than the goal, as A1: the row of all values that comes of it is shown. Choose what tells"
            " most of which variable drives all. After '!' set one so that the goal becomes 1, most likely."
        )


def _links_text(tree: Tree) -> str:
    return ",".join(f"{LETTERS[a]}{LETTERS[b]}{s}" for a, b, s in tree.links)


def _read_tree(links: str, goal: str, root: str) -> Tree | None:
    """None where the links are no tree of a level's size, or not in order."""
    parts = [re.fullmatch(r"([A-E])([A-E])([17])", part) for part in links.split(",")]
    read = tuple((LETTERS.index(m[1]), LETTERS.index(m[2]), int(m[3])) for m in parts if m)
    size = len(parts) + 1
    if len(read) < len(parts) or size not in SIZES.values() or list(read) != sorted(read):
        return None
    places = (LETTERS.index(goal), LETTERS.index(root))
    if max(*places, *(b for _, b, _ in read)) >= size or any(a >= b for a, b, _ in read):
        return None
    reached = {0}
    for _ in range(size):
        reached |= {b for a, b, _ in read if a in reached} | {a for a, b, _ in read if b in reached}
    return Tree(read, *places) if len(reached) == size else None

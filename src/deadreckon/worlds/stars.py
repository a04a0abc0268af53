"""Path-star graphs: arms of one length around a centre, and a path to the end of one of them (`proofs:kind=star`).

The opening is the edges in random order, goal and centre; the actor writes the nodes of the path, the centre left out::

    12>31 07>40 12>22 31>07 22>05 05>63
    40?12>31>07>40>

The first node needs the whole arm to be seen ahead, every other one follows from its edge alone: learned by next
symbols, the later steps leave nothing to learn the first from (Bachmann & Nagarajan, "The pitfalls of next-token
prediction", ICML 2024). form=reversed tells edges from the other end, "31<12", and writes from the goal back to
the centre, "12?40<07<31<12<", where each step follows from one edge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from math import inf
from typing import NamedTuple

import numpy as np

from deadreckon.errors import BadOption, BadText, IllegalAction

DEGREES = {1: 2, 2: 3, 3: 4, 4: 5}  # arms, by level
ARM, LONGEST_ARM = 4, 8  # edges of an arm
NODES = tuple(f"{node:02}" for node in range(64))
_NODE = {text: node for node, text in enumerate(NODES)}


class Star(NamedTuple):
    """Edges outward, in the order they are told; centre and goal, the end of an arm."""

    edges: tuple[tuple[int, int], ...]
    centre: int
    goal: int


class State(NamedTuple):
    """The nodes written so far; the path begins at the centre (plain) or at the goal (reversed)."""

    star: Star
    path: tuple[int, ...]


@lru_cache(maxsize=1 << 14)
def route(star: Star) -> tuple[int, ...]:
    """The one path, from the centre to the goal, both included."""
    before = {head: tail for tail, head in star.edges}
    path = [star.goal]
    while path[-1] != star.centre:
        path.append(before[path[-1]])
    return tuple(reversed(path))


class Stars:
    """The world of path-star graphs; see the module's text."""

    levels = tuple(DEGREES)
    alphabet = (*NODES, *(node + arrow for arrow in "><" for node in NODES), *" ?\n|")
    width = 1
    belief_end = "|"
    belief_width = 2

    def __init__(self, form: str = "plain", arm: int = ARM):
        """`form`: plain, reversed; `arm`: edges of an arm. BadOption otherwise."""
        if form not in ("plain", "reversed"):
            raise BadOption(f"proofs form={form!r}: choose from plain, reversed")
        if not 2 <= arm <= LONGEST_ARM:
            raise BadOption(f"proofs arm={arm}: give 2 to {LONGEST_ARM} edges")
        self.form, self.arm = form, arm
        self.end = ">" if form == "plain" else "<"
        self.name = f"proofs-star-{form}{f'-arm{arm}' if arm != ARM else ''}-v1"

    def start(self, level: int, rng: np.random.Generator) -> State:
        """Labels, order of the edges and the goal's arm, uniform."""
        if level not in DEGREES:
            raise BadOption(f"proofs has no level {level}: choose from {', '.join(map(str, DEGREES))}")
        centre, *labels = rng.permutation(len(NODES)).tolist()
        arms = [(centre, *labels[k * self.arm : (k + 1) * self.arm]) for k in range(DEGREES[level])]
        edges = [edge for arm in arms for edge in pairwise(arm)]
        told = tuple(edges[place] for place in rng.permutation(len(edges)).tolist())
        return State(Star(told, centre, arms[int(rng.integers(len(arms)))][-1]), ())

    def track(self, state: State) -> tuple[int, ...]:
        """The true path as this form writes it, its start left out."""
        whole = route(state.star)
        return whole[1:] if self.form == "plain" else whole[-2::-1]

    def at(self, state: State) -> int:
        """The node reached."""
        return state.path[-1] if state.path else (state.star.centre if self.form == "plain" else state.star.goal)

    def legal(self, state: State) -> Sequence[str]:
        """Nodes that an edge leads to (reversed: comes from); none when done."""
        return () if self.done(state) else self._beyond(state)

    def _beyond(self, state: State) -> tuple[str, ...]:
        here, outward = self.at(state), self.form == "plain"
        pairs = state.star.edges
        return tuple(NODES[b if outward else a] for a, b in pairs if (a if outward else b) == here)

    def allows(self, state: State, action: str) -> bool:
        """As `legal`."""
        node, here = _NODE.get(action, -1), self.at(state)
        edge = (here, node) if self.form == "plain" else (node, here)
        return edge in state.star.edges and not self.done(state)

    def step(self, state: State, action: str) -> State:
        """Go on to the node. IllegalAction where `allows` is False."""
        if not self.allows(state, action):
            listed = ", ".join(self.legal(state)) or "nothing, it is done"
            raise IllegalAction(f"no edge to {action!r} in {self.show(state)!r}: allowed are {listed}")
        return State(state.star, (*state.path, _NODE[action]))

    def done(self, state: State) -> bool:
        """The end of an arm is reached; reversed, the centre."""
        return len(state.path) == len(self.track(state))

    def policy(self, state: State) -> Mapping[str, float]:
        """The next node of the path; on a wrong arm, of that arm."""
        beyond = self._beyond(state)
        (right,) = beyond if len(beyond) == 1 else (NODES[self.track(state)[len(state.path)]],)
        return {right: 1.0}

    def wrong(self, state: State) -> Sequence[str]:
        """At the centre, other arms; elsewhere nodes without an edge, which are illegal; none when done."""
        if self.done(state):
            return ()
        right, beyond = next(iter(self.policy(state))), self._beyond(state)
        others = beyond if len(beyond) > 1 else tuple(NODES[head] for _, head in state.star.edges)
        return tuple(node for node in others if node != right and node != NODES[self.at(state)])

    def mend(self, state: State) -> str | None:
        """None: no edge leads back."""
        return None

    def true(self, state: State) -> bool:
        """Is the path written so far on the way?"""
        return state.path == self.track(state)[: len(state.path)]

    def fixes(self, state: State) -> bool:
        """The world tells nothing."""
        return False

    def distance(self, state: State) -> float:
        """Nodes left; inf on a wrong arm."""
        return float(len(self.track(state)) - len(state.path)) if self.true(state) else inf

    def opening(self, state: State) -> str:
        """Edges; where the path is to end, and where it starts."""
        star = state.star
        start, end = (star.centre, star.goal) if self.form == "plain" else (star.goal, star.centre)
        pairs = star.edges if self.form == "plain" else [(b, a) for a, b in star.edges]
        edges = " ".join(f"{NODES[a]}{self.end}{NODES[b]}" for a, b in pairs)
        return f"{edges}\n{NODES[end]}?{NODES[start]}{self.end}"

    def says(self, state: State) -> str:
        """Nothing."""
        return ""

    def belief(self, state: State) -> str:
        """The node reached."""
        return NODES[self.at(state)]

    def show(self, state: State) -> str:
        """Edges, centre, goal, path: "12>31,31>07,... 12 40 31,07"; "-" for no path."""
        edges = ",".join(f"{NODES[a]}>{NODES[b]}" for a, b in state.star.edges)
        path = ",".join(NODES[node] for node in state.path) or "-"
        return f"{edges} {NODES[state.star.centre]} {NODES[state.star.goal]} {path}"

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        match = re.fullmatch(r"((?:[0-6][0-9]>[0-6][0-9],?){4,40}) ([0-6][0-9]) ([0-6][0-9]) (-|[0-9,]{2,24})", text)
        pairs = [part.split(">") for part in match[1].split(",")] if match else []
        known = match is not None and all(len(pair) == 2 and {*pair} <= {*NODES} for pair in pairs)
        if match is None or not known or match[2] not in _NODE or match[3] not in _NODE:
            raise BadText(f"{text!r} is no state of {self.name}: write it as '12>31,31>07,... 12 40 31,07'")
        star = Star(tuple((_NODE[a], _NODE[b]) for a, b in pairs), _NODE[match[2]], _NODE[match[3]])
        if not _is_star(star, self.arm):
            raise BadText(f"{text!r}: no star of {min(DEGREES.values())} to {max(DEGREES.values())} arms of {self.arm}")
        state = State(star, ())
        for node in [] if match[4] == "-" else match[4].split(","):
            if not self.allows(state, node):
                raise BadText(f"{text!r}: the path cannot go on to {node!r}")
            state = self.step(state, node)
        return state

    def write(self, action: str) -> str:
        """The node."""
        return action

    def parse(self, text: str) -> str | None:
        """A node."""
        return text if text in _NODE else None

    def rules(self) -> str:
        """The rules in words."""
        arrow = "12>31, from 12 to 31" if self.form == "plain" else "31<12, from 31 to 12"
        return (
            f"The first line lists the edges of a graph, as {arrow}. The second line names two nodes, as"
            f" 40?12{self.end}: where the path is to end, and where it starts. Go on with its nodes, a '{self.end}'"
            " after each."
        )


def _is_star(star: Star, arm: int) -> bool:
    """Arms of that many edges from the centre, no node twice, the goal the end of one."""
    after: dict[int, list[int]] = {}
    for tail, head in star.edges:
        after.setdefault(tail, []).append(head)
    heads = [head for _, head in star.edges]
    firsts = after.get(star.centre, [])
    if len({*heads}) < len(heads) or star.centre in heads or len(firsts) not in DEGREES.values():
        return False
    ends = []
    for node in firsts:
        for _ in range(arm - 1):
            if len(after.get(node, [])) != 1:
                return False
            node = after[node][0]
        ends.append(node)
    return star.goal in ends and len(star.edges) == arm * len(firsts) and not any(end in after for end in ends)

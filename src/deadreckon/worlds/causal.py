"""Structural causal models in pairs with one seen law and two laws of do(): seeing told from doing, exactly.

The opening names a system of a fixed bank (and, with graph=told, its graph); each turn the world asks for a row, seen
or made, and the actor writes the values of all variables, drawn from the exact law::

    s07 A>B A-C
    see B1: 110
    do A0: 001

Names come in twins: what is seen of them is the same to the last digit, what doing does is not (systems.py). A row
that contradicts the question is a slip; rows do not depend on one another, so that nothing is carried on.
task=effect asks for probabilities instead (`effects.Effects`), task=experiment for experiments and then their use
(`experiments.Experiments`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import product
from math import log
from typing import NamedTuple

import numpy as np

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.specs import between, known_only, one_of, read_option
from deadreckon.worlds.effects import Effects
from deadreckon.worlds.experiments import Experiments
from deadreckon.worlds.scm import LETTERS, Law, counts_text, given, graph_text, law
from deadreckon.worlds.systems import KINDS, PAIRS, SIZES, System, names_of, system_of

ASKS, PARTS, GRAPHS = ("both", "see", "do"), ("all", "learn", "exam"), ("hidden", "told")
LENGTH, LONGEST = 12, 1000
NAMES = tuple(f"s{name:02}" for name in range(2 * PAIRS))
ROWS = {size: tuple("".join(map(str, row)) for row in product((0, 1), repeat=size)) for size in SIZES.values()}
QUESTION = re.compile(r"(see|do) ([A-D])([01])")


class State(NamedTuple):
    """Before question i about a system; what is not asked yet is already drawn."""

    level: int
    name: int
    questions: tuple[str, ...]  # "see A1", "do B0"
    i: int


def from_options(options: Mapping[str, str]) -> Causal | Effects | Experiments:
    """From a spec's options: task; then asks, graph, kind, part, length, or those of the task. BadOption otherwise."""
    known_only("causal", options, ("task", "asks", "graph", "kind", "part", "length", "tries"))
    task = read_option("causal", options, "task", one_of("row", "effect", "experiment"), "row")
    others = {key: value for key, value in options.items() if key != "task"}
    part = read_option("causal", others, "part", one_of(*PARTS), "all")
    if task == "experiment":
        known_only("causal task=experiment", others, ("part", "tries"))
        return Experiments(part, read_option("causal", others, "tries", between(0, 16), None))
    graphs = read_option("causal", others, "graph", one_of(*GRAPHS), "told" if task == "effect" else "hidden")
    if task == "effect":
        known_only("causal task=effect", others, ("asks", "graph"))
        return Effects(read_option("causal", others, "asks", one_of(*ASKS), "both"), graphs)
    known_only("causal task=row", others, ("asks", "graph", "kind", "part", "length"))
    return Causal(
        read_option("causal", others, "asks", one_of(*ASKS), "both"),
        graphs,
        read_option("causal", others, "kind", one_of(*KINDS), "any"),
        part,
        read_option("causal", others, "length", between(1, LONGEST), LENGTH),
    )


@lru_cache(maxsize=1 << 14)
def row_law(level: int, name: int, question: str) -> Law:
    """The exact law of the row that a question asks for."""
    scm, (how, letter, value) = system_of(level, name).scm, _read_question(question)
    node = LETTERS.index(letter)
    return given(scm, node, int(value)) if how == "see" else law(scm, (node, int(value)))


@lru_cache(maxsize=1 << 14)
def _policy(level: int, name: int, question: str) -> Mapping[str, float]:
    return {_row_text(row): float(p) for row, p in row_law(level, name, question).items()}


def _row_text(row: Sequence[int]) -> str:
    return "".join(map(str, row))


def _read_question(question: str) -> tuple[str, str, str]:
    match = QUESTION.fullmatch(question)
    if match is None:
        raise BadText(f"{question!r} is no question: write see A1 or do A1")
    return match[1], match[2], match[3]


class Causal:
    """The world of rows, seen and made; see the module's text."""

    levels = tuple(SIZES)
    alphabet = (
        *NAMES,
        *("see ", "do "),
        *(f"{letter}{value}: " for letter in LETTERS for value in "01"),
        *(row + "\n" for rows in ROWS.values() for row in rows),
        *LETTERS,
        *">- +.\n|",
    )
    end = "\n"
    width = 1
    belief_end = "|"
    belief_width = 3

    def __init__(
        self, asks: str = "both", graph: str = "hidden", kind: str = "any", part: str = "all", length: int = LENGTH
    ):
        """`asks`: which questions; `kind`, `part`: of systems. BadOption outside the choices."""
        for what, choices in ((asks, ASKS), (graph, GRAPHS), (kind, KINDS), (part, PARTS)):
            if what not in choices:
                raise BadOption(f"causal {what!r}: choose from {', '.join(choices)}")
        if not 1 <= length <= LONGEST:
            raise BadOption(f"causal length={length}: give 1 to {LONGEST} questions")
        self.asks, self.graph, self.kind, self.part, self.length = asks, graph, kind, part, length
        unusual = [f"-length{length}"] * (length != LENGTH)
        self.name = f"causal-row-{asks}-{graph}-{kind}-{part}{''.join(unusual)}-v1"

    def start(self, level: int, rng: np.random.Generator) -> State:
        """A system, uniform; each question sees a variable at a value, or sets the hinge, uniform."""
        if level not in SIZES:
            raise BadOption(f"causal has no level {level}: choose from {', '.join(map(str, SIZES))}")
        names = names_of(level, self.kind, self.part)
        name = names[int(rng.integers(len(names)))]
        hinge = system_of(level, name).hinge
        drawn = zip(rng.random(self.length), rng.integers(SIZES[level], size=(self.length, 1)), strict=True)
        questions = []
        for u, (node,) in drawn:
            does = self.asks == "do" or (self.asks == "both" and u < 0.5)
            letter = LETTERS[hinge if does else int(node)]
            questions.append(f"{'do' if does else 'see'} {letter}{int(rng.integers(2))}")
        return State(level, name, tuple(questions), 0)

    def system(self, state: State) -> System:
        """The model asked about, its hinge, and the graph that may be told of it."""
        return system_of(state.level, state.name)

    def follows(self, state: State) -> bool:
        """Whether the law of this turn follows from what is seen and the graph: always, where it asks to see."""
        return state.questions[state.i].startswith("see") or self.system(state).follows

    def confusion(self, state: State) -> Mapping[str, float]:
        """D(P‖Q), nats, of what may be mistaken for the law P of this turn.

        see: Q the seen law given that value; base: Q the seen law with the value written over it; twin: Q the other
        twin's law.
        """
        truth, question = row_law(*state[:2], state.questions[state.i]), state.questions[state.i]
        _, letter, value = _read_question(question)
        scm, node = self.system(state).scm, LETTERS.index(letter)
        twin = scm._replace(gauge=self.system(state).hinge if scm.gauge < 0 else -1)
        base = law(scm._replace(gauge=node), (node, int(value)))
        others = {"see": given(scm, node, int(value)), "base": base}
        others["twin"] = others["see"] if question.startswith("see") else law(twin, (node, int(value)))
        return {name: sum(float(p) * log(p / other[row]) for row, p in truth.items()) for name, other in others.items()}

    def legal(self, state: State) -> Sequence[str]:
        """Every row; none when done."""
        return () if self.done(state) else ROWS[SIZES[state.level]]

    def allows(self, state: State, action: str) -> bool:
        """As `legal`."""
        return state.i < len(state.questions) and action in ROWS[SIZES[state.level]]

    def step(self, state: State, action: str) -> State:
        """On to the next question. IllegalAction where `allows` is False."""
        if not self.allows(state, action):
            left, size = len(state.questions) - state.i, SIZES[state.level]
            raise IllegalAction(f"{action!r} is no row in {self.show(state)!r}: write {size} digits, {left} are left")
        return State(state.level, state.name, state.questions, state.i + 1)

    def done(self, state: State) -> bool:
        """Every question is answered."""
        return state.i == len(state.questions)

    def policy(self, state: State) -> Mapping[str, float]:
        """The exact law of the row."""
        return _policy(state.level, state.name, state.questions[state.i])

    def wrong(self, state: State) -> Sequence[str]:
        """Rows that contradict the question; none when done."""
        if self.done(state):
            return ()
        _, letter, value = _read_question(state.questions[state.i])
        return tuple(row for row in self.legal(state) if row[LETTERS.index(letter)] != value)

    def mend(self, state: State) -> str | None:
        """None: nothing is carried on."""
        return None

    def true(self, state: State) -> bool | None:
        """None: rows do not depend on one another, so that no error leaves a trace."""
        return None

    def fixes(self, state: State) -> bool:
        """The world asks, it tells nothing."""
        return False

    def distance(self, state: State) -> float:
        """Questions left."""
        return float(len(state.questions) - state.i)

    def opening(self, state: State) -> str:
        """The system's name, and its graph where that is told."""
        graph = f" {graph_text(self.system(state).told)}" if self.graph == "told" else ""
        return f"{NAMES[state.name]}{graph}\n"

    def says(self, state: State) -> str:
        """The question; "" when done."""
        return "" if self.done(state) else f"{state.questions[state.i]}: "

    def belief(self, state: State) -> str:
        """Whether the hinge drives or only shows: "A+" or "A-"."""
        system = self.system(state)
        return LETTERS[system.hinge] + ("+" if system.scm.gauge < 0 else "-")

    def show(self, state: State) -> str:
        """Level, name, questions, answers given: "2 s07 see A1,do B0 1"."""
        return f"{state.level} {NAMES[state.name]} {','.join(state.questions)} {state.i}"

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        match = re.fullmatch(r"([1-3]) s([0-9]{2}) ((?:see|do) [-A-D01, seedo]{1,9000}) (0|[1-9][0-9]{0,3})", text)
        level, name = (int(match[1]), int(match[2])) if match else (1, -1)
        questions = tuple(match[3].split(",")) if match else ()
        letters = LETTERS[: SIZES[level]]
        known = all(QUESTION.fullmatch(q) and q[-2] in letters for q in questions)
        if match is None or not known or name >= len(NAMES) or len(questions) > LONGEST:
            raise BadText(f"{text!r} is no state of {self.name}: write it as '1 s07 see A1,see B0 0'")
        hinge = LETTERS[system_of(level, name).hinge]
        if int(match[4]) > len(questions) or any(q[0] == "d" and q[3] != hinge for q in questions):
            raise BadText(f"{text!r}: it has {len(questions)} questions, and {NAMES[name]} is set by {hinge} alone")
        return State(level, name, questions, int(match[4]))

    def write(self, action: str) -> str:
        """The row."""
        return action

    def parse(self, text: str) -> str | None:
        """A row of any level."""
        return text if len(text) in ROWS and text in ROWS[len(text)] else None

    def rules(self) -> str:
        """The rules in words."""
        told = " A>B: A acts on B directly; A-B: a hidden cause acts on both." if self.graph == "told" else ""
        return (
            "A system of variables A, B, ... that are 0 or 1, each with causes among the others and hidden ones. The"
            f" first line names it.{told} After 'see A1:' write a row of the system, one digit a variable in order, as"
            " it comes when A is found to be 1; after 'do A1:' one as it comes when A is set to 1 from outside,"
            " whatever its causes say. Draw each row anew at its probability."
        )

    def brief(self, level: int) -> str:
        """How often each row of each system that may be asked about is seen. BadOption: no such level."""
        if level not in SIZES:
            raise BadOption(f"causal has no level {level}: choose from {', '.join(map(str, SIZES))}")
        names = names_of(level, self.kind, self.part)
        listed = "\n".join(f"{NAMES[name]}: {counts_text(system_of(level, name).scm)}" for name in names)
        return f"How often each row of a system is seen, as exact proportions:\n{listed}"

"""Probabilities of seeing and doing, asked for in per cent, or refused (`causal:task=effect`).

The opening is the graph and the seen law as counts; each turn asks for the chance that a variable is 1::

    A>B A-B
    00 11 01 5 10 7 11 9
    see A1 B=56
    do A1 B=?

Right is the number, rounded to a whole per cent (a half upwards), or "?" where it does not follow from the opening: the
models that the opening allows then do not agree. With graph=hidden no graph is told, and no do() follows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.worlds.identify import identified
from deadreckon.worlds.scm import (
    LETTERS,
    Graph,
    Scm,
    chance,
    counts_text,
    given,
    graph,
    graph_text,
    law,
    read_scm,
    scm_text,
    union,
)
from deadreckon.worlds.systems import SIZES, draw_twins

LENGTH, LONGEST = 6, 64
TOLD = ("own", "both")  # the graph that is told: the model's own, or one that allows its twin too
UNKNOWN = "?"
ANSWERS = (*map(str, range(101)), UNKNOWN)
_KNOWN = frozenset(ANSWERS)


class Question(NamedTuple):
    """P(y = 1), seeing or doing x = value."""

    how: str  # see, do
    x: int
    value: int
    y: int


class State(NamedTuple):
    """Before question i about a model, of which a graph and the seen law are told."""

    scm: Scm
    hinge: int
    told: str  # own, both
    questions: tuple[Question, ...]
    i: int


def percent(p: Fraction) -> str:
    """To the nearest whole per cent, a half upwards."""
    return str((200 * p.numerator + p.denominator) // (2 * p.denominator))


@lru_cache(maxsize=1 << 14)
def told_graph(scm: Scm, hinge: int, told: str) -> Graph:
    """The model's own graph, or the least one that allows the twin too."""
    if told == "own":
        return graph(scm)
    return union((graph(scm._replace(gauge=-1)), graph(scm._replace(gauge=hinge))))


@lru_cache(maxsize=1 << 14)
def answers(scm: Scm, question: Question) -> Mapping[str, str]:
    """Seeing, doing, and neither: the three numbers that may be taken for one another, in per cent."""
    _, x, value, y = question
    return {
        "see": percent(chance(given(scm, x, value), y)),
        "do": percent(chance(law(scm, (x, value)), y)),
        "base": percent(chance(law(scm), y)),
    }


class Effects:
    """The world of probabilities; see the module's text."""

    levels = tuple(SIZES)
    alphabet = (*LETTERS, *"0123456789", "see ", "do ", *">-+.=? \n|")
    end = "\n"
    width = 4
    belief_end = "|"
    belief_width = 3

    def __init__(self, asks: str = "both", graphs: str = "told"):
        """`asks`: both, see, do; `graphs`: told, hidden. BadOption otherwise."""
        if asks not in ("both", "see", "do") or graphs not in ("told", "hidden"):
            raise BadOption(f"causal asks={asks!r}, graph={graphs!r}: choose from both, see, do and told, hidden")
        self.asks, self.graphs = asks, graphs
        self.name = f"causal-effect-{asks}-{graphs}-v1"

    def start(self, level: int, rng: np.random.Generator) -> State:
        """A pair of twins, either of them, told with its own graph or with one for both; questions at random.

        Of a do() every second one sets the hinge.
        """
        if level not in SIZES:
            raise BadOption(f"causal has no level {level}: choose from {', '.join(map(str, SIZES))}")
        size, told = SIZES[level], TOLD[int(rng.integers(2))]
        pair = draw_twins(size, "identified" if told == "own" else "unidentified", rng)
        system, questions = pair[int(rng.integers(2))], []
        for u, v in rng.random((LENGTH, 2)).tolist():
            how = self.asks if self.asks != "both" else ("do" if u < 0.5 else "see")
            x = system.hinge if how == "do" and v < 0.5 else int(rng.integers(size))
            y = (x + 1 + int(rng.integers(size - 1))) % size
            questions.append(Question(how, x, int(rng.integers(2)), y))
        return State(system.scm, system.hinge, told, tuple(questions), 0)

    def follows(self, state: State) -> bool:
        """Whether the number asked for follows from the opening."""
        question = state.questions[state.i]
        if question.how == "see":
            return True
        told = told_graph(state.scm, state.hinge, state.told)
        return self.graphs == "told" and identified(told, question.x, frozenset({question.y}))

    def right(self, state: State) -> str:
        """The right answer."""
        question = state.questions[state.i]
        return answers(state.scm, question)[question.how] if self.follows(state) else UNKNOWN

    def kind(self, state: State, action: str) -> str:
        """How an answer is right or wrong.

        right; refused (a number follows); claimed (none does; "claimed see" if it is that of seeing); see, do, base:
        the number of seeing, of doing, or of neither, taken for the right one; other.
        """
        right, numbers = self.right(state), answers(state.scm, state.questions[state.i])
        if action == right:
            return "right"
        if action == UNKNOWN:
            return "refused"
        same = next((name for name in ("see", "do", "base") if numbers[name] == action), "other")
        if right == UNKNOWN:
            return "claimed see" if same == "see" else "claimed"
        return same

    def legal(self, state: State) -> Sequence[str]:
        """0 to 100 and "?"; none when done."""
        return () if self.done(state) else ANSWERS

    def allows(self, state: State, action: str) -> bool:
        """As `legal`."""
        return state.i < len(state.questions) and action in _KNOWN

    def step(self, state: State, action: str) -> State:
        """On to the next question. IllegalAction where `allows` is False."""
        if not self.allows(state, action):
            left = len(state.questions) - state.i
            raise IllegalAction(f"{action!r} is no answer in {self.show(state)!r}: write 0..100 or ?, {left} are left")
        return State(state.scm, state.hinge, state.told, state.questions, state.i + 1)

    def done(self, state: State) -> bool:
        """Every question is answered."""
        return state.i == len(state.questions)

    def policy(self, state: State) -> Mapping[str, float]:
        """The one right answer."""
        return {self.right(state): 1.0}

    def wrong(self, state: State) -> Sequence[str]:
        """What the right answer may be mistaken for: the numbers of seeing, doing, neither, and "?"; none when done."""
        if self.done(state):
            return ()
        right = self.right(state)
        likely = (*answers(state.scm, state.questions[state.i]).values(), UNKNOWN)
        return tuple(dict.fromkeys(answer for answer in likely if answer != right))

    def mend(self, state: State) -> str | None:
        """None: nothing is carried on."""
        return None

    def true(self, state: State) -> bool | None:
        """None: answers do not depend on one another, so that no error leaves a trace."""
        return None

    def fixes(self, state: State) -> bool:
        """The world asks, it tells nothing."""
        return False

    def distance(self, state: State) -> float:
        """Questions left."""
        return float(len(state.questions) - state.i)

    def opening(self, state: State) -> str:
        """The graph, where it is told; the seen law as counts of the least total that makes them whole."""
        told = graph_text(told_graph(state.scm, state.hinge, state.told)) + "\n" if self.graphs == "told" else ""
        return f"{told}{counts_text(state.scm)}\n"

    def says(self, state: State) -> str:
        """The question; "" when done."""
        return "" if self.done(state) else f"{_question_text(state.questions[state.i])}="

    def belief(self, state: State) -> str:
        """What the opening says of the hinge: it drives "A+", only shows "A-", or may do either "A."."""
        either = self.graphs == "hidden" or state.told == "both"
        return LETTERS[state.hinge] + ("." if either else "+" if state.scm.gauge < 0 else "-")

    def show(self, state: State) -> str:
        """Model, hinge, graph told, questions, answers given: "A=2;B,A=13 A own see A1 B,do A0 B 1"."""
        asked = ",".join(map(_question_text, state.questions))
        return f"{scm_text(state.scm)} {LETTERS[state.hinge]} {state.told} {asked} {state.i}"

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        match = re.fullmatch(r"(\S{5,200}) ([A-D]) (own|both) ([-A-D01, seedo]{6,900}) (0|[1-9][0-9]?)", text)
        scm = read_scm(match[1]) if match else None
        if match is None or scm is None:
            raise BadText(f"{text!r} is no state of {self.name}: write it as A=2;B,A=13 A own see A1 B,do A0 B 0")
        hinge, letters = LETTERS.index(match[2]), LETTERS[: scm.size]
        asked = match[4].split(",")
        read = (re.fullmatch(rf"(see|do) ([{letters}])([01]) (?!\2)([{letters}])", each) for each in asked)
        found = [Question(m[1], letters.index(m[2]), int(m[3]), letters.index(m[4])) for m in read if m]
        if len(found) < len(asked) or len(found) > LONGEST or int(match[5]) > len(found) or hinge >= scm.size:
            raise BadText(f"{text!r}: write 1 to {LONGEST} questions as see A1 B, of variables {', '.join(letters)}")
        if scm.gauge not in (-1, hinge):
            raise BadText(f"{text!r}: only the hinge {match[2]} may be a gauge")
        return State(scm, hinge, match[3], tuple(found), int(match[5]))

    def write(self, action: str) -> str:
        """The answer."""
        return action

    def parse(self, text: str) -> str | None:
        """0 to 100, or "?"."""
        return text if text in _KNOWN else None

    def rules(self) -> str:
        """The rules in words."""
        told = (
            "The first line is its graph: A>B, A may act on B directly; A-B, a hidden cause may act on both; nothing"
            " else acts. The second line"
            if self.graphs == "told"
            else "Its graph is not told. The first line"
        )
        return (
            f"A system of variables A, B, ... that are 0 or 1. {told} counts how often each row of values is seen,"
            " one digit a variable in order; take the counts as exact proportions. After 'see A1 B=' write the chance"
            " in per cent, rounded to a whole number, that B is 1 where A is found to be 1; after 'do A1 B=' the chance"
            " that B is 1 when A is set to 1 from outside. Where the number does not follow from what is told, write ?"
        )


def _question_text(question: Question) -> str:
    how, x, value, y = question
    return f"{how} {LETTERS[x]}{value} {LETTERS[y]}"

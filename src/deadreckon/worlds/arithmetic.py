"""Written arithmetic: addition, subtraction, multiplication and long division, in one line or line by line.

The opening is the problem, operands padded with zeros to the level's number of digits; every line of the answer is
judged on its own, against what is written before it (columns.py says what a line holds)::

    478+356:        478-389:        478*356:          917/4:
    14              19              2868,2868         09,02,08,1,2
    134             189             2390,26768        11,02,08,3,22
    0834            0089            1434,170168       37,09,36,1,229

A wrong result is carried on from until the true line is written (a mend). A line whose working is wrong though its
result is true is a slip that leaves the state true.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import digits as DIGITS
from typing import NamedTuple

import numpy as np

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.specs import between, known_only, one_of, read_option
from deadreckon.worlds.column_words import in_words, one_digit_off
from deadreckon.worlds.columns import (
    SIGNS,
    Node,
    Parts,
    Problem,
    begin,
    divisor_digits,
    kept,
    nodes,
    right_line,
    value_widths,
    widths,
)
from deadreckon.worlds.operands import free, in_exam, with_chain

FORMS, ORDERS, PARTS = ("scratchpad", "direct"), ("high", "low"), ("all", "learn", "exam")
MOST_DIGITS = 10
TRIES = 10_000  # draws until one falls on the asked side of the split


class State(NamedTuple):
    """Before line i of a problem, with the value as last written (right or not)."""

    problem: Problem
    i: int
    value: Parts


class Arithmetic:
    """The world of written arithmetic; see the module's text."""

    alphabet = (*DIGITS, *"+-*/:,>\n")
    end = "\n"
    belief_end = ">"

    def __init__(
        self,
        op: str = "add",
        form: str = "scratchpad",
        *,
        order: str = "high",
        runs: tuple[int, int] | None = None,
        part: str = "all",
    ):
        """`order`: of a direct answer's digits; `runs`: range of the longest run of carries; `part` of all pairs.

        BadOption: no such value, or one that the operation or the form does not have.
        """
        for what, choices in ((op, SIGNS), (form, FORMS), (order, ORDERS), (part, PARTS)):
            if what not in choices:
                raise BadOption(f"arithmetic {what!r}: choose from {', '.join(choices)}")
        if runs and op not in ("add", "sub"):
            raise BadOption(f"arithmetic op={op} has no carry chain: drop chain and upto, or choose add or sub")
        if order == "low" and form != "direct":
            raise BadOption("arithmetic order=low is of direct answers: add form=direct")
        self.op, self.form, self.order, self.runs, self.part = op, form, order, runs, part
        first = max(2, (runs[0] if runs else 0) + (op == "sub"))
        self.levels = tuple(range(first, MOST_DIGITS + 1))
        chain = "" if runs is None else f"-chain{runs[0]}" if runs[0] == runs[1] else f"-upto{runs[1]}"
        tail = ("-low" if order == "low" else "") + chain + ("" if part == "all" else f"-{part}")
        self.name = f"arithmetic-{op}-{form}{tail}-v1"
        widest = Problem(op, form, MOST_DIGITS, 0, 10 ** (divisor_digits(MOST_DIGITS) - 1) if op == "div" else 0)
        self.width = _symbols(widths(widest, widest.lines - 1)) + 1
        self.belief_width = _symbols(value_widths(widest, widest.lines)) + 1

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Arithmetic:
        """From a spec's options: op, form, order, chain, upto, part. BadOption otherwise."""
        known_only("arithmetic", options, ("op", "form", "order", "chain", "upto", "part"))
        if "chain" in options and "upto" in options:
            raise BadOption("arithmetic takes chain (exactly) or upto (at most), not both: drop one")
        number = between(0, MOST_DIGITS - 1)
        chain = read_option("arithmetic", options, "chain", number, -1)
        upto = read_option("arithmetic", options, "upto", number, -1)
        return cls(
            read_option("arithmetic", options, "op", one_of(*SIGNS), "add"),
            read_option("arithmetic", options, "form", one_of(*FORMS), "scratchpad"),
            order=read_option("arithmetic", options, "order", one_of(*ORDERS), "high"),
            runs=(chain, chain) if chain >= 0 else (0, upto) if upto >= 0 else None,
            part=read_option("arithmetic", options, "part", one_of(*PARTS), "all"),
        )

    def start(self, level: int, rng: np.random.Generator) -> State:
        """Operands uniform among those of the level's number of digits that the options leave."""
        if level not in self.levels:
            raise BadOption(f"{self.name} has no level {level}: choose from {self.levels[0]} to {self.levels[-1]}")
        for _ in range(TRIES):
            a, b = with_chain(self.op, level, self.runs, rng) if self.runs else free(self.op, level, rng)
            if self.part == "all" or in_exam(self.op, a, b) == (self.part == "exam"):
                return self._begin(Problem(self.op, self.form, level, a, b))
        raise BadOption(f"{self.name} has hardly a problem of {level} digits: take more digits or part=all")

    def _begin(self, problem: Problem) -> State:
        return State(problem, 0, begin(problem))

    def text(self, parts: Parts, wide: Sequence[int]) -> str:
        """Parts as a line: padded with zeros, commas between."""
        line = ",".join(f"{part:0{width}d}" for part, width in zip(parts, wide, strict=True))
        return line[::-1] if self.order == "low" else line

    def numbers(self, state: State, action: str) -> Parts | None:
        """The parts of a line that is allowed here, else None."""
        problem, i, _ = state
        if i >= problem.lines or self.parse(action) is None:
            return None
        texts = (action[::-1] if self.order == "low" else action).split(",")
        if [len(text) for text in texts] != [*widths(problem, i)]:
            return None
        flagged = self.form == "scratchpad" and self.op in ("add", "sub")
        return None if flagged and texts[0][0] > "1" else tuple(map(int, texts))

    def allows(self, state: State, action: str) -> bool:
        """Any numbers of the line's widths (a carry is 0 or 1), until the last line is written."""
        return self.numbers(state, action) is not None

    def step(self, state: State, action: str) -> State:
        """Carry on from the written result. IllegalAction where `allows` is False."""
        parts = self.numbers(state, action)
        if parts is None:
            left = state.problem.lines - state.i
            wide = ",".join("0" * width for width in widths(state.problem, state.i))
            raise IllegalAction(f"{action!r} is no line in {self.show(state)!r}: write {wide!r}, {left} lines are left")
        return State(state.problem, state.i + 1, kept(state.problem, parts))

    def done(self, state: State) -> bool:
        """Every line is written."""
        return state.i == state.problem.lines

    def right(self, state: State) -> Parts:
        """The parts of the line that follows from what is written."""
        return right_line(state.problem, state.i, state.value)

    def true_line(self, problem: Problem, i: int) -> str:
        """Line i of an error-free calculation."""
        return self.text(right_line(problem, i, problem.values[i]), widths(problem, i))

    def nodes(self, state: State, action: str) -> dict[str, Node]:
        """Which numbers of the line are right, wrong here (local), wrong from before (propagated), or restored.

        IllegalAction where the line is not allowed."""
        parts = self.numbers(state, action)
        if parts is None:
            raise IllegalAction(f"{action!r} is no line in {self.show(state)!r}: judge allowed lines alone")
        return nodes(state.problem, state.i, state.value, parts)

    def policy(self, state: State) -> Mapping[str, float]:
        """The one right line."""
        return {self.text(self.right(state), widths(state.problem, state.i)): 1.0}

    def wrong(self, state: State) -> Sequence[str]:
        """Right lines but for one digit of the result, which is then not the true one; none when done."""
        if self.done(state):
            return ()
        problem, i, _ = state
        line, wide = self.text(self.right(state), widths(problem, i)), kept(problem, tuple(widths(problem, i)))
        result, true = self.text(kept(problem, self.right(state)), wide), self.text(problem.values[i + 1], wide)
        working = line[: len(line) - len(result)]
        flagged = self.form == "scratchpad" and self.op in ("add", "sub")
        return tuple(working + other for other in one_digit_off(result, flagged) if other != true)

    def mend(self, state: State) -> str | None:
        """The true line, from a wrong value; None where it is the right one anyway."""
        if self.done(state) or self.true(state):
            return None
        line = self.true_line(state.problem, state.i)
        return None if line in self.policy(state) else line

    def true(self, state: State) -> bool:
        """Is the written value the true one?"""
        return state.value == state.problem.values[state.i]

    def fixes(self, state: State) -> bool:
        """The world tells nothing."""
        return False

    def distance(self, state: State) -> float:
        """Lines left."""
        return float(state.problem.lines - state.i)

    def task(self, problem: Problem) -> str:
        """The problem: "478+356"."""
        second = divisor_digits(problem.digits) if self.op == "div" else problem.digits
        return f"{problem.a:0{problem.digits}d}{SIGNS[self.op]}{problem.b:0{second}d}"

    def opening(self, state: State) -> str:
        """The problem."""
        return self.task(state.problem) + ":\n"

    def says(self, state: State) -> str:
        """Nothing."""
        return ""

    def belief(self, state: State) -> str:
        """The value as last written: what the next line goes on from."""
        return self.text(state.value, value_widths(state.problem, state.i))

    def show(self, state: State) -> str:
        """Problem, lines written, value: "478+356 2 134"; a direct problem has no value before its answer: "-"."""
        return f"{self.task(state.problem)} {state.i} {self.belief(state) or '-'}"

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        match = re.fullmatch(r"([0-9]{1,10})([-+*/])([0-9]{1,10}) (0|[1-9][0-9]?) ([0-9,]{1,40}|-)", text)
        if match is None or match[2] != SIGNS[self.op] or not 2 <= len(match[1]) <= MOST_DIGITS:
            raise BadText(f"{text!r} is no state of {self.name}: write it as 47{SIGNS[self.op]}35 0 (value)")
        n, a, b, i = len(match[1]), int(match[1]), int(match[3]), int(match[4])
        second = divisor_digits(n) if self.op == "div" else n
        if len(match[3]) != second or (self.op == "sub" and b > a) or (self.op == "div" and b < 10 ** (second - 1)):
            raise BadText(f"{text!r}: the second operand has {second} digits, is no larger in sub, no 0 first in div")
        problem = Problem(self.op, self.form, n, a, b)
        if i > problem.lines:
            raise BadText(f"{text!r}: there are 0..{problem.lines} lines")
        return self._with_value(problem, i, match[5], text)

    def _with_value(self, problem: Problem, i: int, value: str, text: str) -> State:
        written = "" if value == "-" else value[::-1] if self.order == "low" else value
        wide = [*value_widths(problem, i)]
        texts = written.split(",") if written else []
        flagged = self.form == "scratchpad" and self.op in ("add", "sub")
        if [len(part) for part in texts] != wide or (flagged and texts[0][0] > "1"):
            raise BadText(f"{text!r}: the value before line {i} is {','.join('0' * width for width in wide) or '-'!r}")
        state = State(problem, i, tuple(map(int, texts)))
        if not i and state != self._begin(problem):
            raise BadText(f"{text!r}: before the first line the value is {self.belief(self._begin(problem)) or '-'!r}")
        return state

    def write(self, action: str) -> str:
        """The line."""
        return action

    def parse(self, text: str) -> str | None:
        """Numbers with commas between."""
        return text if len(text) < self.width and re.fullmatch(r"[0-9]+(?:,[0-9]+){0,4}", text) else None

    def rules(self) -> str:
        """The rules in words."""
        return in_words(self.op, self.form, backwards=self.order == "low")


def _symbols(wide: Sequence[int]) -> int:
    """Symbols of a line of these widths, commas included."""
    return sum(wide) + max(0, len(wide) - 1)

"""Programs of a tiny concatenative language, run step by step in the text (`machines:kind=stack`).

The opening is the program; each line is the configuration after one more step: what is still to run, the stack, what
has been put out, with bars between::

    (x):*S
    :*S|(x)|
    *S|(x)(x)|
    S|(xx)|
    ||xx

A wrong configuration is carried on from; a step that cannot be done leaves it as it is. With program=quine every
program puts out itself. concatenative.py has the language; no program of any other language is ever run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.worlds.concatenative import DATA, MOST, SYMBOLS, Config, advance, balanced, quoted, run

STEPS = {1: 8, 2: 12, 3: 20}  # of a run, by level
LEVEL_OF = {steps: level for level, steps in STEPS.items()}
PIECES = ("(x)", "(y)", "(z)", "(:*)", "(~)", "(aS)", ":", "!", "~", "*", "a", "S", "^")
IDLE = ((":!", 2), ("()!", 2), ("(x)!", 2), ("(y)!", 2), ("a^", 3))  # with a text on the stack they change nothing
LINE = MOST + 8  # symbols a written configuration may have, bars included


class State(NamedTuple):
    """Step i of a program's run, with the configuration as last written (right or not)."""

    program: str
    i: int
    config: Config


@lru_cache(maxsize=1 << 14)
def history(program: str) -> tuple[Config, ...]:
    """The error-free run."""
    return run(program, max(STEPS.values()) + 1)


def draw_program(steps: int, rng: np.random.Generator) -> str:
    """Pieces drawn one by one, each kept if the program still runs to its end in no more than `steps` steps."""
    program, taken = "", 0
    while taken < steps:
        longer = program + PIECES[int(rng.integers(len(PIECES)))]
        ran = run(longer, steps + 1)
        if ran[-1].rest == "" and len(ran) - 1 <= steps and ran[-1].size() <= MOST // 2:
            program, taken = longer, len(ran) - 1
        elif len(run(program, steps + 1)[-1].stack) > 3:
            program, taken = program + "!", taken + 1
    return program


def draw_quine(steps: int, rng: np.random.Generator) -> str:
    """ "(X)X" with X = idle pieces, ":aSS", idle pieces: puts out "(X)" and X. It takes exactly `steps` steps."""
    left, before, after = steps - 5, "", ""
    while left:
        piece, cost = IDLE[int(rng.integers(len(IDLE)))]
        if left - cost == 1 or cost > left:
            continue
        left -= cost
        if piece in (":!", "a^") or rng.random() < 0.5:
            before += piece
        else:
            after += piece
    body = f"{before}:aSS{after}"
    return f"({body}){body}"


class Stacks:
    """The world of the concatenative language; see the module's text."""

    levels = tuple(STEPS)
    alphabet = (*SYMBOLS, "|", ">", "\n")
    end = "\n"
    width = LINE + 1
    belief_end = ">"
    belief_width = LINE + 1

    def __init__(self, program: str = "any"):
        """`program`: any, or quine. BadOption otherwise."""
        if program not in ("any", "quine"):
            raise BadOption(f"machines program={program!r}: choose from any, quine")
        self.program = program
        self.name = f"machines-stack-{program}-v1"

    def start(self, level: int, rng: np.random.Generator) -> State:
        """A program whose run takes the level's number of steps."""
        if level not in STEPS:
            raise BadOption(f"machines has no level {level}: choose from {', '.join(map(str, STEPS))}")
        drawn = draw_quine(STEPS[level], rng) if self.program == "quine" else draw_program(STEPS[level], rng)
        return State(drawn, 0, history(drawn)[0])

    def allows(self, state: State, action: str) -> bool:
        """Any configuration, until the run ends."""
        return not self.done(state) and read_config(action) is not None

    def step(self, state: State, action: str) -> State:
        """Carry on from the written configuration. IllegalAction where `allows` is False."""
        config = None if self.done(state) else read_config(action)
        if config is None:
            left = len(history(state.program)) - 1 - state.i
            raise IllegalAction(
                f"{action!r} is no configuration in {self.show(state)!r}: write rest|(stack)|output, {left} are left"
            )
        return State(state.program, state.i + 1, config)

    def done(self, state: State) -> bool:
        """The error-free run has taken as many steps."""
        return state.i == len(history(state.program)) - 1

    def _right(self, state: State) -> Config:
        return advance(state.config) or state.config

    def policy(self, state: State) -> Mapping[str, float]:
        """The configuration one step on from the written one."""
        return {line(self._right(state)): 1.0}

    def wrong(self, state: State) -> Sequence[str]:
        """The right configuration with a letter too many put out: right steps never make up for that."""
        if self.done(state):
            return ()
        right, true = self._right(state), history(state.program)[state.i + 1]
        found = (right._replace(out=right.out + letter) for letter in DATA)
        return tuple(line(config) for config in found if config != true and len(line(config)) <= LINE)

    def mend(self, state: State) -> str | None:
        """The true configuration, from a wrong one; None where it is the right one anyway."""
        if self.done(state) or self.true(state):
            return None
        true = history(state.program)[state.i + 1]
        return None if true == self._right(state) else line(true)

    def true(self, state: State) -> bool:
        """Is the written configuration that of the error-free run?"""
        return state.config == history(state.program)[state.i]

    def fixes(self, state: State) -> bool:
        """The world tells nothing."""
        return False

    def distance(self, state: State) -> float:
        """Steps left."""
        return float(len(history(state.program)) - 1 - state.i)

    def opening(self, state: State) -> str:
        """The program."""
        return state.program + "\n"

    def says(self, state: State) -> str:
        """Nothing."""
        return ""

    def belief(self, state: State) -> str:
        """The configuration as last written."""
        return line(state.config)

    def show(self, state: State) -> str:
        """Program, steps written, configuration."""
        return f"{state.program} {state.i} {line(state.config)}"

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        match = re.fullmatch(r"([-()|:!~*aS^xyz]+) (0|[1-9][0-9]?) (\S+)", text)
        config = read_config(match[3]) if match else None
        if match is None or config is None or len(match[1]) > MOST or not balanced(match[1]) or "|" in match[1]:
            raise BadText(f"{text!r} is no state of {self.name}: write program, steps, configuration, as (x)S 1 S|(x)|")
        ran, i = history(match[1]), int(match[2])
        if len(ran) - 1 not in LEVEL_OF or ran[-1].rest:
            raise BadText(f"{text!r}: the program does not end in {', '.join(map(str, LEVEL_OF))} steps")
        state = State(match[1], i, config)
        if i >= len(ran) or (i == 0 and not self.true(state)):
            raise BadText(f"{text!r}: the run has {len(ran) - 1} steps and begins with its program")
        return state

    def write(self, action: str) -> str:
        """The configuration."""
        return action

    def parse(self, text: str) -> str | None:
        """Three parts with bars between, brackets in pairs."""
        return None if read_config(text) is None else text

    def rules(self) -> str:
        """The rules in words."""
        return (
            "A program of a stack language, run one command a line. (x) pushes the text x, : copies the top of the"
            " stack, ! drops it, ~ swaps the two on top, * joins them (the lower first), a puts brackets around the"
            " top, S takes it off and puts it out, ^ takes it off and runs it. After each command write what is still"
            " to run, a bar, the stack (each text in brackets, top last), a bar, and all that has been put out. A"
            " command that cannot be done changes nothing."
        )


def line(config: Config) -> str:
    """A configuration as text: "rest|(below)(top)|output"."""
    return f"{config.rest}|{''.join(f'({text})' for text in config.stack)}|{config.out}"


def read_config(text: str) -> Config | None:
    """Inverse of `line`; None where the text is no configuration, or has more than LINE symbols."""
    parts = text.split("|")
    if len(parts) != 3 or len(text) > LINE or not set(text) <= {*SYMBOLS, "|"} or not all(map(balanced, parts)):
        return None
    rest, pile, out = parts
    stack = []
    while pile:
        close = quoted(pile)
        if not close:
            return None
        stack.append(pile[1 : close - 1])
        pile = pile[close:]
    return Config(rest, tuple(stack), out)

"""Mealy and Turing machines on a ring of cells, with the history of an error-free run."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from deadreckon.seeds import Purpose, generator, hash64

KINDS = ("mealy", "turing")
STATES = "ABCDEF"


class Size(NamedTuple):
    """What a level sets."""

    states: int
    symbols: int
    cells: int  # of the tape; a Mealy machine takes as many steps, a Turing machine twice as many


SIZES = {1: Size(3, 2, 8), 2: Size(4, 2, 12), 3: Size(6, 3, 16)}
LEVEL_OF = {size.cells: level for level, size in SIZES.items()}


class Rule(NamedTuple):
    """What is done on a state and a symbol: write (mealy: put out), move (mealy: always on), go to a state."""

    write: int
    move: int  # -1 or 1
    state: int


class Config(NamedTuple):
    """The machine before a step: its state, the head's cell, the tape."""

    state: int
    head: int
    tape: tuple[int, ...]


def rule_text(kind: str, rule: Rule) -> str:
    """ "1RB"; mealy "1B"."""
    move = "" if kind == "mealy" else "R" if rule.move > 0 else "L"
    return f"{rule.write}{move}{STATES[rule.state]}"


def table_text(kind: str, level: int, rules: tuple[Rule, ...]) -> str:
    """ "A0:1RB A1:0LA B0:1LC ..."."""
    symbols = SIZES[level].symbols
    return " ".join(f"{STATES[k // symbols]}{k % symbols}:{rule_text(kind, rule)}" for k, rule in enumerate(rules))


def draw_rules(kind: str, level: int, rng: np.random.Generator) -> tuple[Rule, ...]:
    """Every entry uniform; of a Mealy machine the states that a symbol leads to are a permutation.

    So two Mealy machines in different states never meet again by right steps alone.
    """
    size = SIZES[level]
    n = size.states * size.symbols
    writes, moves = rng.integers(size.symbols, size=n).tolist(), (2 * rng.integers(2, size=n) - 1).tolist()
    if kind == "turing":
        states = rng.integers(size.states, size=n).tolist()
    else:
        columns = [rng.permutation(size.states).tolist() for _ in range(size.symbols)]
        states = [columns[k % size.symbols][k // size.symbols] for k in range(n)]
        moves = [1] * n
    return tuple(map(Rule, writes, moves, states))


@lru_cache(maxsize=8)
def fixed_rules(kind: str, level: int) -> tuple[Rule, ...]:
    """The one machine of a level whose table is not told."""
    return draw_rules(kind, level, generator(0, hash64("machines", kind, level), Purpose.START))


@dataclass(frozen=True, slots=True)
class Program:
    """What does not change in an episode. `noise[i]`: the cell under the head is raised by one before step i."""

    kind: str
    level: int
    rules: tuple[Rule, ...]
    tape: tuple[int, ...]
    noise: tuple[int, ...]
    history: tuple[Config, ...] = field(init=False, repr=False, compare=False)  # before step 0 .. n

    def __post_init__(self) -> None:
        """Run the machine."""
        configs = [Config(0, 0, self.tape)]
        for i in range(len(self.noise)):
            configs.append(self.after(i, configs[-1], self.rule(i, configs[-1])))
        object.__setattr__(self, "history", tuple(configs))

    def read(self, i: int, config: Config) -> int:
        """The symbol under the head in step i, noise included."""
        return (config.tape[config.head] + self.noise[i]) % SIZES[self.level].symbols

    def rule(self, i: int, config: Config) -> Rule:
        """What the machine does in step i."""
        return self.rules[config.state * SIZES[self.level].symbols + self.read(i, config)]

    def after(self, i: int, config: Config, done: Rule) -> Config:
        """The configuration after `done` in step i. A Mealy machine leaves its tape as it reads it."""
        tape = list(config.tape)
        tape[config.head] = self.read(i, config) if self.kind == "mealy" else done.write
        return Config(done.state, (config.head + done.move) % len(tape), tuple(tape))


def misprint(program: Program) -> tuple[Rule, ...]:
    """The table with one entry's state changed: which one depends on the tape."""
    size = SIZES[program.level]
    place = hash64("misprint", *program.tape) % len(program.rules)
    rule = program.rules[place]
    other = rule._replace(state=(rule.state + 1) % size.states)
    return (*program.rules[:place], other, *program.rules[place + 1 :])

"""Machines that the transcript runs: Mealy and Turing machines whose table may stand in the text.

The opening is the table and the tape, a ring of cells with the head on its first; every line is one step::

    A0:1RB A1:0LA B0:1LC B1:1RA C0:0RC C1:1LB     <- the table (shown)
    01101001
    0=1RB                        <- the world tells the symbol under the head, the actor what the machine does
    1=1RA

A Turing machine writes, moves (R or L) and goes to a state; a Mealy machine puts out a symbol, goes to a state and
moves on: "0=1B". The machine starts in A. What the actor writes is done, so a wrong step leaves a wrong machine to
carry on from; it is mended where one step can bring back the true one. With kind=stack the world is `stacks.Stacks`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.specs import between, known_only, one_of, read_option
from deadreckon.worlds.stacks import Stacks
from deadreckon.worlds.tapes import (
    KINDS,
    LEVEL_OF,
    SIZES,
    STATES,
    Config,
    Program,
    Rule,
    draw_rules,
    fixed_rules,
    misprint,
    rule_text,
    table_text,
)

TABLES, HEADS = ("shown", "hidden", "late", "wrong"), ("told", "tracked")


class State(NamedTuple):
    """Before step i, with the machine as the written steps have left it (right or not)."""

    program: Program
    i: int
    config: Config


def from_options(options: Mapping[str, str]) -> Machines | Stacks:
    """From a spec's options: kind; then table, head, noise, or program. BadOption otherwise."""
    known_only("machines", options, ("kind", "table", "head", "noise", "program"))
    kind = read_option("machines", options, "kind", one_of(*KINDS, "stack"), "mealy")
    others = {key: value for key, value in options.items() if key != "kind"}
    if kind == "stack":
        known_only("machines kind=stack", others, ("program",))
        return Stacks(read_option("machines", others, "program", one_of("any", "quine"), "any"))
    known_only(f"machines kind={kind}", others, ("table", "head", "noise"))
    return Machines(
        kind,
        read_option("machines", others, "table", one_of(*TABLES), "shown"),
        read_option("machines", others, "head", one_of(*HEADS), "told"),
        read_option("machines", others, "noise", between(0, 50), 0),
    )


class Machines:
    """The world of Mealy and Turing machines; see the module's text."""

    levels = tuple(SIZES)
    alphabet = (*"012", *STATES, *"RL:=! >\n")
    end = "\n"
    width = 4
    belief_end = ">"
    belief_width = 1 + 2 + max(size.cells for size in SIZES.values()) + 1

    def __init__(self, kind: str = "mealy", table: str = "shown", head: str = "told", noise: int = 0):
        """`noise`: per cent of the steps before which the cell under the head is raised by one.

        BadOption: no such kind, table, head or noise.
        """
        for what, choices in ((kind, KINDS), (table, TABLES), (head, HEADS)):
            if what not in choices:
                raise BadOption(f"machines {what!r}: choose from {', '.join(choices)}")
        if not 0 <= noise <= 50:
            raise BadOption(f"machines noise={noise}: give 0 to 50 per cent")
        self.kind, self.table, self.head, self.noise = kind, table, head, noise
        self.name = f"machines-{kind}-{table}-{head}{f'-noise{noise}' if noise else ''}-v1"
        moves = (1,) if kind == "mealy" else (1, -1)
        every = [Rule(w, m, s) for w in range(3) for m in moves for s in range(len(STATES))]
        self._rules = {rule_text(kind, rule): rule for rule in every}
        self._laws = {rule: {text: 1.0} for text, rule in self._rules.items()}

    def start(self, level: int, rng: np.random.Generator) -> State:
        """A machine (the level's own where the table is hidden or wrong), a uniform tape, and the noise to come."""
        if level not in SIZES:
            raise BadOption(f"machines has no level {level}: choose from {', '.join(map(str, SIZES))}")
        size = SIZES[level]
        own = self.table in ("hidden", "wrong")
        rules = fixed_rules(self.kind, level) if own else draw_rules(self.kind, level, rng)
        tape = tuple(rng.integers(size.symbols, size=size.cells).tolist())
        steps = size.cells * (2 if self.kind == "turing" else 1)
        noise = tuple(int(u < self.noise / 100) for u in rng.random(steps).tolist())
        return State(Program(self.kind, level, rules, tape, noise), 0, Config(0, 0, tape))

    def legal(self, state: State) -> Sequence[str]:
        """What any machine of this size may do; none when done."""
        if self.done(state):
            return ()
        size = SIZES[state.program.level]
        return tuple(t for t, r in self._rules.items() if r.write < size.symbols and r.state < size.states)

    def allows(self, state: State, action: str) -> bool:
        """As `legal`."""
        rule, size = self._rules.get(action), SIZES[state.program.level]
        return (
            rule is not None
            and rule.write < size.symbols
            and rule.state < size.states
            and state.i < len(state.program.noise)
        )

    def step(self, state: State, action: str) -> State:
        """The machine after the written step. IllegalAction where `allows` is False."""
        if not self.allows(state, action):
            left = len(state.program.noise) - state.i
            example = rule_text(self.kind, state.program.rules[0])
            raise IllegalAction(
                f"{action!r} cannot be done in {self.show(state)!r}: write {example!r}, {left} are left"
            )
        return State(state.program, state.i + 1, state.program.after(state.i, state.config, self._rules[action]))

    def done(self, state: State) -> bool:
        """Every step is written."""
        return state.i == len(state.program.noise)

    def policy(self, state: State) -> Mapping[str, float]:
        """What the machine does."""
        return self._laws[state.program.rule(state.i, state.config)]

    def wrong(self, state: State) -> Sequence[str]:
        """Other steps that leave a wrong machine; none when done.

        turing: all of them; mealy: those with the right output alone, since an output is not kept.
        """
        if self.done(state):
            return ()
        right, true = state.program.rule(state.i, state.config), state.program.history[state.i + 1]
        found = ((text, self._rules[text]) for text in self.legal(state))
        return tuple(
            text
            for text, rule in found
            if rule != right
            and (self.kind == "turing" or rule.write == right.write)
            and state.program.after(state.i, state.config, rule) != true
        )

    def mend(self, state: State) -> str | None:
        """The step that leaves the true machine, from a wrong one; None where no step does or the right one does."""
        if self.done(state) or self.true(state):
            return None
        program, i, config = state
        true, right = program.history[i + 1], program.rule(i, config)
        truly = program.rule(i, program.history[i])
        write = truly.write if self.kind == "mealy" else true.tape[config.head]
        tries = (Rule(write, move, true.state) for move in ((1,) if self.kind == "mealy" else (1, -1)))
        found = [rule for rule in tries if program.after(i, config, rule) == true]
        return rule_text(self.kind, found[0]) if found and right not in found else None

    def true(self, state: State) -> bool:
        """Is the machine where an error-free run has it?"""
        return state.config == state.program.history[state.i]

    def fixes(self, state: State) -> bool:
        """The world tells the symbol under the actual head, not the true machine."""
        return False

    def distance(self, state: State) -> float:
        """Steps left."""
        return float(len(state.program.noise) - state.i)

    def opening(self, state: State) -> str:
        """The table, where it is shown (or misprinted), and the tape."""
        program = state.program
        rules = misprint(program) if self.table == "wrong" else program.rules
        table = table_text(self.kind, program.level, rules) + "\n" if self.table in ("shown", "wrong") else ""
        return table + "".join(map(str, program.tape)) + "\n"

    def says(self, state: State) -> str:
        """The table, half-way, where it comes late; the symbol under the head, or "!" where noise has raised it."""
        program, i, config = state
        if self.done(state):
            return ""
        late = self.table == "late" and i == len(program.noise) // 2
        table = table_text(self.kind, program.level, program.rules) + "\n" if late else ""
        symbol = str(program.read(i, config)) if self.head == "told" else "!" * program.noise[i]
        return f"{table}{symbol}="

    def belief(self, state: State) -> str:
        """The machine: its state before the cell it reads, "011A0100"."""
        _, _, (at, head, tape) = state
        cells = [*map(str, tape)]
        return "".join([*cells[:head], STATES[at], *cells[head:]])

    def show(self, state: State) -> str:
        """Table, tape and noise at the start; steps written, state, head, tape now."""
        program, i, (at, head, tape) = state
        table = ",".join(rule_text(self.kind, rule) for rule in program.rules)
        cells, noise, now = ("".join(map(str, digits)) for digits in (program.tape, program.noise, tape))
        return f"{table} {cells} {noise} {i} {STATES[at]} {head} {now}"

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        number = "(0|[1-9][0-9]?)"
        match = re.fullmatch(rf"([0-2A-FRL,]{{5,90}}) ([0-2]+) ([01]+) {number} ([A-F]) {number} ([0-2]+)", text)
        program = self._program(*match.group(1, 2, 3)) if match else None
        if match is None or program is None:
            raise BadText(f"{text!r} is no state of {self.name}: write table, tape, noise, step, state, head, tape")
        size, i, head = SIZES[program.level], int(match[4]), int(match[6])
        config = Config(STATES.index(match[5]), head, tuple(map(int, match[7])))
        fits = len(config.tape) == size.cells and max(config.tape) < size.symbols and head < size.cells
        if not fits or config.state >= size.states or i > len(program.noise):
            raise BadText(f"{text!r}: a machine of level {program.level} has {size.cells} cells, {size.states} states")
        state = State(program, i, config)
        if i == 0 and not self.true(state):
            raise BadText(f"{text!r}: the machine starts in A, at cell 0, on its tape")
        return state

    def _program(self, table: str, tape: str, noise: str) -> Program | None:
        rules = [self._rules.get(part) for part in table.split(",")]
        level = LEVEL_OF.get(len(tape))
        if level is None:
            return None
        size = SIZES[level]
        known = tuple(r for r in rules if r is not None and r.write < size.symbols and r.state < size.states)
        whole = len(known) == len(rules) == size.states * size.symbols and max(map(int, tape)) < size.symbols
        if not whole or len(noise) != size.cells * (2 if self.kind == "turing" else 1):
            return None
        return Program(self.kind, level, known, tuple(map(int, tape)), tuple(map(int, noise)))

    def write(self, action: str) -> str:
        """The step."""
        return action

    def parse(self, text: str) -> str | None:
        """A step of any machine."""
        return text if text in self._rules else None

    def rules(self) -> str:
        """The rules in words."""
        does = (
            "puts out a symbol, goes to a state, and moves to the next cell: 1B"
            if self.kind == "mealy"
            else "writes a symbol, moves right or left (R, L), and goes to a state: 1RB"
        )
        where = {
            "shown": "Its table is in the first line.",
            "wrong": "A table is in the first line; one entry of it is wrong.",
            "late": "Its table is told half-way.",
            "hidden": "Its table is not told.",
        }[self.table]
        told = "Before '=' you are told the symbol under the head." if self.head == "told" else ""
        noise = " A '!' says that the symbol under the head has just been raised by one." if self.noise else ""
        noise = "" if self.head == "told" else noise
        return (
            f"A machine on a ring of cells, starting in state A on the first cell, {does}. {where} An entry A0:... says"
            f" what state A does on symbol 0. {told}{noise} After each '=' write what the machine does."
        ).replace("  ", " ")

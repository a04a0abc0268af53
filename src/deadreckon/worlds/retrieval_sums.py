"""A running sum over numbers that are looked up: the task of long-horizon execution (Sinha et al. 2025).

The opening is a dictionary of five-letter words and numbers; every turn names some words, and the actor writes the sum
of all numbers so far::

    amber 47,brick -12,cloud 3:0        <- opening, ended by a newline
    amber cloud=50                      <- keys=2: two words a turn
    brick brick=26

Any total can be carried on from: a slip is local, the total stays wrong until the true one is written (a mend). So the
three accuracies of the source are readings: step accuracy (the update from what is written) is 1 - step_error, turn
accuracy (the total is the true one) is occupancy, task accuracy (every total up to here) is survival.

With dictionary=fixed all items of a level share a dictionary, which can be learned by heart (it is shown all the same).
With past=T the opening goes on with T turns already written, of which `wrong` per cent are false, the last one never.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import digits

import numpy as np

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.specs import between, known_only, one_of, read_option
from deadreckon.worlds.dictionary import (
    LARGEST,
    SIZES,
    WORDS,
    State,
    Task,
    draw_task,
    fixed_book,
    read_state,
    show_state,
    wrap,
)

MOST_KEYS, MOST_PAST = 8, 99
NEAR = tuple(sign * d * ten for ten in (1, 10) for d in range(1, 10) for sign in (1, -1))  # off by one digit, mostly
STYLES, BOOKS = ("plain", "padded"), ("drawn", "fixed")
SIGNED = tuple(f"{sign}{n:0{wide}d}" for wide in (1, 2) for sign in "+-" for n in range(10**wide))  # one symbol each


class RetrievalSums:
    """The world of looked-up sums; see the module's text."""

    levels = tuple(SIZES)
    alphabet = (*digits, *"+- ,:=>\n", *SIGNED, *WORDS, *(f"{word}=" for word in WORDS))
    end = "\n"
    width = 1 + len(str(LARGEST)) + 1
    belief_end = ">"

    def __init__(self, keys: int = 1, numbers: str = "plain", past: int = 0, wrong: int = 0, dictionary: str = "drawn"):
        """`keys` a turn; `past` turns of history, `wrong` per cent of them false; `dictionary`: an item's or a level's.

        BadOption outside the ranges.
        """
        for name, value, low, high in (
            ("keys", keys, 1, MOST_KEYS),
            ("past", past, 0, MOST_PAST),
            ("wrong", wrong, 0, 100),
        ):
            if not low <= value <= high:
                raise BadOption(f"retrieval_sums {name}={value}: give an integer from {low} to {high}")
        for name, choice, choices in (("numbers", numbers, STYLES), ("dictionary", dictionary, BOOKS)):
            if choice not in choices:
                raise BadOption(f"retrieval_sums {name}={choice!r}: choose from {', '.join(choices)}")
        if wrong and not past:
            raise BadOption(f"retrieval_sums wrong={wrong} is of a history: give past=1 or more")
        self.keys, self.numbers, self.past, self.errors = keys, numbers, past, wrong
        self.fixed = dictionary == "fixed"
        history = f"-past{past}-wrong{wrong}" if past else ""
        self.name = f"retrieval_sums-keys{keys}-{numbers}{'-fixed' * self.fixed}{history}-v1"
        self.levels = tuple(level for level, size in SIZES.items() if past < size.turns)
        self.belief_width = keys * 4 + 1 + self.width

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> RetrievalSums:
        """From a spec's options: keys, numbers, past, wrong, dictionary. BadOption otherwise."""
        known_only("retrieval_sums", options, ("keys", "numbers", "past", "wrong", "dictionary"))
        return cls(
            read_option("retrieval_sums", options, "keys", between(1, MOST_KEYS), 1),
            read_option("retrieval_sums", options, "numbers", one_of(*STYLES), "plain"),
            read_option("retrieval_sums", options, "past", between(0, MOST_PAST), 0),
            read_option("retrieval_sums", options, "wrong", between(0, 100), 0),
            read_option("retrieval_sums", options, "dictionary", one_of(*BOOKS), "drawn"),
        )

    def start(self, level: int, rng: np.random.Generator) -> State:
        """Words, numbers and keys uniform; the episode begins after the history, at the true total."""
        if level not in self.levels:
            raise BadOption(f"{self.name} has no level {level}: choose from {', '.join(map(str, self.levels))}")
        task = draw_task(SIZES[level], self.keys, self.past, self.errors / 100, rng, fixed=self.fixed)
        return State(task, self.past, task.totals[self.past])

    def allows(self, state: State, action: int) -> bool:
        """Any total, until the turns end."""
        return -LARGEST <= action <= LARGEST and state.i < len(state.task.plan)

    def step(self, state: State, action: int) -> State:
        """Carry on from the written total. IllegalAction where `allows` is False."""
        if not self.allows(state, action):
            left = len(state.task.plan) - state.i
            raise IllegalAction(f"{action} is no total in {self.show(state)!r}: write up to 6 digits, {left} are left")
        return State(state.task, state.i + 1, action)

    def done(self, state: State) -> bool:
        """Every turn is written."""
        return state.i == len(state.task.plan)

    def _next(self, state: State) -> int:
        return wrap(state.total + state.task.adds[state.i])

    def policy(self, state: State) -> Mapping[int, float]:
        """The one right total: it carries on from the written one."""
        return {self._next(state): 1.0}

    def wrong(self, state: State) -> Sequence[int]:
        """Totals off by 1 to 9 or by 10 to 90; never the mend; none when done."""
        if self.done(state):
            return ()
        right, true = self._next(state), state.task.totals[state.i + 1]
        return tuple(total for off in NEAR if (total := wrap(right + off)) != true)

    def mend(self, state: State) -> int | None:
        """The true total, from a wrong one."""
        return None if self.done(state) or self.true(state) else state.task.totals[state.i + 1]

    def true(self, state: State) -> bool:
        """Is the written total the true one?"""
        return state.total == state.task.totals[state.i]

    def fixes(self, state: State) -> bool:
        """The world tells words alone."""
        return False

    def distance(self, state: State) -> float:
        """Turns left."""
        return float(len(state.task.plan) - state.i)

    def kind(self, state: State, action: int) -> str:
        """Of an allowed total: "right", "mend", "retrieval" (right had one key had another's number) or "addition"."""
        task, off = state.task, wrap(action - self._next(state))
        if not off:
            return "right"
        if not self.true(state) and action == task.totals[state.i + 1]:
            return "mend"
        values = {*task.values}
        taken = {task.values[key] for key in task.plan[state.i]}
        return "retrieval" if any(value + off in values for value in taken) else "addition"

    def _number(self, task: Task, key: int) -> str:
        value = task.values[key]
        return str(value) if self.numbers == "plain" else f"{value:+0{len(str(task.size.largest)) + 1}d}"

    def opening(self, state: State) -> str:
        """The dictionary, the start total 0; then the history, a line a turn."""
        task = state.task
        gap = " " if self.numbers == "plain" else ""
        entries = [f"{word}{gap}{self._number(task, key)}" for key, word in enumerate(task.words)]
        lines = [f"{','.join(entries)}:{self.write(0)}"]
        lines += [f"{task.said[i]}={self.write(total)}" for i, total in enumerate(task.past)]
        return "\n".join(lines) + "\n"

    def says(self, state: State) -> str:
        """The words of the turn: "amber cloud="; "" when done."""
        return "" if self.done(state) else state.task.said[state.i] + "="

    def belief(self, state: State) -> str:
        """The numbers of the turn and the total they are added to: "47,3:0"; the total alone when done."""
        keys = () if self.done(state) else state.task.plan[state.i]
        return f"{','.join(self._number(state.task, key) for key in keys)}:{self.write(state.total)}"

    def show(self, state: State) -> str:
        """Dictionary, keys of the turns, history, turns written, total: "amber+4,... amber.brick,... - 3 17"."""
        return show_state(state)

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        state = read_state(text)
        if self.fixed and (state.task.words, state.task.values) != fixed_book(state.task.size):
            raise BadText(f"{text[:200]!r}: with dictionary=fixed every item of a level has the level's own dictionary")
        if len(state.task.past) != self.past or len(state.task.plan[0]) != self.keys:
            raise BadText(f"{text[:200]!r}: {self.name} has {self.keys} keys a turn, {self.past} turns of history")
        return state

    def write(self, action: int) -> str:
        """The total; padded: with its sign and four digits or more."""
        return str(action) if self.numbers == "plain" else f"{action:+05d}"

    def parse(self, text: str) -> int | None:
        """A whole number of at most six digits; a sign and zeros in front do not matter."""
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,6}", text) else None

    def rules(self) -> str:
        """The rules in words."""
        return (
            "A dictionary of words and numbers, then, after ':', the start total. Each line names words of it: after"
            " '=' write the running total, all numbers so far added up."
        )

"""Chaotic systems seen in cells: the logistic map, Henon's map, Lorenz's equations.

A transcript is the cells an orbit passes, a space after each: "017 034 069 " on the line, "0307 0510 " (column, row)
on the plane; the opening is the first cell, drawn from the invariant measure. The next cell is the action, its policy
the law of the next cell given this one (flow_table.py says how exact it is), and a level is a number of cells.

A cell that the attractor never meets is off the track: right from there is what is right from the nearest cell of the
attractor, so a right step always returns. Where the attractor meets every cell (logistic with r = 4) truth is
undefined, and an error is a step that the map cannot take. The noisy oracle slips off the attractor where it can, so
its track is a two-state chain that leaves with probability slip and returns with probability 1 - slip_wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Codes, Rows, nan
from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.specs import between, known_only, one_of, read_option
from deadreckon.worlds.flow_maps import MAPS, lyapunov
from deadreckon.worlds.flow_table import GRIDS, Table, cell_texts, table_of
from deadreckon.worlds.markov_law import Law, Vector, entropy_rate
from deadreckon.worlds.tabled import Tabled

LENGTH, LONGEST = 64, 1_000_000
SYSTEMS = {
    "logistic": "the logistic map x' = {r:g} x (1 - x)",
    "henon": "Henon's map x' = 1 - 1.4 x^2 + y, y' = 0.3 x",
    "lorenz": "Lorenz's equations (10, 28, 8/3), every 0.1 time units",
}


class State(NamedTuple):
    """The cell and the number of cells written so far."""

    level: int
    cell: int
    steps: int


class Flows(Tabled):
    """The world of chaotic systems; see the module's text."""

    levels = (1, 2, 3)
    end = " "
    width = 1
    belief_end = ">"
    belief_width = 2

    def __init__(self, system: str = "logistic", r: float = 4.0, length: int = LENGTH):
        """`r`: of the logistic map; `length`: cells of an episode. BadOption outside the ranges."""
        if system not in MAPS:
            raise BadOption(f"flows map={system!r}: choose from {', '.join(MAPS)}")
        if not 2.5 <= r <= 4.0 or (system != "logistic" and r != 4.0):
            raise BadOption(f"flows r={r:g}: give 2.5 to 4, to map=logistic alone")
        if not 1 <= length <= LONGEST:
            raise BadOption(f"flows length={length}: give 1 to {LONGEST} cells")
        self.system, self.r, self.length = system, r, length
        unusual = [f"-r{r!r}"] * (r != 4.0) + [f"-length{length}"] * (length != LENGTH)
        self.name = f"flows-{system}{''.join(unusual)}-v1"
        self._texts = cell_texts(system, GRIDS[system][max(self.levels)])
        self.alphabet = (*(text + " " for text in self._texts), ">")
        self._codes = {text: code for code, text in enumerate(self._texts)}
        self._written = (*self._texts, "")  # -1 is the last

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Flows:
        """From a spec's options: map, r, length. BadOption otherwise."""
        known_only("flows", options, ("map", "r", "length"))
        return cls(
            read_option("flows", options, "map", one_of(*MAPS), "logistic"),
            read_option("flows", options, "r", float, 4.0),
            read_option("flows", options, "length", between(1, LONGEST), LENGTH),
        )

    def _table(self, level: int) -> Table:
        if level not in self.levels:
            raise BadOption(f"flows has no level {level}: choose from {', '.join(map(str, self.levels))}")
        return table_of(self.system, self.r, level)

    def law(self, level: int) -> Law:
        """The law over the level's cells, for the closed forms of `markov_law`."""
        return self._table(level).law

    def support(self, level: int) -> NDArray[np.bool_]:
        """Which cells the attractor meets: (cells,)."""
        return self._table(level).support.copy()

    def measure(self, level: int) -> Vector:
        """The invariant measure of each cell: (cells,), sums to 1."""
        return self._table(level).start.copy()

    def entropy_rate(self, level: int) -> float:
        """Nats per cell of error-free text: the floor of a learner's loss."""
        return entropy_rate(self._table(level).inner)

    def lyapunov(self) -> float:
        """The largest Lyapunov exponent, nats per cell (lorenz: per time unit): ln 2 for r = 4, else measured."""
        return log(2) if self.system == "logistic" and self.r == 4.0 else lyapunov(self.system, self.r)

    def start(self, level: int, rng: np.random.Generator) -> State:
        """A cell from the invariant measure."""
        cdf = np.cumsum(self._table(level).start)
        return State(level, int(np.searchsorted(cdf / cdf[-1], rng.random(), side="right")), 0)

    def legal(self, state: State) -> Sequence[str]:
        """Every cell of the level; none when done."""
        return () if self.done(state) else tuple(self._table(state.level).texts)

    def allows(self, state: State, action: str) -> bool:
        """As `legal`."""
        return state.steps < self.length and action in table_of(self.system, self.r, state.level).index

    def step(self, state: State, action: str) -> State:
        """On to the cell. IllegalAction where `allows` is False."""
        if not self.allows(state, action):
            left, cells = self.length - state.steps, self._table(state.level).texts
            raise IllegalAction(
                f"{action!r} is no cell in {self.show(state)!r}: write {cells[0]} to {cells[-1]}, {left} are left"
            )
        cell = table_of(self.system, self.r, state.level).index[action]
        return State(state.level, cell, state.steps + 1)

    def done(self, state: State) -> bool:
        """`length` cells are written."""
        return state.steps >= self.length

    def policy(self, state: State) -> Mapping[str, float]:
        """The law of the next cell."""
        return table_of(self.system, self.r, state.level).policies[state.cell]

    def wrong(self, state: State) -> Sequence[str]:
        """Cells off the attractor; where there are none, those that no step leads to; none when done."""
        return () if self.done(state) else self._table(state.level).wrong[state.cell]

    def mend(self, state: State) -> str | None:
        """None: the way back is in the law itself."""
        return None

    def true(self, state: State) -> bool | None:
        """Does the attractor meet the cell? None where it meets all of them."""
        table = self._table(state.level)
        return None if table.support.all() else bool(table.support[state.cell])

    def fixes(self, state: State) -> bool:
        """The world tells nothing."""
        return False

    def distance(self, state: State) -> float:
        """Cells left; nan where truth is undefined: the text leads nowhere."""
        return nan if self.true(state) is None else float(self.length - state.steps)

    def opening(self, state: State) -> str:
        """The first cell."""
        return self.belief(state)

    def says(self, state: State) -> str:
        """Nothing."""
        return ""

    def belief(self, state: State) -> str:
        """The cell."""
        return self._table(state.level).texts[state.cell] + " "

    def show(self, state: State) -> str:
        """Level, cell, cells written: "1 0307 17"."""
        return f"{state.level} {self._table(state.level).texts[state.cell]} {state.steps}"

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        match = re.fullmatch(r"([1-3]) ([0-9]{3,4}) (0|[1-9][0-9]{0,6})", text)
        cells = self._table(int(match[1])).index if match else {}
        if match is None or match[2] not in cells or int(match[3]) > self.length:
            example = f"1 {self._texts[0]} 0"
            raise BadText(f"{text!r} is no state of {self.name}: write level, cell, cells written, as {example!r}")
        return State(int(match[1]), cells[match[2]], int(match[3]))

    def write(self, action: str) -> str:
        """The cell."""
        return action

    def parse(self, text: str) -> str | None:
        """A cell of any level."""
        return text if text in self._codes else None

    def rules(self) -> str:
        """The system in words."""
        cells = "numbered along the line" if self.system == "logistic" else "named by two digits of column, two of row"
        seen = " of which x and z are seen" if self.system == "lorenz" else ""
        return (
            f"The cells that an orbit of {SYSTEMS[self.system].format(r=self.r)} passes{seen}; cells are {cells}."
            " Continue it as it would go on by itself, one cell at a time."
        )

    # --- The same on arrays. A row is (level, cell, cells written). ---

    def pack(self, states: Sequence[State]) -> Rows:
        """(n, 3). BadOption where levels are mixed."""
        levels = {state.level for state in states}
        if len(levels) != 1:
            raise BadOption(f"levels {sorted(levels)} in one batch of {self.name}: pack one level at a time")
        return np.array(states, np.int64)

    def unpack(self, rows: Rows) -> list[State]:
        """Inverse of `pack`."""
        return [State(*row) for row in rows.tolist()]

    def _batch_table(self, rows: Rows) -> Table:
        return self._table(int(rows[0, 0]) if len(rows) else 1)

    def batch_true(self, rows: Rows) -> NDArray[np.int8]:
        """`true` of each row."""
        support = self._batch_table(rows).support
        return np.full(len(rows), -1, np.int8) if support.all() else support[rows[:, 1]].astype(np.int8)

    def batch_distance(self, rows: Rows) -> NDArray[np.float64]:
        """`distance` of each row."""
        return np.where(self.batch_true(rows) < 0, nan, self.length - rows[:, 2])

    def batch_allows(self, rows: Rows, codes: Codes) -> NDArray[np.bool_]:
        """`allows` of each row and its code."""
        cells = self._batch_table(rows).cell_of[np.clip(codes, -1, len(self._texts))]
        return (cells >= 0) & ~self.batch_done(rows)

    def batch_step(self, rows: Rows, codes: Codes) -> Rows:
        """`step` of each row."""
        return np.stack([rows[:, 0], self._batch_table(rows).cell_of[codes], rows[:, 2] + 1], axis=1)

    def batch_show(self, rows: Rows) -> list[str]:
        """`show` of each row."""
        texts = self._batch_table(rows).texts
        return [f"{level} {texts[cell]} {steps}" for level, cell, steps in rows.tolist()]

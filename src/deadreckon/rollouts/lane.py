"""The batched lane: a batched world, all rollouts of a part at once on arrays.

It gives the plain loop's table byte for byte, an order of magnitude faster. What is `judge`, `Loop` and
`FromState` there is a few array expressions here, in the same order of operations. Who acts is a subclass:
a privileged model here, a network in textlane.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deadreckon.contracts import BatchWorld, Codes, Event, Forced, OnError, Privileged, Rows, Stop
from deadreckon.rollouts.recorders import F64, Laws, entropy, kl_pq, kl_qp, right_mass, row_sum, running_sum
from deadreckon.rollouts.sheet import Index, Sheet, distinct
from deadreckon.rollouts.spec import RollSpec
from deadreckon.rollouts.table import Coded, Origin, build
from deadreckon.seeds import U64, Purpose, blocks, pick

Bools = NDArray[np.bool_]

EVENTS = [e.value for e in Event]
RIGHT, MEND, SLIP, ILLEGAL, UNPARSED = range(5)
assert [e.value for e in (Event.RIGHT, Event.MEND, Event.SLIP, Event.ILLEGAL, Event.UNPARSED)] == EVENTS[:5]
STOPS = [s.value for s in Stop]
FAULTS = ["context"]
FORCED = ["", *(f.value for f in Forced)]
CODED: dict[str, list[str] | list[bool]] = {
    "event": EVENTS,
    "true_state": [False, True],
    "goal_open": [False, True],
    "forced": FORCED,
    "stop": STOPS,
    "fault_code": FAULTS,
}
SAME = {"thought": "", "parse": "strict"}  # in every row
NO_LAW = ("logp", "entropy", "kl_pq", "kl_qp", "illegal_mass", "right_mass")


@dataclass(frozen=True)
class Crowd:
    """The rollouts under way at one step: (n,) each. What follows from the state alone is found once for each state."""

    number: Index  # among the part's rollouts
    hash: U64
    rollout: Index
    rows: Rows  # (n, w)
    states: Rows  # (m, w): the distinct rows, and perhaps others
    which: Index  # rows = states[which]
    policy: tuple[Codes, F64]  # `batch_policy` of the states

    def at(self, index: Index) -> Crowd:
        """Those at these indices."""
        number, hash_, rollout = self.number[index], self.hash[index], self.rollout[index]
        return Crowd(number, hash_, rollout, self.rows[index], self.states, self.which[index], self.policy)


@dataclass(frozen=True)
class Taken:
    """The actions of one step, whose they are, and the columns of the law they came from."""

    codes: Codes  # -1: not an action
    forced: str
    law: dict[str, F64]
    tokens: Index | int = 1  # sampled
    texts: tuple[Sequence[str], Index] | None = None  # as they were written: texts[0][texts[1]]; None: by their codes


class Lane(ABC):
    """One spec's world on arrays."""

    def __init__(self, world: BatchWorld[Any, Any], spec: RollSpec):
        """`spec.world` loaded."""
        self.world, self.spec = world, spec
        self.sheet = Sheet()

    @abstractmethod
    def ask(self, crowd: Crowd, t: int) -> list[tuple[Crowd, Taken]]:
        """The model's own actions; rollouts that it cannot answer are left out, their last rows written."""

    def heard(self, crowd: Crowd, taken: Taken, replaced: Codes) -> None:  # noqa: B027  a model that is shown states
        """These actions stand in the transcripts now, or those that replaced them."""

    def draw(self, crowd: Crowd, t: int, purpose: Purpose) -> F64:
        """One uniform for each rollout at step t."""
        u: F64 = blocks(self.spec.seed, crowd.hash, t, crowd.rollout, purpose)[:, 0]
        return u

    def oracle(self, crowd: Crowd, t: int) -> Codes:
        """The oracle's choice among right actions."""
        codes, p = crowd.policy
        index = pick(running_sum(p)[crowd.which], self.draw(crowd, t, Purpose.ORACLE))
        chosen: Codes = codes[crowd.which, index]
        return chosen

    def wrong(self, crowd: Crowd, t: int) -> Codes:
        """The error an intervention injects, -1 where every action is right."""
        wrong = self.world.batch_wrong(crowd.rows)
        if wrong.shape[1] == 0:
            return np.full(len(wrong), -1, np.int64)
        count = (wrong >= 0).sum(axis=1)
        index = (self.draw(crowd, t, Purpose.INJECT) * count).astype(np.int64)
        chosen: Codes = wrong[np.arange(len(wrong)), np.clip(index, 0, np.maximum(count - 1, 0))]
        return chosen

    def take(self, crowd: Crowd, t: int) -> list[tuple[Crowd, Taken]]:
        """Who acts at step t, and how: every rollout once."""
        none: dict[str, F64] = {}
        if t == self.spec.inject:
            codes = self.wrong(crowd, t)
            can, cannot = np.flatnonzero(codes >= 0), np.flatnonzero(codes < 0)
            groups = [(crowd.at(can), Taken(codes[can], Forced.INJECTED.value, none, 0))] if len(can) else []
            return groups + (self.ask(crowd.at(cannot), t) if len(cannot) else [])
        if t < self.spec.heal:
            return [(crowd, Taken(self.oracle(crowd, t), Forced.HEALED.value, none, 0))]
        return self.ask(crowd, t)

    def step(self, crowd: Crowd, t: int, taken: Taken) -> tuple[Index, Rows]:
        """Write the step down; the rollouts that go on (by number), and their states after these actions."""
        world, n = self.world, len(crowd.rows)
        event, after = self._judge(crowd, taken.codes)
        replaced = self._replace(crowd, t, taken, event, after)
        true, distance = world.batch_true(after), world.batch_distance(after)
        stop = self._stop(event, after, distance, t)
        self.sheet.add(
            {
                "number": crowd.number,
                "t": np.full(n, t),
                "event": event,
                "true_state": true,
                "goal_open": np.where(np.isnan(distance), -1, np.isfinite(distance)),
                "fix": world.batch_fixes(crowd.states)[crowd.which],
                "forced": np.full(n, FORCED.index(taken.forced)),
                "stop": stop,
                "fault_code": np.full(n, -1),
                "tokens": np.full(n, taken.tokens),
                "asks": np.full(n, 0 if taken.forced else 1),
                **{name: taken.law.get(name, np.full(n, np.nan)) for name in NO_LAW},
            }
        )
        self.sheet.write("state", world.batch_show(crowd.states), crowd.which)
        self.sheet.write("action", *(taken.texts or self.written(taken.codes)))
        some, which = np.unique(replaced, return_inverse=True)
        self.sheet.write("taken", world.batch_write(some), np.where(replaced < 0, -1, which))
        self.heard(crowd, taken, replaced)
        on = stop < 0
        return crowd.number[on], after[on]

    def written(self, codes: Codes) -> tuple[list[str], Index]:
        """The distinct texts of these actions, and which each is."""
        some, which = np.unique(codes, return_inverse=True)
        return self.world.batch_write(some), which

    def _replace(self, crowd: Crowd, t: int, taken: Taken, event: Index, after: Rows) -> Codes:
        """Put `after` where the rule of the run says; the oracle's actions where it replaced the model's, else -1."""
        error = event >= SLIP
        replaced = np.full(len(event), -1, np.int64)
        if self.spec.on_error is OnError.SKIP:
            after[error] = crowd.rows[error]
        elif self.spec.on_error is OnError.REPAIR and not taken.forced and (self.spec.teach or error.any()):
            index = np.arange(len(event)) if self.spec.teach else np.flatnonzero(error)
            replaced[index] = self.oracle(crowd.at(index), t)
            after[index] = self.world.batch_step(crowd.rows[index], replaced[index])
        return replaced

    def _judge(self, crowd: Crowd, codes: Codes) -> tuple[Index, Rows]:
        """The events, and the states the actions themselves lead to (unchanged where not allowed)."""
        world, rows = self.world, crowd.rows
        named = codes >= 0
        allowed = world.batch_allows(rows, codes) if named.all() else np.zeros(len(rows), np.bool_)
        if not named.all() and named.any():
            allowed[named] = world.batch_allows(rows[named], codes[named])
        if allowed.all():
            after = world.batch_step(rows, codes)
        else:
            after = rows.copy()
            after[allowed] = world.batch_step(rows[allowed], codes[allowed])
        right, p = crowd.policy
        is_right = ((right[crowd.which] == codes[:, None]) & (p > 0.0)[crowd.which]).any(axis=1)
        mend = (world.batch_true(rows) == 0) & (world.batch_true(after) == 1)
        event = np.where(is_right, RIGHT, np.where(mend, MEND, SLIP))
        return np.where(allowed, event, np.where(named, ILLEGAL, UNPARSED)), after

    def _stop(self, event: Index, after: Rows, distance: F64, t: int) -> Index:
        """Index into STOPS, -1 where the rollout goes on."""
        broken = np.zeros(len(event), np.bool_)
        if self.spec.on_error is OnError.STOP:
            broken = event >= SLIP
        elif self.spec.on_error is OnError.ACCEPT:
            broken = event >= ILLEGAL
        last = STOPS.index(Stop.HORIZON) if t + 1 == self.spec.horizon else -1
        stop = np.where(np.isinf(distance), STOPS.index(Stop.LOST), last)
        stop = np.where(self.world.batch_done(after), STOPS.index(Stop.DONE), stop)
        return np.where(broken, STOPS.index(Stop.BROKEN), stop)


class OracleLane(Lane):
    """A privileged model, which is handed the states."""

    def __init__(self, world: BatchWorld[Any, Any], model: Privileged, spec: RollSpec):
        """`spec.world` and `spec.model` loaded."""
        super().__init__(world, spec)
        self.model = model

    def ask(self, crowd: Crowd, t: int) -> list[tuple[Crowd, Taken]]:
        """Its own draws from its law."""
        return [(crowd, self._own(crowd, t))]

    def _own(self, crowd: Crowd, t: int) -> Taken:
        states, which = crowd.states, crowd.which
        codes, q = self.model.batch_law(self.world, states)
        index = pick(running_sum(q).T.take(which, axis=1).T, self.draw(crowd, t, Purpose.ACT))
        p = aligned(codes, *crowd.policy)
        laws = Laws.of(p, q, np.zeros(len(states)))
        other = (codes >= 0) & (p <= 0.0)
        first = codes[np.arange(len(states)), other.argmax(axis=1)]
        bad = other.any(axis=1) & ~self.world.batch_allows(states, first)
        illegal = row_sum(np.where(other & bad[:, None], q, 0.0))
        values = (entropy(laws), kl_pq(laws), kl_qp(laws), illegal, right_mass(laws))
        found = (np.log(q[which, index]), *(value[which] for value in values))
        return Taken(codes[which, index], "", dict(zip(NO_LAW, found, strict=True)))


def aligned(codes: Codes, right: Codes, p: F64) -> F64:
    """The probabilities p of the right actions (m, r) in the order of a law's codes (m, k)."""
    out = np.zeros_like(codes, dtype=np.float64)
    for r in range(right.shape[1]):
        np.copyto(out, p[:, r : r + 1], where=(codes == right[:, r : r + 1]) & (codes >= 0))
    return out


def run_lane(lane: Lane, origin: Origin, items: Sequence[tuple[int, int]], starts: Sequence[Any]) -> pl.DataFrame:
    """The step table of these items, given as (item, hash64) with their start states."""
    world, repeats = lane.world, lane.spec.repeats
    item = np.repeat(np.array([item for item, _ in items], np.int64), repeats)
    key = np.repeat(np.array([key for _, key in items], np.uint64), repeats)
    rollout = np.tile(np.arange(repeats), len(items))
    number: Index = np.arange(len(item))
    rows: Rows = np.repeat(world.pack(starts), repeats, axis=0)
    for t in range(lane.spec.horizon):
        states, which = distinct(rows)
        crowd = Crowd(number, key[number], rollout[number], rows, states, which, world.batch_policy(states))
        going = [lane.step(some, t, taken) for some, taken in lane.take(crowd, t)]
        if not sum(len(some) for some, _ in going):
            break
        number, rows = (np.concatenate(parts) for parts in zip(*going, strict=True))
    numbers, texts = lane.sheet.columns(len(item))
    number = numbers.pop("number").astype(np.int64)
    coded = {name: Coded(numbers.pop(name).astype(np.int64), values) for name, values in CODED.items()}
    same = {name: Coded(np.zeros(len(number), np.int64), [value]) for name, value in SAME.items()}
    places = {"item": item[number], "rollout": rollout[number]}
    return build(origin, {**numbers, **texts, **coded, **same, **places})

"""The exact oracle, and a noisy one with known rates: the instrument's test sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import BatchWorld, Codes, Privileged, Rows, World
from deadreckon.errors import BadOption
from deadreckon.specs import read_options

S = TypeVar("S")
A = TypeVar("A")

CAPACITY = 65536  # rollouts in flight: only memory limits an oracle


class Oracle(Privileged):
    """Draws from the world's exact policy: never errs."""

    seed = None
    capacity = CAPACITY

    def __init__(self) -> None:
        """No options."""
        self.name = "oracle"
        self.identity: Mapping[str, str] = {"engine": "oracle", "dtype": "float64", "numpy": np.__version__}

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Oracle:
        """From a spec's options: there are none. BadOption otherwise."""
        read_options("oracle", options, {})
        return cls()

    def law(self, world: World[S, A], state: S) -> Mapping[A, float]:
        """The policy itself."""
        return world.policy(state)

    def batch_law(self, world: BatchWorld[S, A], rows: Rows) -> tuple[Codes, NDArray[np.float64]]:
        """The policies themselves."""
        return world.batch_policy(rows)


class NoisyOracle(Privileged):
    """An oracle that slips and recovers at known rates.

    On track (the state is true, or undefined, or the world has just given the truth away):
    ``(1 - slip) * policy + slip * uniform(wrong)``. Off track: the mend with probability `recover` (none where
    the world has no mend), a wrong action with probability `slip_wrong`, else the policy from the wrong state.

    So in a world with a mend everywhere the track is a two-state chain with error rate h = slip and recovery
    rate g = recover, first-error survival (1-h)^n and occupancy tending to g / (g + h); ``slip_wrong > slip``
    plants self-conditioning.
    """

    seed = None
    capacity = CAPACITY

    def __init__(self, slip: float = 0.02, recover: float = 0.0, slip_wrong: float | None = None):
        """Rates per step in [0, 1]; slip_wrong = slip where not given. BadOption outside, or if off-track > 1."""
        self.slip, self.recover = slip, recover
        self.slip_wrong = slip if slip_wrong is None else slip_wrong
        for name, rate in (("slip", slip), ("recover", recover), ("slip_wrong", self.slip_wrong)):
            if not 0.0 <= rate <= 1.0:
                raise BadOption(f"noisy-oracle {name}={rate}: give a probability per step between 0 and 1")
        if recover + self.slip_wrong > 1.0:
            total = recover + self.slip_wrong
            raise BadOption(f"noisy-oracle recover + slip_wrong = {total:g}: they share one step, keep the sum <= 1")
        extra = "" if slip_wrong is None else f",slip_wrong={slip_wrong:g}"
        self.name = f"noisy-oracle:slip={slip:g},recover={recover:g}{extra}"
        self.identity: Mapping[str, str] = {"engine": "noisy-oracle", "dtype": "float64", "numpy": np.__version__}

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> NoisyOracle:
        """From a spec's options slip, recover, slip_wrong (probabilities). BadOption otherwise."""
        return cls(**read_options("noisy-oracle", options, {"slip": float, "recover": float, "slip_wrong": float}))

    def law(self, world: World[S, A], state: S) -> Mapping[A, float]:
        """Right actions first, then wrong ones, then the mend."""
        off = world.true(state) is False and not world.fixes(state)
        slip = self.slip_wrong if off else self.slip
        wrong = world.wrong(state) if slip > 0.0 else ()
        slip = slip if wrong else 0.0
        mend = world.mend(state) if off and self.recover > 0.0 else None
        recover = 0.0 if mend is None else self.recover
        law = {action: (1.0 - slip - recover) * p for action, p in world.policy(state).items()}
        if wrong:
            law.update(dict.fromkeys(wrong, slip / len(wrong)))
        if mend is not None:
            law[mend] = recover
        return law

    def batch_law(self, world: BatchWorld[S, A], rows: Rows) -> tuple[Codes, NDArray[np.float64]]:
        """`law` of each row, in the same order and with the same floating-point operations."""
        off = (world.batch_true(rows) == 0) & ~world.batch_fixes(rows)
        right, p = world.batch_policy(rows)
        wrong, mend = world.batch_wrong(rows), world.batch_mend(rows)
        count = (wrong >= 0).sum(axis=1)
        slip = np.where(off, self.slip_wrong, self.slip)
        slip[count == 0] = 0.0
        recover = np.where(off & (mend >= 0), self.recover, 0.0)
        share = np.where(wrong >= 0, (slip / np.maximum(count, 1))[:, None], 0.0)
        codes = np.concatenate([right.T, wrong.T, np.where(recover > 0.0, mend, -1)[None]])
        probs = np.concatenate([(1.0 - slip - recover) * p.T, share.T, recover[None]])
        return codes.T, probs.T  # an action's column is contiguous: fast for whoever sums over actions

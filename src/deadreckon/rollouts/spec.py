"""What is run: every fact that a step table depends on, and nothing else (batch size and workers are not in it)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from deadreckon.contracts import Model, OnError, Privileged
from deadreckon.errors import BadOption

MAX_STEPS = 100_000
PRIVILEGED_ROLLOUTS = 4096  # in one part: bounds the memory of the batched lane


@dataclass(frozen=True, slots=True)
class RollSpec:
    """A run's specification. BadOption where a value is out of range.

    `heal`: steps 0 ... heal-1 are the oracle's. `inject`: at this step a wrong action is forced. Both are
    declared interventions; with them `on_error` says what the world does after *any* error, the injected one too.
    `teach`: the oracle's action enters context and state at every step, right or wrong, and the model's attempt is
    judged there. Under repair alone it replaces errors only, so where several actions are right the contexts are
    still of the model's own choosing.
    """

    world: str
    level: int
    model: str
    scaffold: str = "plain"
    items: int = 64
    repeats: int = 1
    horizon: int = 100
    seed: int = 0
    on_error: OnError = OnError.ACCEPT
    temperature: float = 1.0
    heal: int = 0
    inject: int | None = None
    teach: bool = False
    law: bool = True  # record the exact law's columns (kl_pq, kl_qp, right_mass, illegal_mass) where the model can
    part_items: int = 0  # items in one part; 0 = by the kind of model
    prompt: str = "transcript"  # how the world speaks to the model: transcript, text or chat, see prompting.py

    def __post_init__(self) -> None:
        """Check ranges; a rule may be given by its name."""
        if self.on_error not in set(OnError):
            raise BadOption(f"on_error={self.on_error!r}: choose from {', '.join(OnError)}")
        object.__setattr__(self, "on_error", OnError(self.on_error))
        for name, low, high in (
            ("items", 1, 10_000_000),
            ("repeats", 1, 1_000_000),
            ("horizon", 1, MAX_STEPS),
            ("seed", 0, 2**63),
            ("heal", 0, self.horizon),
            ("part_items", 0, 1_000_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise BadOption(f"{name}={value}: give {low} to {high}")
        if not 0.0 <= self.temperature <= 100.0:
            raise BadOption(f"temperature={self.temperature}: give 0 (greedy) to 100")
        if self.teach and self.on_error is not OnError.REPAIR:
            raise BadOption(f"teach with on_error={self.on_error.value}: nothing wrong can go on, use repair")
        if self.inject is not None:
            if not 0 <= self.inject < self.horizon:
                raise BadOption(f"inject={self.inject}: give a step from 0 to {self.horizon - 1}, within the horizon")
            if self.on_error in (OnError.STOP, OnError.REPAIR):
                raise BadOption(
                    f"inject with on_error={self.on_error.value}: the error would be undone, use accept or skip"
                )

    def json(self) -> dict[str, str | int | float | bool | None]:
        """As JSON scalars; the default prompt is left out, as it was before there were others."""
        fields = asdict(self)
        fields["on_error"] = self.on_error.value
        if self.prompt == "transcript":
            del fields["prompt"]
        return fields

    def parts(self, model: Model) -> int:
        """Items in one part: fixed by the spec and the kind of model, so that parts are the same files everywhere."""
        if self.part_items:
            return self.part_items
        rollouts = PRIVILEGED_ROLLOUTS if isinstance(model, Privileged) else model.capacity
        return max(1, rollouts // self.repeats)

    def run(self, weights: str = "") -> str:
        """The run's name: a hash of the spec (and of the weights it names), without batch and workers."""
        return hashlib.sha256(json.dumps([self.json(), weights], sort_keys=True).encode()).hexdigest()[:16]

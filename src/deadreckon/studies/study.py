"""What a study hands to the report: its claim, the rule that judges it, and everything the verdict stands on.

A study is a claim, its arms, its controls and the rules that judge it, written before the data. These classes
hold what came out; the report draws them and computes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from deadreckon.contracts import Finding, Reading


@dataclass(frozen=True, slots=True)
class ArmResult:
    """The readings of one arm: one model, run one way, in one world."""

    name: str
    role: Literal["arm", "control"]
    world: str  # a spec that loads it again: "sums:k=8"
    level: int | None  # None: not of a world with levels
    model: str  # likewise: "shipped:sums-clean"
    scaffold: str
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """A control's verdict: did the instrument see what was planted?"""

    name: str
    passed: bool
    because: str  # the figures


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """One step of a replayed rollout: a row of the step table, with the right actions beside it."""

    t: int
    state: str  # the actual state before the step, as `World.show` writes it
    says: str  # what the world added before the turn; "" = nothing
    action: str  # as the model wrote it
    event: str  # "" = nobody can judge it
    true_state: bool | None  # whether the step leads to the state of an error-free history; None = undefined
    forced: str  # "" = the model's own
    logp: float  # nats of the action as sampled; nan = unknown
    right: tuple[str, ...]  # the right actions, as the world writes them
    thought: str = ""


@dataclass(frozen=True, slots=True)
class Replay:
    """One rollout, step by step."""

    world: str  # a spec that loads it again
    level: int
    model: str
    title: str
    rows: tuple[ReplayStep, ...]
    stop: str = ""  # why it ended; "" = not recorded


@dataclass(frozen=True, slots=True)
class Said:
    """A plain sentence, and the readings whose figures it gives."""

    text: str
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One part of the claim, judged on its own."""

    name: str  # asked as a question: "Is the failure rate constant?"
    finding: Finding


@dataclass(frozen=True, slots=True)
class StudyResult:
    """A judged study: the verdict, what it stands on, and how to get it again."""

    name: str
    claim: str
    rules: str  # how it is judged, written before the data
    finding: Finding
    questions: tuple[Question, ...]
    arms: tuple[ArmResult, ...]
    checks: tuple[Check, ...]
    replays: tuple[Replay, ...]
    provenance: Mapping[str, str]  # what was run and with what: versions, seeds, model hashes, the command
    summary: tuple[Said, ...] = ()  # in plain words

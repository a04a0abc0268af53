"""What a server was found to do: checks, and what each instrument may make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from deadreckon.contracts import Json


class Status(StrEnum):
    """The outcome of one check."""

    OK = "ok"
    FAIL = "fail"  # the server says or does something that is not so
    NO = "no"  # it refuses openly, or does not offer this
    SUSPECT = "suspect"  # seen, but an honest cause is possible
    UNKNOWN = "unknown"  # cannot be told from here


@dataclass(frozen=True, slots=True)
class Seen:
    """One check's outcome and what was seen."""

    status: Status
    saw: str


def ok(saw: str = "") -> Seen:
    """As promised."""
    return Seen(Status.OK, saw)


def fail(saw: str) -> Seen:
    """Not as promised."""
    return Seen(Status.FAIL, saw)


def no(saw: str) -> Seen:
    """Refused openly."""
    return Seen(Status.NO, saw)


def suspect(saw: str) -> Seen:
    """Odd."""
    return Seen(Status.SUSPECT, saw)


def unknown(saw: str) -> Seen:
    """Cannot be told."""
    return Seen(Status.UNKNOWN, saw)


def judged(good: bool, saw: str, otherwise: str) -> Seen:
    """Ok with `saw`, or a failure with `otherwise`."""
    return ok(saw) if good else fail(otherwise)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an instrument may be used on this server, and why not."""

    instrument: str
    usable: bool
    why: str


CORE = (
    "model",
    "max_tokens",
    "finish reason",
    "stop",
    "every stop",
    "usage",
    "whole prompt",
    "whole text",
    "no penalty",
)
STOPS = ("stop", "every stop")  # a conversation's answers end by themselves: it sends no stop string
DRAWS = ("draws differ", "fresh draws", "temperature")
LOGPROBS = ("logprobs", "a logprob a token", "chosen token", "best token", "mass", "top count", "top order")
LAWS = (*LOGPROBS, "same at any count", "draws follow logprobs")
ECHO = ("echo", "echo aligned")

INSTRUMENTS = {
    "survival, hazard, horizons, recovery": (*CORE, *DRAWS),
    "greedy rollouts": CORE,
    "votes": (*CORE, *DRAWS),
    "logp, calibration": LAWS,
    "KL, right mass": (*LAWS, *ECHO),
    "replay": ("greedy", "seed", "same in a crowd"),
    "cost": ("usage",),
}


def relied_on(names: Sequence[str], endpoint: str) -> list[str]:
    """Those of these checks that a run on this endpoint relies on."""
    return [name for name in names if endpoint != "chat" or name not in STOPS]


@dataclass(frozen=True, slots=True)
class Contract:
    """All that was seen on one endpoint."""

    url: str
    model: str
    endpoint: str
    checks: dict[str, Seen]
    facts: dict[str, str] = field(default_factory=dict)

    def failed(self, names: Sequence[str], bad: Sequence[Status] = (Status.FAIL,)) -> list[str]:
        """Those of these checks that were made and came out badly."""
        return [name for name in names if name in self.checks and self.checks[name].status in bad]

    def passed(self, *names: str) -> bool:
        """Whether all of these checks were made and are ok."""
        return all(name in self.checks and self.checks[name].status is Status.OK for name in names)

    def verdicts(self) -> list[Verdict]:
        """One an instrument."""
        return [self._verdict(one, relied_on(names, self.endpoint)) for one, names in INSTRUMENTS.items()]

    def _verdict(self, instrument: str, names: Sequence[str]) -> Verdict:
        failed = self.failed(names, (Status.FAIL, Status.NO))
        if failed and failed[0] in ECHO and self.passed("logprobs"):
            return Verdict(instrument, False, f"{self.facts.get('top')} only, and {self.checks[failed[0]].saw}")
        if failed:
            return Verdict(instrument, False, f"{failed[0]}: {self.checks[failed[0]].saw}")
        open_ = self.failed(names, (Status.SUSPECT, Status.UNKNOWN))
        return Verdict(instrument, True, f"not settled: {', '.join(open_)}" if open_ else "")

    def json(self) -> Json:
        """As a run records it."""
        return {
            "url": self.url,
            "model": self.model,
            "endpoint": self.endpoint,
            "facts": self.facts,
            "checks": {name: {"status": seen.status.value, "saw": seen.saw} for name, seen in self.checks.items()},
            "verdicts": {v.instrument: {"usable": v.usable, "why": v.why} for v in self.verdicts()},
        }

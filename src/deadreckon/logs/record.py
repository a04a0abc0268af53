"""What every reader yields: one `Record` a run, whatever tool wrote it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from deadreckon.contracts import Event, Stop, nan


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a run, in order. `error` is a tool's or command's failure reported in it, "" where none."""

    role: str  # system, user, assistant or tool
    text: str
    error: str = ""
    tool: str = ""  # the tool called (assistant) or answering (tool), "" where none
    tokens: int = 0  # sampled for it; 0 where not recorded
    seconds: float = nan
    logp: float = nan  # nats of its text as sampled


@dataclass(frozen=True, slots=True)
class Step:
    """One judged step. `ok` None: nobody can say (the step then counts as having no verdict, never as right)."""

    ok: bool | None
    event: Event | None = None  # a finer word than `ok`, where the log has one
    action: str = ""
    confidence: float = nan
    state_ok: bool | None = None  # whether the run is on the true state after it, where the log says so
    tokens: int = 0
    logp: float = nan


@dataclass(frozen=True, slots=True)
class Record:
    """One run as logged."""

    item: str  # the task instance: the unit of resampling
    repeat: str = "0"  # which run of the item (epoch, trial, sample)
    model: str = ""
    task: str = ""  # benchmark or environment; a family only where the log says so
    family: str = ""
    weight: float = 1.0
    released: str = ""  # ISO date of the model's release
    messages: tuple[Message, ...] = ()
    steps: tuple[Step, ...] = ()  # verdicts that the log itself states; empty where it states none
    judged_by: str = ""  # what they were read from: "step list", "intermediate score", "tool error"; "" where none
    success: float | None = None  # 0 ... 1; None: the run was not scored
    scores: Mapping[str, float] = field(default_factory=dict)  # every numeric score, by name
    stop: Stop = Stop.DONE  # done, horizon (planned end), cut (a limit), fault (provider or machine)
    fault_code: str = ""
    lengths: Mapping[str, float] = field(default_factory=dict)  # by unit: steps, tokens, seconds, minutes
    confidence: float = nan  # of the answer as a whole
    line: int = 0  # where in its file, from 1, for errors


Checker = Callable[[Sequence[Message], Record], Sequence[bool | None]]  # one verdict a step, in order


@dataclass(frozen=True, slots=True)
class Caps:
    """What a file may cost before it is refused. All adjustable."""

    line_bytes: int = 64 << 20  # longest line, or JSON member of an archive where it is read whole
    depth: int = 64  # nesting of JSON
    members: int = 100_000  # of an archive
    ratio: float = 200.0  # unpacked to packed bytes
    unpacked_bytes: int = 16 << 30  # in all
    parsed_bytes: int = 768 << 20  # what one JSON text may take once parsed


@dataclass(frozen=True, slots=True)
class Options:
    """What a reader may be told."""

    caps: Caps = Caps()
    score: str = ""  # which score is the success, where a log has several; "" = its only or first one
    columns: Mapping[str, str] = field(default_factory=dict)  # a table's columns: {"item": "task_id", "ok": "correct"}
    messages: bool = True  # False: messages are not needed and may be skipped
    steps: bool = True  # False: nor are verdicts on steps: outcomes alone, which may be read from a summary


class Reader(Protocol):
    """One format. Errors: `errors.BadLog` (fact, place in the file, remedy); never a traceback."""

    name: str  # "inspect-eval"; given as --format
    line: str  # one line for lists: which tool, which files

    def knows(self, path: Path, head: bytes) -> bool:
        """Whether this looks like such a file; `head` is its first 64 KiB."""
        ...

    def read(self, path: Path, options: Options) -> Iterator[Record]:
        """Its runs in order, in bounded memory."""
        ...

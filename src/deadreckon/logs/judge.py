"""What each step of a run was: the log's own verdicts, a checker's, or what a tool said of the call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from deadreckon.contracts import nan
from deadreckon.logs.checker import check_run
from deadreckon.logs.record import Checker, Message, Record, Step

LOGGED, CHECKED = "the log", "your checker"
DEFAULT = "default rules (wrong = its tool call failed, or its command left with a code other than 0)"

NEAR = 400  # characters at either end of a tool's answer that are searched
_CODE = re.compile(
    r"\b(?:exit(?:ed)?(?:\s+with)?[\s_-]*(?:code|status)|return[\s_-]?code)\b[\"']?\s*[:=]?\s*(-?\d{1,5})\b", re.I
)
_TRACEBACK = "Traceback (most recent call last)"


def judged(record: Record, place: str, checker: Checker | None = None) -> tuple[Sequence[Step], str]:
    """The run's steps, and what judged them in words ("" where nothing could). place: "runs.jsonl:12", for errors."""
    if checker is not None:
        return [Step(ok) for ok in check_run(checker, record, place)], CHECKED
    if record.steps:
        return record.steps, f"{LOGGED}'s {record.judged_by}" if record.judged_by else LOGGED
    steps = by_default(record.messages)
    return steps, DEFAULT if any(step.ok is not None for step in steps) else ""


def by_default(messages: Sequence[Message]) -> list[Step]:
    """One step a message of the model: wrong where a tool it called failed, right where all answered, else unjudged."""
    steps: list[Step] = []
    for message in messages:
        if message.role == "assistant":
            steps.append(Step(False if message.error else None, tokens=message.tokens, logp=message.logp))
        elif message.role == "tool" and steps:
            fine = steps[-1].ok is not False and not failed(message)
            steps[-1] = replace(steps[-1], ok=fine)
    return steps


def failed(message: Message) -> bool:
    """Whether a tool's answer is a failure: it says so, its command's exit code is not 0, or it holds a traceback."""
    if message.error:
        return True
    ends = message.text if len(message.text) <= 2 * NEAR else message.text[:NEAR] + "\n" + message.text[-NEAR:]
    codes = _CODE.findall(ends)
    return int(codes[-1]) != 0 if codes else _TRACEBACK in ends


def share_right(steps: Sequence[Step]) -> float:
    """Share of the judged steps that are right; nan where none is judged."""
    known = [step.ok for step in steps if step.ok is not None]
    return sum(known) / len(known) if known else nan

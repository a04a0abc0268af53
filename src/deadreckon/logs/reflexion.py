"""Reflexion on ALFWorld: `trial_<t>.log`, `env_results_trial_<t>.json` or `world.log` of a run folder.

Follows noahshinn/reflexion as of 2023 (`alfworld_runs/main.py`, `alfworld_trial.py`, `env_history.py`).

- item: `env_<z>`; repeat: the trial `<t>`. An environment once solved is not run again: its later lines of success are
  no runs and are left out, so later trials hold the harder environments only.
- step (`trial_<t>.log` alone): an action, thoughts (`think: ...`) included; `Nothing happens.` is a failed command.
- success: `STATUS: OK`, `SUCCESS`. The JSON file is cumulative: `is_success` is "solved by trial t"; an environment it
  shows solved earlier (fewer memories than failed trials leave) is left out as well; in a run without memories (the
  baseline) that cannot be seen, and then each trial counts all that were solved so far.
- stop: a failed run of 49 actions used them up: horizon. Any other is done (two equal actions in a row end a run).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from deadreckon.contracts import Stop
from deadreckon.errors import BadLog
from deadreckon.logs.elements import json_elements
from deadreckon.logs.fields import as_object, need_label, shown
from deadreckon.logs.lines import raw_lines
from deadreckon.logs.record import Message, Options, Record

MOST_ACTIONS = 49
LINE_OBJECT = 64  # bytes that a line takes in memory beside its text
RULE = "#####"
TASK = "Here is the task:"
STATUS = re.compile(r"STATUS: (OK|FAIL)")
RUN = re.compile(r"Environment #(\d{1,9}):")
SOLVED_BEFORE = re.compile(r"Environment #\d{1,9}: Success")
OUTCOME = re.compile(r"Environment #(\d{1,9}) Trial #(\d{1,9}): (SUCCESS|FAIL)")
TRIAL_LOG = re.compile(r"trial_(\d{1,9})\.log")
RESULTS = re.compile(r"env_results_trial_(\d{1,9})\.json")
MARKS = (b"#####\n\nEnvironment #", b"***** Start Trial #", b'"is_success"')
TASK_NAME = "alfworld"
NOTHING = "Nothing happens."  # ALFWorld's answer to a command it cannot carry out


class Reflexion:
    """Reflexion's trials. BadLog: unreadable, cut off within a run, or a file that is none of the three."""

    name = "reflexion"
    line = "Reflexion on ALFWorld: trial_<t>.log, env_results_trial_<t>.json or world.log"

    def knows(self, path: Path, head: bytes) -> bool:
        """By the marks of the three files."""
        return any(mark in head for mark in MARKS)

    def read(self, path: Path, options: Options) -> Iterator[Record]:
        """A run for each environment that was run."""
        if path.suffix == ".json":
            yield from _results(path, options)
            return
        first = next((line for _, raw in raw_lines(path, options.caps) if (line := _line(raw).strip())), "")
        if first.startswith("*****") or OUTCOME.fullmatch(first):
            yield from _world(path, options)
        elif first == RULE:
            yield from _trial(path, options)
        else:
            raise BadLog(f"{path}: begins with {shown(first)}: give a trial_<t>.log or world.log of Reflexion")


def _line(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").rstrip("\r\n")


def _results(path: Path, options: Options) -> Iterator[Record]:
    """`env_results_trial_<t>.json`: an array of `{name, memory, is_success}`."""
    named = RESULTS.fullmatch(path.name)
    trial = int(named[1]) if named else 0
    rows = (value for _, _, value in json_elements(path, caps=options.caps))
    remembers = any(isinstance(row, dict) and bool(row.get("memory")) for row in rows)
    for line, _, value in json_elements(path, caps=options.caps):
        place = f"{path}: run {line}"
        row = as_object(value, place, "an environment")
        solved = row.get("is_success")
        if not isinstance(solved, bool):
            raise BadLog(f"{place}: is_success is {shown(solved)}: it should be true or false")
        memory = row.get("memory")
        if solved and remembers and isinstance(memory, list) and len(memory) < trial:
            continue  # each failed trial left one memory: solved before this trial
        item = need_label(row, ("name",), place)
        yield Record(
            item, str(trial), task=TASK_NAME, success=float(solved), scores={"is_success": float(solved)}, line=line
        )


def _world(path: Path, options: Options) -> Iterator[Record]:
    """`world.log`: a line of outcome for each environment and trial."""
    solved: set[str] = set()
    for line, raw in raw_lines(path, options.caps):
        found = OUTCOME.fullmatch(_line(raw).strip())
        if not found or found[1] in solved:
            continue
        if (success := found[3] == "SUCCESS") and len(solved) >= options.caps.members:
            raise BadLog(f"{path}:{line}: more than {options.caps.members:,} environments: raise the cap on members")
        if success:
            solved.add(found[1])
        yield Record(f"env_{found[1]}", found[2], task=TASK_NAME, success=float(success), line=line)


def _trial(path: Path, options: Options) -> Iterator[Record]:
    """`trial_<t>.log`: blocks between rules, each one run or the note that it was not run again."""
    named = TRIAL_LOG.fullmatch(path.name)
    trial = named[1] if named else "0"
    block: list[str] = []
    begun, held, inside = 0, 0, False
    for line, raw in raw_lines(path, options.caps):
        text = _line(raw)
        if text == RULE and not (inside and _open(block)):
            if inside and block:
                yield from _block(block, trial, options, f"{path}:{begun}", begun)
            inside, block, begun, held = not inside, [], line + 1, 0
        elif inside:
            held += len(raw) + LINE_OBJECT
            if held > options.caps.parsed_bytes // 3:
                raise BadLog(f"{path}:{begun}: a run too long to hold: raise the cap on parsed bytes if you trust it")
            block.append(text)
    if inside:
        raise BadLog(f"{path}:{begun}: the file ends within a run: it was cut off; delete what follows its last #####")


def _open(block: list[str]) -> bool:
    """Whether a rule read now would stand within a run: its status, or the note of an earlier success, is missing."""
    last = next((line for line in reversed(block) if line), "")
    return bool(block) and not STATUS.fullmatch(last) and not SOLVED_BEFORE.fullmatch(last)


def _block(block: list[str], trial: str, options: Options, place: str, line: int) -> Iterator[Record]:
    lines = [text for text in block if text]
    if lines and SOLVED_BEFORE.fullmatch(lines[0]):
        return
    run, status = RUN.fullmatch(lines[0]) if lines else None, STATUS.fullmatch(lines[-1]) if lines else None
    if not run or not status:
        raise BadLog(f"{place}: {shown(lines[0] if lines else '')} where a run should begin: the log is damaged")
    messages = _messages(lines[1:-1])
    actions = sum(message.role == "assistant" for message in messages)
    solved = status[1] == "OK"
    yield Record(
        item=f"env_{run[1]}",
        repeat=trial,
        task=TASK_NAME,
        messages=messages if options.messages else (),
        success=float(solved),
        stop=Stop.HORIZON if not solved and actions >= MOST_ACTIONS else Stop.DONE,
        lengths={"steps": float(actions)},
        line=line,
    )


def _messages(lines: list[str]) -> tuple[Message, ...]:
    """The prompt up to the task's own text, then actions and what each led to."""
    start = max((i for i, text in enumerate(lines) if text.strip() == TASK), default=-1)
    actions = [i for i, text in enumerate(lines) if i > start and text.startswith("> ")]
    found = [Message("user", "\n".join(lines[: actions[0] if actions else len(lines)]))]
    for i, after in pairwise((*actions, len(lines))):
        found.append(Message("assistant", lines[i].removeprefix("> ")))
        if seen := "\n".join(lines[i + 1 : after]):
            found.append(Message("tool", seen, seen if seen.strip() == NOTHING else ""))
    return tuple(found)

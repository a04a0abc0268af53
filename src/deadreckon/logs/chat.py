"""Chat JSONL: one conversation a line, as `{"messages": [{"role": ..., "content": ...}, ...], ids}`.

The messages are those of OpenAI's chat API (as of 2026), which Anthropic's, LangChain's and most agent frameworks'
exports resemble: text or typed parts, `tool_calls` with `function.name` and `function.arguments`, answers by
`tool_call_id`. Such a file says nothing of right and wrong steps: a checker does, or a list `steps` beside the messages
(`fields.stated_steps`). What is found without either are failed tools (`messages.tool_error`) and calls whose arguments
are no JSON object.

Columns, each under the first name that a line has, or the one the user gives:

| what | names |
|---|---|
| item | `item`, `task_id`, `example_id`, `custom_id`, `id` |
| repeat | `repeat`, `trial`, `rollout`, `epoch`, `sample`; else the line |
| model, task, family | the same words |
| success | `success`, `reward`, `score`, `correct`: a number from 0 to 1 or a truth value |
| stop | `error` that is not empty: fault; `finish_reason` `length`: cut, `content_filter`: fault; else done |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path

from deadreckon.contracts import Json, Stop, nan
from deadreckon.errors import BadLog
from deadreckon.logs.fields import (
    STEP_LIST,
    as_object,
    inner,
    label,
    lengths,
    need_label,
    number,
    shown,
    stated_steps,
    success,
    text,
)
from deadreckon.logs.lines import json_lines
from deadreckon.logs.messages import chat_messages
from deadreckon.logs.record import Options, Record

NAMES = {
    "item": ("item", "task_id", "example_id", "custom_id", "id"),
    "repeat": ("repeat", "trial", "rollout", "epoch", "sample"),
    "model": ("model",),
    "task": ("task",),
    "family": ("family",),
    "success": ("success", "reward", "score", "correct"),
}


class Chat:
    """Conversations. BadLog: as `json_lines`, and where a line has no messages or no item."""

    name = "chat"
    line = "chat JSONL: messages and an id a line, as OpenAI's API writes them; judged by a checker"

    def knows(self, path: Path, head: bytes) -> bool:
        """By its messages."""
        first = head.lstrip().partition(b"\n")[0]
        return first[:1] == b"{" and b'"messages"' in first and b'"role"' in first

    def read(self, path: Path, options: Options) -> Iterator[Record]:
        """A run for each line."""
        for line, row in json_lines(path, options.caps):
            place = f"{path}:{line}"
            yield _record(as_object(row, place, "a conversation"), options, place, line)


def _record(row: Mapping[str, Json], options: Options, place: str, line: int) -> Record:
    if not isinstance(row.get("messages"), list):
        raise BadLog(f"{place}: its messages are {shown(row.get('messages'))}: each line needs a list of messages")
    messages = chat_messages(row["messages"], place)
    stop, code = _stop(row)
    steps = stated_steps(row.get("steps"), place)
    scores = _scores(row, options, place)
    tokens = number(inner(row, "usage").get("completion_tokens"))
    spoken = [message for message in messages if message.role == "assistant"]
    return Record(
        item=need_label(row, _names("item", options), place),
        repeat=label(row, _names("repeat", options)) or str(line),
        model=label(row, _names("model", options)),
        task=label(row, _names("task", options)),
        family=label(row, _names("family", options)),
        messages=messages if options.messages else (),
        steps=steps,
        judged_by=STEP_LIST if steps else "",
        success=None if stop is Stop.FAULT else success(scores, next(iter(scores), ""), "", place),
        scores=scores,
        stop=stop,
        fault_code=code,
        lengths=lengths(
            steps=float(len(spoken)),
            tokens=tokens if tokens >= 0 else sum(message.tokens for message in spoken) or nan,
        ),
        line=line,
    )


def _names(what: str, options: Options) -> tuple[str, ...]:
    return (options.columns[what],) if what in options.columns else NAMES[what]


def _scores(row: Mapping[str, Json], options: Options, place: str) -> dict[str, float]:
    names = (options.score,) if options.score else _names("success", options)
    found = {name: row[name] for name in names if row.get(name) is not None}
    for name, value in found.items():
        if not isfinite(number(value)):
            raise BadLog(f"{place}: {name} is {shown(value)}: a success is a number from 0 to 1, true or false")
    return {name: number(value) for name, value in found.items()}


def _stop(row: Mapping[str, Json]) -> tuple[Stop, str]:
    error, reason = row.get("error"), text(row.get("finish_reason"))
    if error:
        kind = error if isinstance(error, dict) else {}
        return Stop.FAULT, label(kind, ("type", "code")) or "error"
    if reason == "content_filter":
        return Stop.FAULT, reason
    return (Stop.CUT if reason == "length" else Stop.DONE), ""

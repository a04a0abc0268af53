"""verifiers before v1, `results.jsonl`: one rollout a line, the run described by `metadata.json` beside it.

Follows `save_rollout_results` of verifiers 0.1.9 and `state_to_output` of later v0 releases
(`verifiers/utils/eval_utils.py`, `save_utils.py`), which added `metrics`, `token_usage`, `is_truncated` and
`stop_condition`; up to 0.1.9 a row says how it stopped only if the user saved those state columns.

- item: `example_id` (`id` in old files) within `task`; repeat: the line, as rollouts are not numbered.
- step: an assistant message of `completion`; those of `prompt` are examples, and the user's.
- success: `reward`, or the entry chosen by `score` (`metrics` and the numeric columns beside it).
- stop, from `error`, `stop_condition` and `is_truncated`:

  | log | stop |
  |---|---|
  | an error, but see the next two; `has_error`; `is_completed` false | fault |
  | `OverlongPromptError`, `prompt_too_long`, `timeout_reached`, `max_*_tokens*`, or truncated | cut |
  | `ToolParseError` (the model's own malformed call); any other condition, or none recorded | done |
  | `max_turns_reached` | horizon |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from deadreckon.contracts import Json, Stop
from deadreckon.errors import BadLog
from deadreckon.logs.fields import as_object, inner, label, lengths, need_label, number, numbers, success, text
from deadreckon.logs.lines import json_lines, parse_json
from deadreckon.logs.messages import chat_messages
from deadreckon.logs.record import Message, Options, Record

ITEM = ("example_id", "id")
NOT_SCORES = {  # numeric columns that say something else
    *ITEM,
    "generation_ms",
    "scoring_ms",
    "total_ms",
    "is_completed",
    "is_truncated",
}
CUTS = re.compile(r"prompt_too_long|timeout_reached|max_\w*tokens\w*")
ERROR_NAME = re.compile(r"\w+")
MOST_NAME = 100  # characters of a name of an error or a condition


class VerifiersV0:
    """verifiers v0 rollouts. BadLog: as `json_lines`, and where a line is no rollout."""

    name = "verifiers-v0"
    line = "verifiers 0.1: results.jsonl, one rollout a line, with metadata.json beside it"

    def knows(self, path: Path, head: bytes) -> bool:
        """By the columns that every release has written."""
        keys = (b'"prompt"', b'"completion"', b'"example_id"')
        return head.lstrip()[:1] == b"{" and (all(key in head for key in keys) or path.name == "results.jsonl")

    def read(self, path: Path, options: Options) -> Iterator[Record]:
        """A run for each line."""
        about = _metadata(path, options)
        for line, row in json_lines(path, options.caps):
            place = f"{path}:{line}"
            yield _record(as_object(row, place, "a rollout"), about, options, place, line)


def _metadata(path: Path, options: Options) -> Mapping[str, Json]:
    """What `metadata.json` beside the file says; empty where there is none."""
    beside = path.with_name("metadata.json")
    if not beside.is_file():
        return {}
    if beside.stat().st_size > options.caps.line_bytes:
        raise BadLog(
            f"{beside}: longer than {options.caps.line_bytes:,} bytes: move it away if it is no run's metadata"
        )
    return as_object(parse_json(beside.read_bytes(), str(beside), options.caps), str(beside), "the metadata")


def _record(row: Mapping[str, Json], about: Mapping[str, Json], options: Options, place: str, line: int) -> Record:
    stop, code = _stop(row)
    scores = {key: value for key, value in numbers(row).items() if key not in NOT_SCORES} | numbers(row.get("metrics"))
    completion = _said(row.get("completion"), "assistant", place)
    milliseconds = number(inner(row, "timing").get("total_ms", row.get("total_ms")))
    return Record(
        item=need_label(row, ITEM, place),
        repeat=str(line),
        model=text(about.get("model")),
        task=label(row, ("task",)) or text(about.get("env_id")),
        messages=_said(row.get("prompt"), "user", place) + completion if options.messages else (),
        success=None if stop is Stop.FAULT else success(scores, "reward", options.score, place),
        scores=scores,
        stop=stop,
        fault_code=code,
        lengths=lengths(
            steps=sum(message.role == "assistant" for message in completion),
            tokens=number(inner(row, "token_usage").get("output_tokens")),
            seconds=milliseconds / 1000,
        ),
        line=line,
    )


def _said(value: Json, role: str, place: str) -> tuple[Message, ...]:
    """Messages, or the plain text of a completion model, as `role`'s."""
    if isinstance(value, str):
        return (Message(role, value),)
    return chat_messages(value, place, prompt=role == "user")


def _stop(row: Mapping[str, Json]) -> tuple[Stop, str]:
    condition = text(row.get("stop_condition"))[:MOST_NAME]
    error = row.get("error")
    stated = text(error.get("error")) if isinstance(error, dict) else text(error)
    found = ERROR_NAME.match(stated[:MOST_NAME])
    name = found[0] if found else ""
    if name == "OverlongPromptError" or (not error and CUTS.fullmatch(condition)):
        return Stop.CUT, ""
    if name == "ToolParseError":
        return Stop.DONE, ""
    if error or condition == "has_error" or row.get("is_completed") is False:
        return Stop.FAULT, name or condition or "not_completed"
    if condition == "max_turns_reached":
        return Stop.HORIZON, ""
    return (Stop.CUT if row.get("is_truncated") is True else Stop.DONE), ""

"""tau-bench, a file of `results/`: one JSON array of runs `{task_id, reward, info, traj, trial}`.

Follows `EnvRunResult` and `run` of sierra-research/tau-bench as of 2025 (`tau_bench/types.py`, `run.py`,
`envs/base.py`, `agents/tool_calling_agent.py`, `agents/chat_react_agent.py`).

- item: `task_id`; repeat: `trial`; model: from the file's name, which is `<strategy>-<model>-<temperature>_range_...`.
- step: an assistant message of `traj`. A tool's answer that begins with `Error:` or `Unknown action` is a tool error;
  in `act` and `react` runs the answer is the user's message that begins with `API output: `.
- success: `reward` (0 or 1 within 1e-6).
- stop: `info.error` (an exception, whose reward of 0 was never computed) is a fault without success. The reward is
  computed when the conversation ends (`info.reward_info`): done. Without it the run used up its 30 steps: horizon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from deadreckon.contracts import Json, Stop, nan
from deadreckon.logs.elements import json_elements
from deadreckon.logs.fields import as_object, inner, label, lengths, need_label, numbers, success, text
from deadreckon.logs.messages import chat_messages, tool_error
from deadreckon.logs.record import Message, Options, Record

FILE = re.compile(r"(?:tool-calling|act|react|few-shot)-(?P<model>.+)-[\d.]+_range_-?\d+--?\d+_user-.+\.json")
ANSWER = "API output: "
NEAR = 2000  # characters at the end of a traceback in which its exception is looked for
EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)")


class TauBench:
    """tau-bench runs. BadLog: as `json_elements`, and where an element is no run."""

    name = "tau-bench"
    line = "tau-bench: results/*.json, an array of runs with task_id, trial, reward and traj"

    def knows(self, path: Path, head: bytes) -> bool:
        """By the keys of a run, in an array."""
        return head.lstrip()[:1] == b"[" and all(key in head for key in (b'"task_id"', b'"reward"', b'"info"'))

    def read(self, path: Path, options: Options) -> Iterator[Record]:
        """A run for each element."""
        named = FILE.fullmatch(path.name)
        model = named["model"] if named else ""
        for run, _, row in json_elements(path, caps=options.caps):
            place = f"{path}: run {run}"
            yield _record(as_object(row, place), model, options, place, run)


def _record(row: Mapping[str, Json], model: str, options: Options, place: str, line: int) -> Record:
    info = inner(row, "info")
    fault = bool(info.get("error")) or "traceback" in info
    messages = _messages(row.get("traj"), place)
    scores = numbers({"reward": row.get("reward")})
    return Record(
        item=need_label(row, ("task_id",), place),
        repeat=label(row, ("trial",)) or str(line),
        model=model,
        task="tau-bench",
        messages=messages if options.messages else (),
        success=None if fault else success(scores, "reward", options.score, place),
        scores=scores,
        stop=Stop.FAULT if fault else Stop.DONE if inner(info, "reward_info") else Stop.HORIZON,
        fault_code=_exception(info) if fault else "",
        lengths=lengths(steps=nan if fault else sum(message.role == "assistant" for message in messages)),
        line=line,
    )


def _messages(rows: Json, place: str) -> tuple[Message, ...]:
    """The trajectory; a tool's answer told to the model as the user's is the tool's."""
    found = chat_messages(rows, place)
    return tuple(
        Message("tool", said, tool_error({}, said))
        if message.role == "user" and message.text != (said := message.text.removeprefix(ANSWER))
        else message
        for message in found
    )


def _exception(info: Mapping[str, Json]) -> str:
    """The class of the exception that ended the run, from its traceback's last line."""
    last = text(info.get("traceback"))[-NEAR:].strip().rpartition("\n")[2]
    found = EXCEPTION.match(last)
    return found[1].rpartition(".")[2] if found else "error"

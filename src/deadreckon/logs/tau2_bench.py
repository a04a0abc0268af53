"""tau2-bench, `results.json`: one JSON object with `info`, `tasks` and `simulations`.

Follows `Results` and `SimulationRun` of sierra-research/tau2-bench as of 2026 (`src/tau2/data_model/simulation.py`,
`message.py`). Of the directory format, which keeps each simulation in a file of its own, `results.json` gives the
outcomes (`simulation_index`), without messages.

- item: `task_id`; repeat: `trial`; model: `info.agent_info.llm`; task: the domain.
- step: an assistant message of `messages`. Where the log has a `review` of the conversation (a model's judgement, not a
  checked fact) it gives the verdicts: wrong at the turns of its errors by the agent, right at every other turn.
- success: `reward_info.reward`, or the entry of `reward_breakdown` chosen by `score`.
- stop, from `termination_reason`:

  | log | stop |
  |---|---|
  | `user_stop`, `agent_stop`, `agent_error`, `too_many_errors` (the agent's own) | done |
  | `max_steps` | horizon |
  | `timeout`, `context_window_exceeded` | cut |
  | `user_error` (the simulated user), `infrastructure_error`, `unexpected_error`, any other | fault, no success |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from deadreckon.contracts import Json, Stop, nan
from deadreckon.errors import BadLog
from deadreckon.logs.elements import json_elements
from deadreckon.logs.fields import as_object, inner, label, lengths, need_label, number, numbers, objects, success, text
from deadreckon.logs.messages import chat_messages
from deadreckon.logs.record import Message, Options, Record, Step

STOPS = {
    "user_stop": Stop.DONE,
    "agent_stop": Stop.DONE,
    "agent_error": Stop.DONE,
    "too_many_errors": Stop.DONE,
    "max_steps": Stop.HORIZON,
    "timeout": Stop.CUT,
    "context_window_exceeded": Stop.CUT,
}
RUNS = ("simulations", "simulation_index")


class Tau2Bench:
    """tau2-bench simulations. BadLog: as `json_elements`, and where a simulation is none, or none is there."""

    name = "tau2-bench"
    line = "tau2-bench: results.json with info, tasks and simulations"

    def knows(self, path: Path, head: bytes) -> bool:
        """By the description of the run that comes first."""
        return head.lstrip()[:1] == b"{" and all(
            key in head for key in (b'"info"', b'"agent_info"', b'"environment_info"')
        )

    def read(self, path: Path, options: Options) -> Iterator[Record]:
        """A run for each simulation."""
        about: Mapping[str, Json] = {}
        read_from = ""
        for run, key, value in json_elements(path, RUNS, ("info",), options.caps):
            place = f"{path}: run {run}"
            if run == 0:
                about = as_object(value, f"{path}: info", "info")
            elif read_from in ("", key):
                read_from = key
                yield _record(as_object(value, place, "a simulation"), about, options, place, run)
        if not read_from:
            raise BadLog(f"{path}: no simulation in it: give the results.json of a finished run")


def _record(row: Mapping[str, Json], about: Mapping[str, Json], options: Options, place: str, line: int) -> Record:
    reason = text(row.get("termination_reason"))
    stop = STOPS.get(reason, Stop.FAULT)
    reward = inner(row, "reward_info")
    scores = numbers(reward.get("reward_breakdown")) | numbers({"reward": reward.get("reward", row.get("reward"))})
    rows = _seen(row.get("messages"))
    turns = [entry.get("turn_idx") for entry in objects(rows) if entry.get("role") == "assistant"]
    messages = chat_messages(rows, place)
    spoken = [message for message in messages if message.role == "assistant"]
    reviewed = _reviewed(row, turns, spoken)
    return Record(
        item=need_label(row, ("task_id",), place),
        repeat=label(row, ("trial",)) or str(line),
        model=text(inner(about, "agent_info").get("llm")),
        task=text(inner(about, "environment_info").get("domain_name")) or "tau2-bench",
        messages=messages if options.messages else (),
        steps=reviewed,
        judged_by="review" if reviewed else "",
        success=None if stop is Stop.FAULT else success(scores, "reward", options.score, place),
        scores=scores,
        stop=stop,
        fault_code=(reason or "unknown") if stop is Stop.FAULT else "",
        lengths=lengths(
            steps=float(len(spoken)) if messages else nan,
            tokens=sum(message.tokens for message in spoken) or nan,
            seconds=number(row.get("duration")),
        ),
        line=line,
    )


def _seen(rows: Json) -> Json:
    """The messages without the simulated user's calls of its own tools and their answers, unseen by the agent."""
    if not isinstance(rows, list):
        return rows
    return [row for row in rows if not (isinstance(row, dict) and _users_own(row))]


def _users_own(row: Mapping[str, Json]) -> bool:
    return row.get("requestor") == "user" or (row.get("role") == "user" and bool(row.get("tool_calls")))


def _reviewed(row: Mapping[str, Json], turns: list[Json], spoken: list[Message]) -> tuple[Step, ...]:
    """A verdict for each of the agent's messages, from the review; none where there is no review by turn."""
    review = row.get("review")
    if not isinstance(review, dict):
        return ()
    errors = [error.get("turn_idx") for error in objects(review.get("errors")) if error.get("source") == "agent"]
    if len(turns) != len(spoken) or not all(type(turn) is int for turn in (*turns, *errors)):
        return ()
    wrong = set(errors)
    return tuple(
        Step(turn not in wrong, action=message.tool, tokens=message.tokens)
        for turn, message in zip(turns, spoken, strict=True)
    )

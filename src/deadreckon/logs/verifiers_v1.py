"""verifiers, `traces.jsonl`: one episode a line, with one trace for each agent that took part.

Follows the record written by `Episode.to_record` and `Trace.to_record` of verifiers 0.4.0 (`verifiers/v1/episode.py`,
`trace.py`, `graph.py`, trace version 1); a line that is a bare trace, as earlier v1 releases wrote, is read too.

- item: `task.key`, else `task.hash`, else the row's `id` or `idx`; repeat: the id of the trace.
- step: a message that the model sampled (`nodes[].sampled`), in the order made, all branches; examples and context that
  the prompt supplied are the user's. Verdicts: `info["steps"]`, where the environment wrote such a list.
- success: the sum of the weighted rewards, as `Trace.reward`, or the one chosen by `score`; no rewards, no success.
- stop, from `ok`, `is_timeout` and `stop_condition`:

  | log | stop |
  |---|---|
  | not ok and `<boundary>_error` or `error`, or not completed; `setup_`, `finalize_`, `scoring_timeout` | fault |
  | `max_turns` | horizon |
  | `agent_timeout`, `max_*_tokens`, `compaction_failed`, or the last call finished for `length` | cut |
  | any other (`agent_completed`, `user_closed`, a task's own `@stop`) | done |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from deadreckon.contracts import Json, Stop, nan
from deadreckon.logs.fields import (
    STEP_LIST,
    as_object,
    count,
    inner,
    label,
    lengths,
    need_label,
    number,
    numbers,
    objects,
    stated_steps,
    success,
    text,
)
from deadreckon.logs.lines import json_lines
from deadreckon.logs.messages import chat_message
from deadreckon.logs.record import Message, Options, Record

REWARD = "reward"  # verifiers' own name for the sum of the weighted rewards
CUTS = ("agent_timeout", "max_input_tokens", "max_output_tokens", "max_total_tokens", "compaction_failed")
ITEM = ("key", "hash")
ROW = ("id", "name", "idx")


class VerifiersV1:
    """verifiers v1 episodes. BadLog: as `json_lines`, and where a line is no episode or no trace."""

    name = "verifiers-v1"
    line = "verifiers 0.4: traces.jsonl, one episode a line"

    def knows(self, path: Path, head: bytes) -> bool:
        """By the keys of an episode or trace."""
        return head.lstrip()[:1] == b"{" and b'"task"' in head and (b'"nodes"' in head or path.name == "traces.jsonl")

    def read(self, path: Path, options: Options) -> Iterator[Record]:
        """A run for each trace; an episode that failed before it had one is a run that faulted."""
        for line, row in json_lines(path, options.caps):
            episode = as_object(row, f"{path}:{line}", "an episode")
            place = f"{path}:{line}"
            if "nodes" in episode:
                yield _record(episode, episode, options, place, line)
            elif traces := _own(episode):
                for trace in traces:
                    yield _record(trace, episode, options, place, line)
            else:
                yield _unborn(episode, place, line)


def _own(episode: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    """The traces of the models under evaluation: those marked trainable, where any is."""
    traces = objects(episode.get("traces"))
    return [trace for trace in traces if inner(trace, "agent").get("trainable") is not False] or traces


def _record(trace: Mapping[str, Json], episode: Mapping[str, Json], options: Options, place: str, line: int) -> Record:
    stop, code = _stop(trace)
    scores = _scores(trace)
    steps = stated_steps(inner(trace, "info").get("steps"), place)
    nodes, calls = objects(trace.get("nodes")), _calls(trace)
    span = inner(trace, "timing", "agent")
    start, end = number(span.get("start")), number(span.get("end"))
    tokens = number(trace.get("num_output_tokens"))
    if not tokens >= 0:
        tokens = sum(count(inner(call, "usage").get("completion_tokens")) for call in calls.values())
    return Record(
        item=_item(trace if "task" in trace else episode, place),
        repeat=label(trace, ("id",)) or str(line),
        model=text(inner(trace, "agent", "config").get("model")),
        task=text(inner(episode, "env").get("id")) or text(inner(trace, "task").get("type")),
        messages=_messages(nodes, calls, place) if options.messages else (),
        steps=steps,
        judged_by=STEP_LIST if steps else "",
        success=None if stop is Stop.FAULT else success(scores, REWARD, options.score, place),
        scores=scores,
        stop=stop,
        fault_code=code,
        lengths=lengths(
            steps=sum(node.get("sampled") is True for node in nodes),
            tokens=tokens,
            seconds=end - start if start > 0 and end > 0 else nan,
        ),
        line=line,
    )


def _unborn(episode: Mapping[str, Json], place: str, line: int) -> Record:
    errors = objects(episode.get("errors"))
    return Record(
        item=_item(episode, place),
        repeat=label(episode, ("id",)) or str(line),
        task=text(inner(episode, "env").get("id")),
        stop=Stop.FAULT,
        fault_code=_kind(errors) or "no_trace",
        line=line,
    )


def _item(row: Mapping[str, Json], place: str) -> str:
    task = inner(row, "task")
    return label(task, ITEM) or need_label(inner(task, "data"), ROW, place)


def _scores(trace: Mapping[str, Json]) -> dict[str, float]:
    """Every metric and reward by name; `reward` is the weighted sum of the rewards, where there is any."""
    found = numbers(trace.get("metrics"))
    rewards = trace.get("rewards")
    total, any_reward = 0.0, False
    for name, reward in rewards.items() if isinstance(rewards, dict) else ():
        entry = reward if isinstance(reward, dict) else {"score": reward}
        score, weight = number(entry.get("score")), number(entry.get("weight", 1.0))
        if score * weight == score * weight:  # neither is missing
            found[name] = score
            total, any_reward = total + score * weight, True
    return found | ({REWARD: total} if any_reward else {})


def _calls(trace: Mapping[str, Json]) -> dict[int, Mapping[str, Json]]:
    """The model calls by the node that each one made."""
    return {node: call for call in objects(trace.get("calls")) if type(node := call.get("node")) is int}


def _messages(
    nodes: list[Mapping[str, Json]], calls: Mapping[int, Mapping[str, Json]], place: str
) -> tuple[Message, ...]:
    names: dict[str, str] = {}
    found = []
    for i, node in enumerate(nodes):
        where = f"{place}: node {i}"
        made = chat_message(as_object(node.get("message"), where, "a message"), names, where)
        if made.role != "assistant":
            found.append(made)
        elif node.get("sampled") is not True:
            found.append(Message("user", made.text))
        else:
            call = calls.get(i, {})
            logprobs = node.get("logprobs")
            seconds = number(inner(call, "time").get("end")) - number(inner(call, "time").get("start"))
            logp = sum(map(number, logprobs)) if isinstance(logprobs, list) and logprobs else nan
            spent = seconds if seconds >= 0 else nan
            tokens = count(inner(call, "usage").get("completion_tokens"))
            found.append(Message("assistant", made.text, made.error, made.tool, tokens, spent, logp))
    return tuple(found)


def _kind(errors: list[Mapping[str, Json]]) -> str:
    """The type of the last error; "" where none says."""
    return text(errors[-1].get("type")) if errors else ""


def _stop(trace: Mapping[str, Json]) -> tuple[Stop, str]:
    condition = text(trace.get("stop_condition"))
    errors = objects(trace.get("errors"))
    if trace.get("ok") is not True and (condition == "error" or condition.endswith("_error")):
        return Stop.FAULT, _kind(errors) or condition
    if trace.get("is_completed") is not True:
        return Stop.FAULT, "not_completed"
    if condition == "max_turns":
        return Stop.HORIZON, ""
    calls = [call for call in objects(trace.get("calls")) if not call.get("error")]
    if condition in CUTS or (calls and calls[-1].get("finish_reason") == "length"):
        return Stop.CUT, ""
    if condition.endswith("_timeout"):
        return Stop.FAULT, condition
    return Stop.DONE, ""

"""What a sample of an Inspect log says of each turn: rules that the logs written by the tool do not all reach."""

from __future__ import annotations

import math
from typing import Any

import pytest

from deadreckon.contracts import Event, Json, Stop
from deadreckon.errors import BadLog
from deadreckon.logs.cursor import Parsed
from deadreckon.logs.inspect_sample import LogHead, Sample
from deadreckon.logs.inspect_scores import numbers, verdict
from deadreckon.logs.pieces import Pieces
from deadreckon.logs.record import Caps, Options, Record


def read(options: Options | None = None, **fields: Json) -> Record:
    sample = Sample(LogHead("t", "m"), options or Options(), "a log")
    sample.whole(Parsed({"id": 1, "epoch": 2} | fields, "a log"))
    return sample.record(1)


def model(name: str = "a", **fields: Any) -> dict[str, Any]:
    message = {"id": name, "role": "assistant", "content": name}
    return {"event": "model", "output": {"choices": [{"message": message}]}} | fields


def scored(value: Json, **fields: Any) -> dict[str, Any]:
    return {"event": "score", "intermediate": True, "score": {"value": value}} | fields


def tool(error: str = "") -> dict[str, Any]:
    return {"event": "tool", "error": {"type": error, "message": "no"} if error else None}


def oks(*events: dict[str, Any], **options: Any) -> list[bool | None]:
    return [step.ok for step in read(Options(**options), events=list(events)).steps]


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("C", 1),
        ("I", 0),
        ("P", 0.5),
        ("N", 0),
        ("yes", 1),
        ("False", 0),
        (" 0.25 ", 0.25),
        (True, 1),
        (2, 2),
        (-1.5, -1.5),
    ],
)
def test_a_score_is_the_number_that_the_tools_own_metrics_take_it_for(value: Json, meant: float) -> None:
    assert numbers({"s": {"value": value}}) == {"s": meant}


def test_an_unscored_value_is_nan_and_a_word_is_no_number() -> None:
    found = numbers(
        {
            "a": {"value": math.nan},
            "b": {"value": "excellent"},
            "c": {"value": {"x": "C", "y": [1]}},
            "d": {"value": [1, "I"]},
        }
    )
    assert found == pytest.approx({"a": math.nan, "c.x": 1, "c.y": math.nan, "d.0": 1, "d.1": 0}, nan_ok=True)


def test_only_one_and_zero_are_verdicts() -> None:
    assert [verdict(value) for value in ("C", 0, 0.5, "P", math.nan, None, "fine")] == [True, False, *[None] * 5]


def test_of_several_intermediate_scores_any_that_says_wrong_holds() -> None:
    turns = [[model(), scored(first), scored(second)] for first, second in ("CI", "IC", "PC")]
    assert oks(*turns[0], *turns[1], *turns[2]) == [False, False, True]


def test_an_intermediate_score_of_another_scorer_is_not_the_one_asked_for() -> None:
    events = [model(), scored("I", scorer="other"), scored({"x": 1, "y": 0}, scorer="mine")]
    assert oks(*events, score="mine.x") == [True]
    assert oks(*events, score="mine.y") == [False]


def test_a_score_before_any_turn_judges_none() -> None:
    assert oks(scored("I"), model(), model(), scored("C")) == [None, True]


def test_a_call_in_a_scorers_span_or_by_a_grader_or_that_failed_is_no_step() -> None:
    events = [
        {"event": "span_begin", "id": "s", "type": "scorer"},
        {"event": "span_begin", "id": "inner", "parent_id": "s", "type": "solver"},
        model("x", span_id="s"),
        model("x", span_id="inner"),
        model("x", role="grader"),
        model("x", error="no answer"),
        model("x", pending=True),
        {"event": "model", "output": {"choices": []}},
        model("turn"),
        tool(),
    ]
    assert [step.action for step in read(events=events).steps] == ["turn"]


def test_older_logs_mark_a_scorer_by_steps_and_nest_the_events_of_a_subtask() -> None:
    events = [
        {"event": "subtask", "events": [model("inner"), tool("unknown")]},
        model("turn"),
        tool(),
        {"event": "step", "type": "scorer", "action": "begin"},
        model("x"),
        {"event": "step", "type": "scorer", "action": "end"},
        model("last"),
    ]
    steps = read(events=events).steps
    assert [(step.action, step.ok) for step in steps] == [("inner", False), ("turn", True), ("last", None)]


def test_a_command_that_leaves_with_another_code_than_0_judges_its_turn() -> None:
    ran = {"event": "sandbox", "action": "exec"}
    assert oks(model(), ran | {"result": 0}, tool(), model(), ran | {"result": 1}, tool()) == [True, False]


def test_a_tool_that_hit_a_limit_says_nothing_and_a_call_that_cannot_be_parsed_is_unparsed() -> None:
    steps = read(events=[model(), tool("parsing"), model(), tool("limit")]).steps
    assert [(step.ok, step.event) for step in steps] == [(False, Event.UNPARSED), (None, None)]


def test_a_list_named_steps_that_holds_no_verdicts_is_not_about_them() -> None:
    assert read(scores={"s": {"value": 1, "metadata": {"steps": ["look", "take"]}}}).steps == ()
    with pytest.raises(BadLog, match="step 2 in the metadata"):
        read(scores={"s": {"value": 1, "metadata": {"steps": [{"ok": 1}, {"right": 1}]}}})


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ({}, (Stop.DONE, "")),
        ({"limit": {"type": "token", "limit": 5}}, (Stop.CUT, "token")),
        ({"error": {"message": "RateLimitError('slow down')"}}, (Stop.FAULT, "RateLimitError")),
        ({"error": {"message": "it broke"}, "limit": {"type": "time"}}, (Stop.FAULT, "error")),
        ({"invalidation": {"author": "x"}}, (Stop.FAULT, "invalidated")),
    ],
)
def test_limits_cut_and_errors_are_faults(fields: dict[str, Json], end: tuple[Stop, str]) -> None:
    run = read(scores={"s": {"value": "I"}}, **fields)
    assert (run.stop, run.fault_code) == end
    assert run.success == 0.0


def test_tokens_are_the_evaluated_models_own_and_seconds_those_at_work() -> None:
    usage = {"m": {"output_tokens": 3, "total_tokens": 9}, "grader": {"output_tokens": 50}}
    assert read(model_usage=usage, working_time=2, total_time=5).lengths == {"tokens": 3, "seconds": 2}
    assert read(total_time=5).lengths == {"seconds": 5}


def test_text_after_the_end_of_a_long_text_is_seen() -> None:
    text = b'{"a": [' + b"1, " * (1 << 20) + b"1]} x"
    pieces = Pieces(iter([text]), "a log", Caps())
    assert list(pieces.whole().names()) == ["a"]
    with pytest.raises(BadLog, match="should end here"):
        pieces.close()

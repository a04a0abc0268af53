"""Each reader gives the table that its tool's file holds: fixtures of tests/logs, two of them by the tool itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from deadreckon.contracts import Event, Stop
from deadreckon.errors import BadLog
from deadreckon.logs.chat import Chat
from deadreckon.logs.fields import count, number
from deadreckon.logs.messages import chat_messages
from deadreckon.logs.metr import Metr
from deadreckon.logs.planbench import PlanBench
from deadreckon.logs.record import Options, Reader, Record
from deadreckon.logs.reflexion import Reflexion
from deadreckon.logs.tau2_bench import Tau2Bench
from deadreckon.logs.tau_bench import TauBench
from deadreckon.logs.verifiers_v0 import VerifiersV0
from deadreckon.logs.verifiers_v1 import VerifiersV1

LOGS = Path(__file__).parents[1] / "logs"
TAU = "tau-bench/tool-calling-gpt-4o-mini-0.0_range_0-4_user-gpt-4o-llm_0515150000.json"
REACT = "tau-bench/react-llama-3.1-0.7_range_0--1_user-gpt-4o-llm_0515160000.json"
PLANS = "planbench/results/blocksworld_3/gpt-4_chat/"
READERS: dict[str, Reader] = {
    "verifiers-0.4/traces.jsonl": VerifiersV1(),
    "verifiers-0.1.9/results.jsonl": VerifiersV0(),
    TAU: TauBench(),
    REACT: TauBench(),
    "tau2-bench/results.json": Tau2Bench(),
    "tau2-bench-dir/results.json": Tau2Bench(),
    f"{PLANS}task_1_plan_generation.json": PlanBench(),
    f"{PLANS}task_3_plan_verification.json": PlanBench(),
    "planbench/responses/blocksworld_3/gpt-4_chat/task_1_plan_generation.json": PlanBench(),
    "reflexion/trial_0.log": Reflexion(),
    "reflexion/trial_1.log": Reflexion(),
    "reflexion/world.log": Reflexion(),
    "reflexion/env_results_trial_0.json": Reflexion(),
    "reflexion/env_results_trial_1.json": Reflexion(),
    "metr/all_runs.jsonl": Metr(),
    "chat/chat.jsonl": Chat(),
}
DONE, HORIZON, CUT, FAULT = Stop.DONE, Stop.HORIZON, Stop.CUT, Stop.FAULT


def read(name: str, options: Options | None = None) -> list[Record]:
    return list(READERS[name].read(LOGS / name, options or Options()))


def outcomes(records: Sequence[Record]) -> list[tuple[str, str, float | None, Stop, str]]:
    return [(r.item, r.repeat, r.success, r.stop, r.fault_code) for r in records]


def said(record: Record, role: str) -> list[str]:
    return [message.text for message in record.messages if message.role == role]


@pytest.mark.parametrize("name", READERS)
def test_a_file_is_known_by_its_own_reader_alone(name: str) -> None:
    path = LOGS / name
    head = path.read_bytes()[: 64 << 10]
    assert {reader.name for reader in READERS.values() if reader.knows(path, head)} == {READERS[name].name}


@pytest.mark.parametrize("name", READERS)
def test_without_messages_the_rest_is_the_same(name: str) -> None:
    full, bare = read(name), read(name, Options(messages=False))
    assert outcomes(bare) == outcomes(full)
    assert [(r.lengths, r.steps, r.scores) for r in bare] == [(r.lengths, r.steps, r.scores) for r in full]
    assert not any(r.messages for r in bare)


# --- verifiers ------------------------------------------------------------------------------------------

CONDITIONS = {"user_closed": DONE, "max_turns": HORIZON, "provider_error": FAULT}


def test_verifiers_v1_is_what_verifiers_itself_reports() -> None:
    reported = json.loads((LOGS / "verifiers-0.4" / "reported.json").read_text())
    records = read("verifiers-0.4/traces.jsonl")
    assert len(records) == len(reported) == 10
    for record, said_of in zip(records, reported, strict=True):
        assert (record.item, record.repeat, record.model) == (said_of["key"], said_of["id"], said_of["model"])
        assert record.success == said_of["reward"]
        assert {name: record.scores[name] for name in said_of["metrics"]} == said_of["metrics"]
        assert record.lengths["steps"] == said_of["turns"]
        assert record.lengths["tokens"] == said_of["output_tokens"] == sum(m.tokens for m in record.messages)
        assert [[m.role, m.text] for m in record.messages] == said_of["messages"]
        assert record.fault_code == (said_of["error"] or "")
        truncated = said_of["is_truncated"] and said_of["stop_condition"] == "user_closed"
        assert record.stop is (CUT if truncated else CONDITIONS[said_of["stop_condition"]])
    assert {record.stop for record in records} == {DONE, HORIZON, CUT, FAULT}


def test_verifiers_v1_gives_the_verdicts_that_the_environment_wrote() -> None:
    records = read("verifiers-0.4/traces.jsonl")
    right = [[step.ok for step in record.steps] for record in records[::2]]
    assert right == [[True] * 4, [True, True, False, False], [True] * 6, [True], [True] * 3]


def test_verifiers_v1_weighs_rewards_and_takes_no_example_for_a_step(tmp_path: Path) -> None:
    def node(role: str, sampled: bool, **more: object) -> dict[str, object]:
        return {"message": {"role": role, "content": "x"}, "sampled": sampled} | more

    trace = {
        "id": "t",
        "task": {"type": "T", "data": {"idx": 4}},
        "agent": {"config": {"model": "m"}},
        "nodes": [node("assistant", False), node("user", False), node("assistant", True, logprobs=[-0.5, -0.25])],
        "calls": [{"node": 2, "usage": {"completion_tokens": 2}, "time": {"start": 10.0, "end": 10.5}}],
        "rewards": {"right": {"score": 1.0, "weight": 0.5}, "form": {"score": 0.5, "weight": 0.5}, "none": None},
        "is_completed": True,
        "ok": True,
        "stop_condition": "agent_timeout",
    }
    path = tmp_path / "traces.jsonl"
    path.write_text(json.dumps(trace))
    (record,) = VerifiersV1().read(path, Options())
    assert (record.item, record.success, record.stop) == ("4", 0.75, CUT)
    assert [m.role for m in record.messages] == ["user", "user", "assistant"]
    assert (record.messages[2].logp, record.messages[2].seconds, record.lengths["steps"]) == (-0.75, 0.5, 1)
    path.write_text(json.dumps({"id": "e", "task": trace["task"], "ok": False, "errors": [{"type": "EnvError"}]}))
    (record,) = VerifiersV1().read(path, Options())
    assert (record.success, record.stop, record.fault_code) == (None, FAULT, "EnvError")


def test_verifiers_v0_is_what_was_run() -> None:
    records = read("verifiers-0.1.9/results.jsonl")
    expected = {0: (1.0, DONE), 1: (0.0, DONE), 2: (0.0, HORIZON), 3: (None, FAULT), 4: (1.0, DONE), 5: (1.0, DONE)}
    assert outcomes(records) == [
        (str(i // 2), str(i + 1), *expected[i // 2], "ModelError" if i // 2 == 3 else "") for i in range(12)
    ]
    assert {(r.model, r.task) for r in records} == {("scripted", "total")}
    assert [r.lengths["steps"] for r in records[::2]] == [4, 4, 6, 1, 3, 3]
    assert said(records[0], "assistant") == ["total 20", "total 31", "total 43", "total 56"]
    assert [m.tool for m in records[8].messages[:3]] == ["", "add", ""]
    assert [m.error for m in records[10].messages[:2]] == ["", "the arguments of the call to add are no JSON object"]


def test_later_v0_releases_tell_how_a_run_stopped(tmp_path: Path) -> None:
    base = {"example_id": 7, "prompt": "1+1=", "completion": "2", "reward": 1.0, "error": None, "is_completed": True}
    chain = {"error": "OverlongPromptError", "error_chain_repr": "", "error_chain_str": ""}
    shown = [{"role": "user", "content": "2+2"}, {"role": "assistant", "content": "4"}]
    rows = [
        base | {"stop_condition": "max_turns_reached", "is_truncated": False},
        base | {"stop_condition": "max_total_completion_tokens_reached"},
        base | {"stop_condition": "agent_completed", "is_truncated": True, "prompt": shown},
        base | {"stop_condition": "has_error", "error": chain},
        base | {"stop_condition": "has_error", "error": chain | {"error": "SandboxError"}},
        base | {"stop_condition": "has_error", "error": chain | {"error": "ToolParseError"}, "reward": 0.0},
        base | {"metrics": {"right": 0.5}, "token_usage": {"input_tokens": 3, "output_tokens": 9}, "reward": 3.0},
    ]
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:-1]))
    stops = list(VerifiersV0().read(path, Options()))
    path.write_text(json.dumps(rows[-1]))
    (last,) = VerifiersV0().read(path, Options(score="right"))
    assert [(r.stop, r.fault_code) for r in stops] == [
        (HORIZON, ""),
        (CUT, ""),
        (CUT, ""),
        (CUT, ""),
        (FAULT, "SandboxError"),
        (DONE, ""),
    ]
    assert [m.role for m in stops[0].messages] == ["user", "assistant"]
    assert [m.role for m in stops[2].messages] == ["user", "user", "assistant"]
    assert (last.success, last.lengths["tokens"]) == (0.5, 9)


# --- tau-bench ------------------------------------------------------------------------------------------


def test_tau_bench_tells_a_fault_and_a_run_out_of_steps_from_a_failure() -> None:
    records = read(TAU)
    assert outcomes(records) == [
        ("0", "0", 1.0, DONE, ""),
        ("1", "0", 0.0, DONE, ""),
        ("2", "0", 0.0, HORIZON, ""),
        ("3", "0", None, FAULT, "RateLimitError"),
        ("0", "1", 0.0, DONE, ""),
        ("1", "1", 1.0, DONE, ""),
    ]
    assert {r.model for r in records} == {"gpt-4o-mini"}
    assert [r.lengths.get("steps") for r in records] == [2, 3, 30, None, 1, 2]


def test_tau_bench_names_the_tool_and_its_error() -> None:
    policy, user, asked, failed, *_ = read(TAU)[1].messages
    assert (policy.role, user.role) == ("system", "user")
    assert (asked.role, asked.text, asked.tool) == (
        "assistant",
        'get_reservation_details({"reservation_id":"#ZFA04Y"})',
        "get_reservation_details",
    )
    assert (failed.role, failed.error, failed.tool) == (
        "tool",
        "Error: reservation not found",
        "get_reservation_details",
    )


def test_tau_bench_react_answers_are_a_tools() -> None:
    (record,) = read(REACT)
    assert [m.role for m in record.messages] == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert record.messages[3].error == record.messages[3].text == "Error: user not found"
    assert (record.model, record.repeat) == ("llama-3.1", "2")


def test_tau2_bench_maps_every_end() -> None:
    expected = [
        ("[mobile]airplane_on", "0", 1.0, DONE, ""),
        ("[mobile]airplane_on", "1", 0.0, HORIZON, ""),
        ("[mobile]no_sim", "0", 0.0, DONE, ""),
        ("[mobile]no_sim", "1", None, FAULT, "infrastructure_error"),
        ("[mobile]roaming", "0", 0.0, CUT, ""),
    ]
    records = read("tau2-bench/results.json")
    assert outcomes(records) == outcomes(read("tau2-bench-dir/results.json")) == expected
    assert {(r.model, r.task) for r in records} == {("gpt-4.1-mini", "telecom")}


def test_tau2_bench_leaves_out_the_users_own_tools_and_takes_the_reviews_verdicts() -> None:
    reviewed, plain = read("tau2-bench/results.json")[:2]
    assert [m.role for m in reviewed.messages] == ["assistant", "user", "assistant", "tool", "assistant", "user"]
    assert reviewed.messages[3].error == "Customer not found"
    assert [step.ok for step in reviewed.steps] == [True, False, True]
    assert plain.steps == ()


# --- PlanBench, Reflexion, METR -------------------------------------------------------------------------


def test_planbench_gives_one_step_a_line_of_the_plan() -> None:
    records = read(f"{PLANS}task_1_plan_generation.json")
    item = "blocksworld_3/task_1_plan_generation/"
    assert outcomes(records) == [
        (f"{item}2", "0", 1.0, DONE, ""),
        (f"{item}3", "0", 0.0, DONE, ""),
        (f"{item}4", "0", 0.0, DONE, ""),
        (f"{item}5", "0", None, FAULT, "no_response"),
    ]
    assert said(records[0], "assistant") == ["(unstack b a)", "(put-down b)", "(pick-up a)", "(stack a b)"]
    assert {(r.model, r.family) for r in records} == {("gpt-4_chat", "blocksworld_3")}


def test_planbench_without_verdicts_has_plans_and_no_success() -> None:
    (record,) = read("planbench/responses/blocksworld_3/gpt-4_chat/task_1_plan_generation.json")
    assert record.success is None
    assert record.stop is DONE
    assert said(record, "assistant") == [
        "unstack the blue block from on top of the red block",
        "put down the blue block",
    ]


def test_planbench_verification_is_scored_by_its_verdict() -> None:
    name = f"{PLANS}task_3_plan_verification.json"
    assert [r.success for r in read(name)] == [1.0]
    assert [r.success for r in read(name, Options(score="llm_correct_w_type"))] == [0.0]
    assert said(read(name)[0], "assistant") == ["The above plan is valid."]


def test_reflexion_runs_are_those_that_were_run() -> None:
    first, second = read("reflexion/trial_0.log"), read("reflexion/trial_1.log")
    assert outcomes(first) == [
        ("env_0", "0", 1.0, DONE, ""),
        ("env_1", "0", 0.0, DONE, ""),
        ("env_2", "0", 0.0, HORIZON, ""),
    ]
    assert outcomes(second) == [("env_1", "1", 1.0, DONE, ""), ("env_2", "1", 0.0, DONE, "")]
    world = read("reflexion/world.log")
    assert [(r.item, r.repeat, r.success) for r in world] == [(r.item, r.repeat, r.success) for r in first + second]
    results = read("reflexion/env_results_trial_0.json") + read("reflexion/env_results_trial_1.json")
    assert [(r.item, r.repeat, r.success) for r in results] == [(r.item, r.repeat, r.success) for r in first + second]


def test_reflexion_steps_are_actions_after_the_prompt_and_what_nothing_comes_of_failed() -> None:
    _, stuck, long = read("reflexion/trial_0.log")
    assert said(stuck, "assistant") == [
        "think: To solve the task, I need to find a mug.",
        "take mug 1",
        "take mug 1",
    ]
    assert [m.error for m in stuck.messages if m.role == "tool"] == ["", "Nothing happens.", "Nothing happens."]
    assert "> go to cabinet 1" in said(stuck, "user")[0]
    assert said(long, "tool")[48] == "On the shelf 48, you see a vase 48.\nIt is empty."
    assert long.lengths == {"steps": 49.0}


def test_a_reflexion_run_without_an_action_has_no_step(tmp_path: Path) -> None:
    path = tmp_path / "trial_3.log"
    path.write_text("\n#####\n\nEnvironment #0:\nHere is the task:\nGo.\n\nSTATUS: FAIL\n\n#####\n")
    (record,) = Reflexion().read(path, Options())
    assert (record.repeat, record.success, record.lengths) == ("3", 0.0, {"steps": 0.0})
    assert [m.role for m in record.messages] == ["user"]


def test_metr_runs_are_outcomes_by_human_minutes() -> None:
    records = read("metr/all_runs.jsonl")
    assert [(r.repeat, r.success, r.stop, r.fault_code) for r in records] == [
        ("r0", 1.0, DONE, ""),
        ("r1", 0.0, CUT, ""),
        ("r2", 0.0, DONE, ""),
        ("r3", None, FAULT, "serverOrTask"),
        ("r4", 0.0, DONE, ""),
        ("r5", 1.0, DONE, ""),
    ]
    assert [r.lengths["minutes"] for r in records] == [12.5, 12.5, 480, 480, 480, 480]
    assert [r.released for r in records] == ["2025-02-24"] * 4 + ["2024-05-13", ""]
    assert {(r.item, r.family, r.task, r.weight) for r in records[:2]} == {
        ("local_research/main", "local_research", "HCAST", 0.125)
    }
    assert [r.success for r in read("metr/all_runs.jsonl", Options(score="score_cont"))][::4] == [0.75, 0.25]
    weighted = read("metr/all_runs.jsonl", Options(columns={"weight": "equal_task_weight"}))
    assert {r.weight for r in weighted} == {0.25}


# --- chat -----------------------------------------------------------------------------------------------


def test_chat_lines_are_runs_and_tools_errors_are_found() -> None:
    records = read("chat/chat.jsonl")
    assert outcomes(records) == [
        ("sum-1", "1", 1.0, DONE, ""),
        ("sum-2", "2", None, DONE, ""),
        ("sum-3", "3", None, CUT, ""),
        ("sum-4", "4", None, FAULT, "server_error"),
        ("sum-5", "3", 0.5, DONE, ""),
    ]
    assert records[0].messages[0].text == "Add 2 and 3.\n[image_url]"
    assert records[0].messages[2].tool == "add"
    assert [m.error for m in records[1].messages] == [
        "",
        "the arguments of the call to add are no JSON object",
        "bad JSON",
    ]
    assert [(step.ok, step.event) for step in records[4].steps] == [(True, None), (False, Event.SLIP)]


def test_chat_columns_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    row = {"uid": "a", "llm": "m", "k": 2, "won": False, "messages": [{"role": "user", "content": "hi"}]}
    path.write_text(json.dumps(row))
    with pytest.raises(BadLog, match=r"mine.jsonl:1: no item under item or .*'uid'"):
        list(Chat().read(path, Options()))
    (record,) = Chat().read(path, Options(columns={"item": "uid", "model": "llm", "repeat": "k", "success": "won"}))
    assert (record.item, record.repeat, record.model, record.success) == ("a", "2", "m", 0.0)


TOOL_ANSWERS = {
    "Error: not found": "Error: not found",
    "Unknown action fly": "Unknown action fly",
    'Traceback (most recent call last):\n  File "x"\nValueError: no': "ValueError: no",
    '{"error": "no such user"}': "no such user",
    '{"success": false}': '{"success": false}',
    '{"status": "error", "detail": 1}': '{"status": "error", "detail": 1}',
    '{"error": null, "value": 3}': "",
    '{"errors_fixed": 3}': "",
    "No error was found.": "",
    "": "",
}


@pytest.mark.parametrize("answer", TOOL_ANSWERS)
def test_a_tools_failure_is_told_from_its_results(answer: str) -> None:
    (message,) = chat_messages([{"role": "tool", "content": answer}], "x")
    assert message.error == TOOL_ANSWERS[answer]


def test_a_flag_marks_a_tools_failure() -> None:
    rows = [{"role": "tool", "content": "denied", flag: value} for flag, value in (("is_error", True), ("error", "no"))]
    assert [m.error for m in chat_messages(rows, "x")] == ["denied", "no"]


def test_what_the_prompt_holds_is_no_step() -> None:
    rows = [{"role": "user", "content": "1+1"}, {"role": "assistant", "content": "2"}]
    assert [m.role for m in chat_messages(list(rows), "x", prompt=True)] == ["user", "user"]
    assert [m.role for m in chat_messages(list(rows), "x")] == ["user", "assistant"]


# --- errors ---------------------------------------------------------------------------------------------

MESSAGES = '"messages": [{"role": "user", "content": "hi"}]'
BAD = {
    "role": ('{"id": 1, "messages": [{"role": "robot"}]}', r"chat.jsonl:1: message 0: its role is 'robot': use one of"),
    "messages": ('{"id": 1, "messages": {}}', r"chat.jsonl:1: its messages are 'dict': each line needs a list"),
    "range": (f'{{"id": 1, "score": 7, {MESSAGES}}}', r"chat.jsonl:1: score is 7, but a success is from 0 to 1"),
    "word": (
        f'{{"id": 1, "success": "maybe", {MESSAGES}}}',
        r"chat.jsonl:1: success is 'maybe': a success is a number",
    ),
    "verdict": (f'{{"id": 1, "steps": ["yes"], {MESSAGES}}}', r"chat.jsonl:1: step 0 is 'yes': it should say ok"),
    "list": ("[1]", r"chat.jsonl:1: a conversation should be a JSON object, not 'list'"),
    "cut": (f'{{"id": 1, {MESSAGES}', r"chat.jsonl:1: not JSON"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_is_one_clear_error(case: str, tmp_path: Path) -> None:
    text, said_of = BAD[case]
    path = tmp_path / "chat.jsonl"
    path.write_text(text)
    with pytest.raises(BadLog, match=said_of) as caught:
        list(Chat().read(path, Options()))
    assert "\n" not in str(caught.value)


def test_a_number_that_is_none_is_missing() -> None:
    values = (1, 0.5, True, float("inf"), float("nan"), 10**400, "3", None, [1])
    assert [number(value) == number(value) for value in values] == [True] * 3 + [False] * 6
    assert [count(value) for value in (3, 2.9, -1, 2**31, 10**400, "3")] == [3, 2, 0, 0, 0, 0]


def test_a_score_that_is_not_there_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(BadLog, match=r"no score 'corect' \(has: right_steps, correct, reward\)"):
        read("verifiers-0.4/traces.jsonl", Options(score="corect"))


def test_a_document_without_runs_is_an_error(tmp_path: Path) -> None:
    for reader in (Tau2Bench(), PlanBench(), TauBench()):
        path = tmp_path / "empty.json"
        path.write_text("{}")
        with pytest.raises(BadLog, match=r"empty\.json"):
            list(reader.read(path, Options()))


def test_the_minutes_of_a_metr_run_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text('{"task_id": "a", "human_minutes": null, "score_binarized": 1}\n')
    with pytest.raises(BadLog, match="human_minutes is None"):
        list(Metr().read(path, Options()))

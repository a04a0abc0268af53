"""Writes the fixtures of tools that were not run here, by hand: their formats, invented contents.

    python tests/logs/make_handmade.py

Keys, their order and the layout follow the sources that each reader's docstring names; no tool of the six wrote these
files. Where a tool writes a long text (a policy, a traceback), a short one stands for it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def write(name: str, text: str) -> None:
    (HERE / name).parent.mkdir(parents=True, exist_ok=True)
    (HERE / name).write_text(text)


def json_lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


# --- tau-bench ------------------------------------------------------------------------------------------

POLICY = {"role": "system", "content": "# Airline Agent Policy\n\nThe current time is 2024-05-15 15:00:00 EST."}


def call(name: str, arguments: str, key: str) -> dict[str, Any]:
    function = {"function": {"arguments": arguments, "name": name}, "id": key, "type": "function"}
    return {"content": None, "role": "assistant", "tool_calls": [function], "function_call": None}


def answer(name: str, key: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": key, "name": name, "content": content}


def tau_bench() -> None:
    user = {"role": "user", "content": "Hi, I'd like to change reservation ZFA04Y."}
    stop = {"role": "user", "content": "###STOP###"}
    said = {"content": "Your seat is changed.", "role": "assistant", "tool_calls": None, "function_call": None}
    look = [
        call("get_reservation_details", '{"reservation_id":"ZFA04Y"}', "call_a"),
        answer("get_reservation_details", "call_a", '{"reservation_id": "ZFA04Y", "cabin": "economy"}'),
    ]
    slip = [
        call("get_reservation_details", '{"reservation_id":"#ZFA04Y"}', "call_b"),
        answer("get_reservation_details", "call_b", "Error: reservation not found"),
    ]
    task = {"user_id": "sara_doe_496", "actions": [], "instruction": "Change your seat.", "outputs": []}

    def info(reward: float | None) -> dict[str, Any]:
        checked = None if reward is None else {
            "reward": reward,
            "info": {"r_actions": reward, "gt_data_hash": "0ab1"},
            "actions": [],
        }  # fmt: skip
        return {"task": task, "source": "user", "user_cost": None if reward is None else 0.01, "reward_info": checked}

    runs = [
        (0, 1.0, info(1.0), [POLICY, user, *look, said, stop], 0),
        (1, 0.0, info(0.0), [POLICY, user, *slip, *look, said, stop], 0),
        (2, 0.0, info(None), [POLICY, user, *(slip * 30)], 0),
        (
            3,
            0.0,
            {
                "error": "litellm.RateLimitError: RateLimitError: 429",
                "traceback": "Traceback (most recent call last):\n  ...\n"
                "litellm.exceptions.RateLimitError: litellm.RateLimitError: RateLimitError: 429\n",
            },
            [],
            0,
        ),
        (0, 0.0, info(0.0), [POLICY, user, said, stop], 1),
        (1, 1.0, info(1.0), [POLICY, user, *look, said, stop], 1),
    ]
    keys = ("task_id", "reward", "info", "traj", "trial")
    rows = [dict(zip(keys, run, strict=True)) for run in runs]
    write(
        "tau-bench/tool-calling-gpt-4o-mini-0.0_range_0-4_user-gpt-4o-llm_0515150000.json", json.dumps(rows, indent=2)
    )
    thought = 'Thought:\nLook it up.\nAction:\n{"name": "get_user_details", "arguments": {"user_id": "sara"}}'
    react = [
        POLICY,
        user,
        {"content": thought, "role": "assistant", "tool_calls": None, "function_call": None},
        {"content": "API output: Error: user not found", "role": "user", "tool_calls": None, "function_call": None},
        said,
        {"content": "###STOP###", "role": "user", "tool_calls": None, "function_call": None},
    ]
    write(
        "tau-bench/react-llama-3.1-0.7_range_0--1_user-gpt-4o-llm_0515160000.json",
        json.dumps([dict(zip(keys, (7, 0.0, info(0.0), react, 2), strict=True))], indent=2),
    )


# --- tau2-bench -----------------------------------------------------------------------------------------


def tau2_bench() -> None:
    def message(i: int, role: str, content: str | None, **more: Any) -> dict[str, Any]:
        return {"role": role, "content": content, "turn_idx": i, "timestamp": "2026-01-02T03:04:05"} | more

    def asks(i: int, name: str, requestor: str = "assistant") -> dict[str, Any]:
        calls = [{"id": f"c{i}", "name": name, "arguments": {"id": 1}, "requestor": requestor}]
        return message(i, requestor, None, tool_calls=calls, usage={"completion_tokens": 12, "prompt_tokens": 90})

    def gives(i: int, content: str, *, error: bool = False, requestor: str = "assistant") -> dict[str, Any]:
        return {"id": f"c{i - 1}", **message(i, "tool", content), "requestor": requestor, "error": error}

    talk = [
        message(0, "assistant", "Hi! How can I help you today?"),
        message(1, "user", "My phone has no service."),
        asks(2, "get_customer"),
        gives(3, "Customer not found", error=True),
        asks(4, "check_status", "user"),
        gives(5, "Airplane mode: ON", requestor="user"),
        message(6, "assistant", "Please turn airplane mode off."),
        message(7, "user", "###STOP###"),
    ]
    errors = [
        {"source": "agent", "turn_idx": 2, "severity": "minor", "reasoning": "wrong id"},
        {"source": "user", "turn_idx": 6, "severity": "minor", "reasoning": "said too little before it"},
    ]
    review = {"summary": "", "agent_error": True, "user_error": False, "has_errors": True, "errors": errors}

    def simulation(task: str, trial: int, reason: str, reward: float | None, **more: Any) -> dict[str, Any]:
        checked = {"reward": reward, "reward_basis": ["DB"], "reward_breakdown": {"DB": reward}}
        return {
            "id": f"{task}-{trial}",
            "task_id": task,
            "timestamp": "2026-01-02T03:04:05",
            "start_time": "2026-01-02T03:04:05",
            "end_time": "2026-01-02T03:05:05",
            "duration": 60.5,
            "termination_reason": reason,
            "agent_cost": 0.02,
            "reward_info": None if reward is None else checked,
            "messages": talk,
            "trial": trial,
        } | more

    info = {
        "git_commit": "0" * 40,
        "num_trials": 2,
        "max_steps": 200,
        "max_errors": 10,
        "user_info": {"implementation": "user_simulator", "llm": "gpt-4.1"},
        "agent_info": {"implementation": "llm_agent", "llm": "gpt-4.1-mini"},
        "environment_info": {"domain_name": "telecom", "policy": "# Policy"},
        "seed": 300,
    }
    runs = [
        simulation("[mobile]airplane_on", 0, "user_stop", 1.0, review=review),
        simulation("[mobile]airplane_on", 1, "max_steps", 0.0),
        simulation("[mobile]no_sim", 0, "too_many_errors", 0.0),
        simulation("[mobile]no_sim", 1, "infrastructure_error", None, messages=[]),
        simulation("[mobile]roaming", 0, "context_window_exceeded", 0.0),
    ]
    results = {"timestamp": "2026-01-02T03:04:05", "info": info, "tasks": [{"id": "[mobile]airplane_on"}]}
    write("tau2-bench/results.json", json.dumps(results | {"simulations": runs}, indent=2))
    entries = [
        {
            "id": run["id"],
            "task_id": run["task_id"],
            "trial": run["trial"],
            "reward": run["reward_info"] and run["reward_info"]["reward"],
            "termination_reason": run["termination_reason"],
            "agent_cost": 0.02,
            "duration": 60.5,
        }
        for run in runs
    ]
    write("tau2-bench-dir/results.json", json.dumps(results | {"simulation_index": entries}, indent=2))


# --- PlanBench ------------------------------------------------------------------------------------------


def planbench() -> None:
    query = (
        "[STATEMENT]\nAs initial conditions I have that, the red block is clear ...\nMy plan is as follows:\n\n[PLAN]"
    )
    truth = "(unstack b a)\n(put-down b)\n(pick-up a)\n(stack a b)\n"
    said = "\nunstack the blue block from on top of the red block\nput down the blue block\n[PLAN END]\n"

    def instance(key: int, **more: Any) -> dict[str, Any]:
        return {
            "instance_id": key,
            "example_instance_ids": [key - 1],
            "query": query,
            "ground_truth_plan": truth,
        } | more

    plans = [
        instance(2, llm_raw_response=said, extracted_llm_plan=truth, llm_correct=True),
        instance(3, llm_raw_response=said, extracted_llm_plan="(unstack b a)\n(stack b c)\n", llm_correct=False),
        instance(4, llm_raw_response="I cannot find a plan.", llm_correct=False),
        instance(5),
    ]
    head = {"task": "task_1_plan_generation", "prompt_type": "oneshot", "domain": "blocksworld_3", "instances": plans}
    path = "planbench/results/blocksworld_3/gpt-4_chat/"
    write(f"{path}task_1_plan_generation.json", json.dumps(head | {"engine": "gpt-4_chat"}, indent=4))
    unjudged = [instance(2, llm_raw_response=said)]
    responses = head | {"instances": unjudged, "engine": "gpt-4_chat"}
    write("planbench/responses/blocksworld_3/gpt-4_chat/task_1_plan_generation.json", json.dumps(responses, indent=4))
    verdict = "The above plan is valid."
    checked = instance(1, llm_raw_response=verdict, extracted_llm_plan={"valid": True}) | {
        "llm_correct_binary": True,
        "llm_correct_w_type": False,
        "llm_correct_w_expl": False,
    }
    head |= {"task": "task_3_plan_verification", "instances": [checked]}
    write(f"{path}task_3_plan_verification.json", json.dumps(head | {"engine": "gpt-4_chat"}, indent=4))


# --- Reflexion ------------------------------------------------------------------------------------------

PROMPT = (
    "Interact with a household to solve a task. Here are two examples.\nYou are in the middle of a room.\n"
    "Your task is to: put some spraybottle on toilet.\n> think: To solve the task, I need a spraybottle.\nOK.\n"
    "> go to cabinet 1\nOn the cabinet 1, you see a cloth 1.\n"
)


def run_text(z: int, memory: str, steps: list[tuple[str, str]], status: str) -> str:
    told = f"\n\nYour memory for the task below:\nTrial 0:\n{memory}" if memory else ""
    start = f"\nHere is the task:\nYou are in the middle of a room.\nYour task is to: cool env {z}."
    played = "\n".join(f"> {action}\n{seen}" for action, seen in steps)
    return f"\n#####\n\nEnvironment #{z}:\n{PROMPT}{told}{start}\n{played}\n\nSTATUS: {status}\n\n#####\n"


def reflexion() -> None:
    think = ("think: To solve the task, I need to find a mug.", "OK.")
    win = [think, ("go to fridge 1", "On the fridge 1, you see nothing."), ("put mug 1", "You put the mug 1.")]
    fail = ("take mug 1", "Nothing happens.")
    stuck = [think, fail, fail]
    long = [(f"go to shelf {i}", f"On the shelf {i}, you see a vase {i}.\nIt is empty.") for i in range(49)]
    trials = [
        [run_text(0, "", win, "OK"), run_text(1, "", stuck, "FAIL"), run_text(2, "", long, "FAIL")],
        [
            "\n#####\n\nEnvironment #0: Success\n\n#####\n",
            run_text(1, "I was stuck in a loop.", win, "OK"),
            run_text(2, "I should look at the shelves first.", stuck, "FAIL"),
        ],
    ]
    solved = [[True, False, False], [True, True, False]]
    memories: list[list[str]] = [[], [], []]
    world = ""
    for t, (texts, done) in enumerate(zip(trials, solved, strict=True)):
        tally = (
            f"\n-----\nSUCCESS: {sum(done)}\nADDITIONAL SUCCESS: 1\nFAIL: {3 - sum(done)}\nTOTAL: 3\nACCURACY: 0\n-----"
        )
        write(f"reflexion/trial_{t}.log", "".join(texts) + tally)
        lines = "".join(f"Environment #{z} Trial #{t}: {'SUCCESS' if ok else 'FAIL'}\n" for z, ok in enumerate(done))
        world += f"\n\n***** Start Trial #{t} *****\n\n{lines}{tally}\n\n\n***** End Trial #{t} *****\n\n"
        for z, ok in enumerate(done):
            memories[z] += [] if ok else [f"I failed in trial {t}."]
        rows = [
            {"name": f"env_{z}", "memory": list(memories[z]), "is_success": ok, "skip": False}
            for z, ok in enumerate(done)
        ]
        write(f"reflexion/env_results_trial_{t}.json", json.dumps(rows, indent=4))
    write("reflexion/world.log", world)


# --- METR -----------------------------------------------------------------------------------------------


def metr() -> None:
    def run(n: int, task: str, alias: str, minutes: float, score: float, source: str | None) -> dict[str, Any]:
        start = 1_740_000_000_000 + n * 3_600_000
        return {
            "task_id": f"{task}/main",
            "task_family": task,
            "run_id": f"r{n}",
            "alias": alias,
            "model": alias.lower().replace(" ", "-"),
            "score_cont": score,
            "score_binarized": int(score >= 0.5),
            "fatal_error_from": source,
            "human_minutes": minutes,
            "human_score": 1.0,
            "human_source": "baseline",
            "task_source": "HCAST",
            "generation_cost": 0.3,
            "human_cost": 12.5,
            "tokens_count": None if alias == "human" else 51_000,
            "time_limit": None,
            "started_at": start,
            "completed_at": start + 90_000.0,
            "task_version": "1.0.0",
            "equal_task_weight": 0.25,
            "invsqrt_task_weight": 0.125,
        }

    rows = [
        run(0, "local_research", "Claude 3.7 Sonnet", 12.5, 0.75, None),
        run(1, "local_research", "Claude 3.7 Sonnet", 12.5, 0.0, "usageLimits"),
        run(2, "hash_sorting", "Claude 3.7 Sonnet", 480, 0.0, "agent"),
        run(3, "hash_sorting", "Claude 3.7 Sonnet", 480, 0.0, "serverOrTask"),
        run(4, "hash_sorting", "GPT-4o", 480, 0.25, None),
        run(5, "hash_sorting", "human", 480, 1.0, None),
    ]
    write("metr/all_runs.jsonl", json_lines(rows))
    write(
        "metr/release_dates.yaml",
        "date:\n  Claude 3.7 Sonnet: 2025-02-24\n  GPT-4o: 2024-05-13\n  davinci-002 (GPT-3): 2020-05-28\n",
    )


# --- chat -----------------------------------------------------------------------------------------------


def chat() -> None:
    user = {
        "role": "user",
        "content": [{"type": "text", "text": "Add 2 and 3."}, {"type": "image_url", "image_url": {}}],
    }
    calls = call("add", '{"a": 2, "b": 3}', "call_1")
    broken = call("add", '{"a": 2, ', "call_2")
    rows = [
        {
            "id": "sum-1",
            "model": "m",
            "messages": [user, calls, answer("", "call_1", "5"), {"role": "assistant", "content": "5"}],
            "correct": True,
        },
        {"id": "sum-2", "model": "m", "messages": [user, broken, answer("add", "call_2", '{"error": "bad JSON"}')]},
        {"id": "sum-3", "messages": [user, {"role": "assistant", "content": "It is"}], "finish_reason": "length"},
        {"id": "sum-4", "messages": [user], "error": {"type": "server_error", "message": "overloaded"}},
        {
            "id": "sum-5",
            "trial": 3,
            "messages": [user, {"role": "assistant", "content": "5"}, {"role": "assistant", "content": "6"}],
            "steps": [True, {"ok": False, "event": "slip"}],
            "reward": 0.5,
        },
    ]
    write("chat/chat.jsonl", json_lines(rows))


if __name__ == "__main__":
    for make in (tau_bench, tau2_bench, planbench, reflexion, metr, chat):
        make()

"""Writes tests/logs/verifiers-0.1.9/ with verifiers 0.1.9 itself: results.jsonl and metadata.json, offline.

    python3.11 -m venv /tmp/vf0 && /tmp/vf0/bin/pip install verifiers==0.1.9
    /tmp/vf0/bin/python tests/logs/make_verifiers_v0.py

The running total of `make_verifiers` with `scripted_server`, as a ToolEnv whose tool refuses negative numbers: right,
wrong from the third step, more steps than `max_turns`, a provider error, a refused argument, arguments that are no
JSON; two rollouts each, the state columns `is_completed` and `stop_condition` saved.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import verifiers as vf
from datasets import Dataset
from openai import AsyncOpenAI
from verifiers.utils.eval_utils import save_rollout_results

HERE = Path(__file__).parent
STARTS = {10: 4, 20: 4, 30: 8, 40: 4, 60: 2, 70: 2}  # steps by what happens


def add(a: int, b: int) -> int:
    """Add two numbers from 0 up."""
    if a < 0:
        raise ValueError(f"{a} is negative")
    return a + b


class TotalEnv(vf.ToolEnv):
    """The user names the next term until there is none left."""

    @vf.stop
    async def no_tools_called(self, state: vf.State) -> bool:
        return state.get("given", 1) >= len(state["info"]["terms"]) and bool(state["trajectory"])

    async def env_response(self, messages: vf.Messages, state: vf.State, **kwargs: object) -> vf.Messages:
        if messages[-1].get("tool_calls"):
            return await super().env_response(messages, state, **kwargs)
        state["given"] = given = state.get("given", 1) + 1
        return [{"role": "user", "content": f"add {state['info']['terms'][given - 1]}"}]


async def correct(completion: vf.Messages, info: dict) -> float:
    """Whether the last total is right after every term."""
    total = info["start"] + sum(info["terms"])
    return float(completion[-1]["role"] == "assistant" and completion[-1]["content"] == f"total {total}")


def main() -> None:
    """Run the evaluation and save it as `vf-eval` does."""
    sys.path.insert(0, str(HERE))
    from scripted_server import MODEL, serving

    terms = {start: [start + i for i in range(steps)] for start, steps in STARTS.items()}
    rows = [
        {
            "prompt": [{"role": "user", "content": f"start {start}, add {start}"}],
            "answer": "",
            "info": {"start": start, "terms": terms[start]},
        }
        for start in STARTS
    ]
    env = TotalEnv(
        tools=[add], max_turns=6, dataset=Dataset.from_list(rows), rubric=vf.Rubric(funcs=[correct]), env_id="total"
    )
    with serving() as url, tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(
            env.evaluate(
                client=AsyncOpenAI(base_url=url, api_key="none", max_retries=0),
                model=MODEL,
                num_examples=len(rows),
                rollouts_per_example=2,
                max_concurrent=1,
                results_path=Path(folder) / "run",
                state_columns=["is_completed", "stop_condition"],
            )
        )
        results["metadata"]["base_url"] = "http://127.0.0.1/v1"
        results["metadata"]["path_to_save"] = HERE / "verifiers-0.1.9"
        save_rollout_results(results)


if __name__ == "__main__":
    main()

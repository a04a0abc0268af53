"""Writes tests/logs/verifiers-0.4/ with verifiers itself: `vf-eval` on the world below, offline.

    python3.11 -m venv /tmp/vf && /tmp/vf/bin/pip install verifiers==0.4.0 uv
    /tmp/vf/bin/python tests/logs/make_verifiers.py

The world is a running total; the model is `scripted_server`. Ten episodes: five tasks (right, wrong from the third
step, more steps than `max_turns`, a provider error, a reply cut off for length), two rollouts each. `traces.jsonl` is
what it wrote, but for the home folder's name; `reported.json` is what its own classes say of that file.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import verifiers.v1 as vf

__all__ = ["TotalEnv", "TotalTaskset"]
HERE = Path(__file__).parent
STARTS = {10: 4, 20: 4, 30: 8, 40: 4, 50: 3}  # steps by what happens


class TotalData(vf.TaskData):
    start: int
    terms: list[int]


class TotalTask(vf.Task[TotalData]):
    @vf.reward
    async def correct(self, trace: vf.Trace) -> float:
        steps = trace.info.get("steps", [])
        return float(len(steps) == len(self.data.terms) and all(step["ok"] for step in steps))

    @vf.metric
    async def right_steps(self, trace: vf.Trace) -> float:
        return float(sum(step["ok"] for step in trace.info.get("steps", [])))


class TotalTaskset(vf.Taskset[TotalTask, vf.TasksetConfig]):
    def load(self) -> list[TotalTask]:
        return [
            TotalTask(TotalData(name=f"total-{start}", start=start, terms=[start + i for i in range(steps)]))
            for start, steps in STARTS.items()
        ]


class TotalConfig(vf.EnvConfig):
    player: vf.AgentConfig = vf.AgentConfig()


class TotalEnv(vf.Env[TotalConfig]):
    async def run(self, task: TotalTask, agents: vf.Agents) -> None:
        async with agents.player.interaction(task) as exchange:
            steps = exchange.trace.info.setdefault("steps", [])
            total = task.data.start
            for i, term in enumerate(task.data.terms):
                total += term
                said = await exchange.turn(f"start {total - term}, add {term}" if i == 0 else f"add {term}")
                if said.terminated:
                    break
                steps.append({"ok": said.last_reply.strip() == f"total {total}"})


def main() -> None:
    """Run the evaluation; keep its traces and what verifiers says of them."""
    sys.path.insert(0, str(HERE))
    from scripted_server import MODEL, serving
    from verifiers.v1.cli.eval.main import main as evaluate

    os.environ["SCRIPTED_KEY"] = "none"
    with serving() as url, tempfile.TemporaryDirectory() as folder:
        evaluate(
            [
                *("make-verifiers", "--no-push", "--no-rich", "--model", MODEL, "-r", "2", "-c", "1", "-o", folder),
                *("--client.base-url", url, "--client.api-key-var", "SCRIPTED_KEY", "--env.player.max-turns", "6"),
                *("--env.player.harness.id", "null", "--env.player.runtime.type", "subprocess"),
            ]
        )
        (made,) = Path(folder).rglob("traces.jsonl")
        written = made.read_text().replace(str(Path.home()), "/home/user")
    (HERE / "verifiers-0.4").mkdir(exist_ok=True)
    (HERE / "verifiers-0.4" / "traces.jsonl").write_text(written)
    report(HERE / "verifiers-0.4")


def report(folder: Path) -> None:
    """What verifiers' own loader says of each trace."""
    from verifiers.v1.episode import WireEpisode

    episodes = [WireEpisode.model_validate_json(line) for line in (folder / "traces.jsonl").read_text().splitlines()]
    rows = [
        {
            "key": trace.task.key,
            "id": trace.id,
            "model": trace.agent.config.model,
            "reward": trace.reward if trace.rewards else None,
            "metrics": trace.metrics,
            "ok": trace.ok,
            "error": trace.last_error.type if trace.last_error else None,
            "stop_condition": trace.stop_condition,
            "is_truncated": trace.is_truncated,
            "turns": trace.num_turns,
            "output_tokens": trace.num_output_tokens,
            "messages": [[message.role, message.content] for message in trace.messages],
        }
        for episode in episodes
        for trace in episode.traces
    ]
    (folder / "reported.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

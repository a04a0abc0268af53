"""Reads logs larger than memory should ever hold, through a pipe, and reports rate and peak of memory.

    python benchmarks/logs_streaming.py --gigabytes 5

For each format: runs/s, MB/s and the peak of resident memory of a reader that is fed so many bytes of made-up runs, and
(JSON lines only) in the same run of `json.loads` alone on the same lines. The bytes pass through a named pipe, so
nothing is stored. Rates are by CPU time of the reading process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from deadreckon.logs.chat import Chat
from deadreckon.logs.metr import Metr
from deadreckon.logs.record import Options, Reader
from deadreckon.logs.tau_bench import TauBench
from deadreckon.logs.verifiers_v1 import VerifiersV1

STEPS = 12
BATCH = 200  # runs written at once
READERS: dict[str, Reader] = {"chat": Chat(), "metr": Metr(), "tau-bench": TauBench(), "verifiers-v1": VerifiersV1()}


def chat_run(n: int) -> str:
    messages = [{"role": "user", "content": "Sort the list. " * 10}]
    for step in range(STEPS):
        function = {"name": "swap", "arguments": f'{{"i": {step}, "j": {n % 7}}}'}
        calls = [{"id": f"c{step}", "type": "function", "function": function}]
        messages.append({"role": "assistant", "content": "I swap two. " * 4, "tool_calls": calls})
        messages.append({"role": "tool", "tool_call_id": f"c{step}", "content": "[3, 1, 2] " * 6})
    return json.dumps({"id": f"item-{n}", "model": "m", "messages": messages, "correct": n % 3 == 0})


def tau_run(n: int) -> str:
    run = json.loads(chat_run(n))
    info = {"task": {}, "reward_info": {"reward": 1.0}}
    return json.dumps({"task_id": n, "reward": 1.0, "info": info, "traj": run["messages"], "trial": 0}, indent=2)


def metr_run(n: int) -> str:
    head = {"task_id": f"family/{n}", "task_family": "family", "run_id": f"r{n}", "alias": "Model", "model": "model"}
    scores = {"score_cont": 0.5, "score_binarized": n % 2, "fatal_error_from": None, "human_minutes": 1.0 + n % 480}
    times = {"started_at": 1_740_000_000_000, "completed_at": 1_740_000_090_000, "tokens_count": 51_000}
    return json.dumps(head | scores | times | {"task_source": "HCAST", "invsqrt_task_weight": 0.001})


def verifiers_run(n: int) -> str:
    nodes = []
    for step in range(2 * STEPS):
        role = ("user", "assistant")[step % 2]
        node = {"parent": step - 1 if step else None, "message": {"role": role, "content": "add 7 " * 8}}
        logprobs = {"token_ids": list(range(40)), "logprobs": [-0.1234] * 40} if step % 2 else {"token_ids": []}
        nodes.append(node | {"sampled": bool(step % 2)} | logprobs)
    task = {"type": "T", "key": f"key-{n}", "data": {"idx": n}}
    trace = {
        "version": 1,
        "id": f"t{n}",
        "task": task,
        "agent": {"config": {"model": "m"}},
        "nodes": nodes,
        "calls": [],
    }
    trace |= {"rewards": {"correct": {"score": 1.0, "weight": 1.0}}, "is_completed": True, "ok": True}
    return json.dumps({"id": f"e{n}", "env": {"id": "env"}, "task": task, "ok": True, "traces": [trace]})


RUNS = {"chat": chat_run, "metr": metr_run, "tau-bench": tau_run, "verifiers-v1": verifiers_run}


def batches(name: str, size: int) -> Iterator[bytes]:
    """Pieces of a file of that format and about that size."""
    array = name == "tau-bench"
    end, written, n = ",\n" if array else "\n", 0, 0
    if array:
        yield b"["
    while written < size:
        data = "".join(RUNS[name](i) + end for i in range(n, n + BATCH)).encode()
        n += BATCH
        for _ in range(50):  # the same runs again: making them must not take longer than reading them
            written += len(data)
            yield data
    if array:
        yield tau_run(n).encode() + b"]"


def read(name: str, path: Path, plain: bool) -> dict[str, float]:
    """Read the file in this process; what it took."""
    start, runs = time.process_time(), 0
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if plain:
        with path.open("rb") as file:
            for line in file:
                json.loads(line)
                runs += 1
    else:
        for _ in READERS[name].read(path, Options()):
            runs += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"runs": runs, "seconds": time.process_time() - start, "peak": peak / 1024, "base": base / 1024}


def piped(name: str, size: int, plain: bool) -> dict[str, float]:
    """Feed a reader in a process of its own through a named pipe."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        os.mkfifo(path)
        command = [sys.executable, __file__, "--child", name, str(path), *(["--plain"] if plain else [])]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            written = 0
            with path.open("wb") as pipe:
                for data in batches(name, size):
                    pipe.write(data)
                    written += len(data)
            out, _ = child.communicate()
        return json.loads(out) | {"bytes": float(written)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=5.0, help="size of each log")
    parser.add_argument("--formats", nargs="*", default=list(RUNS), help="which formats")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(read(options.child[0], Path(options.child[1]), options.plain)))
        return
    print(f"{'format':<16}{'GB':>6}{'runs':>12}{'runs/s':>10}{'MB/s':>7}{'peak MiB':>10}{'before MiB':>12}")
    for name in options.formats:
        for plain in (False, True) if name != "tau-bench" else (False,):
            took = piped(name, int(options.gigabytes * 1e9), plain)
            rate, speed = took["runs"] / took["seconds"], took["bytes"] / took["seconds"] / 1e6
            label = "  json.loads" if plain else name
            print(
                f"{label:<16}{took['bytes'] / 1e9:>6.2f}{took['runs']:>12,.0f}{rate:>10,.0f}{speed:>7.0f}"
                f"{took['peak']:>10.0f}{took['base']:>12.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

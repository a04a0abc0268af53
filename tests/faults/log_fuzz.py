"""Damages the fixtures of tests/logs, seeded, and says what a reader made of each: a typed error or a right table.

    python tests/faults/log_fuzz.py 10000 [FIXTURE ...]
    python tests/faults/log_fuzz.py bombs

The first runs so many damaged files through every reader and prints counts, the slowest file and the peak of memory.
The second reads files made to fill the memory: just below the cap on a line, and, where that is refused unread, as
large as is let through; each in a process of its own.
"""

from __future__ import annotations

import json
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from copy import deepcopy
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

from deadreckon.contracts import Stop
from deadreckon.errors import BadLog
from deadreckon.logs.chat import Chat
from deadreckon.logs.metr import Metr
from deadreckon.logs.planbench import PlanBench
from deadreckon.logs.record import Options, Reader, Record
from deadreckon.logs.reflexion import Reflexion
from deadreckon.logs.tau2_bench import Tau2Bench
from deadreckon.logs.tau_bench import TauBench
from deadreckon.logs.verifiers_v0 import VerifiersV0
from deadreckon.logs.verifiers_v1 import VerifiersV1

LOGS = Path(__file__).parents[1] / "logs"
LINES, ARRAY, TEXT = "lines", "array", "text"  # how runs lie in a file; an array may lie under a key
TAU = "tool-calling-gpt-4o-mini-0.0_range_0-4_user-gpt-4o-llm_0515150000.json"
FIXTURES: dict[str, tuple[Reader, str, str]] = {
    "verifiers-0.4/traces.jsonl": (VerifiersV1(), LINES, ""),
    "verifiers-0.1.9/results.jsonl": (VerifiersV0(), LINES, ""),
    f"tau-bench/{TAU}": (TauBench(), ARRAY, ""),
    "tau2-bench/results.json": (Tau2Bench(), ARRAY, "simulations"),
    "planbench/results/blocksworld_3/gpt-4_chat/task_1_plan_generation.json": (PlanBench(), ARRAY, "instances"),
    "reflexion/trial_0.log": (Reflexion(), TEXT, ""),
    "reflexion/env_results_trial_1.json": (Reflexion(), ARRAY, ""),
    "metr/all_runs.jsonl": (Metr(), LINES, ""),
    "chat/chat.jsonl": (Chat(), LINES, ""),
}
HOSTILE_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 10**30, 10**400, 1e308, float("nan"), float("inf"), -0.0, "", " ", "\ud800", "\x00", "[",
    "Error: x", "{" * 70, [], [[]], [None], {}, {"": {}}, [{"role": "assistant"}], {"error": 1}, "9" * 5000, ["a", 1],
)  # fmt: skip
HOSTILE_BYTES = (
    b"[" * 200, b"{" * 200, b'{"a":' * 100, b"\\ud800", b"\xff\xfe", b"\x00", b"1e999", b"NaN", b"-", b'"', b"\\", b",",
    b"}", b"]", b"\n", b"\r\n", b"#####\n", b"> ", b"STATUS: OK\n", b"Environment #1:\n", b"\xed\xa0\x80", b"9" * 5000,
)  # fmt: skip


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """A few bytes flipped, cut, doubled or put in."""
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 8, 64, 1024))
        how = rng.randrange(5)
        if how == 0:
            data = data[:at]
        elif how == 1:
            data = data[:at] + data[at + length :]
        elif how == 2:
            data = data[:at] + data[at : at + length] * 2 + data[at + length :]
        elif how == 3:
            data = data[:at] + rng.choice(HOSTILE_BYTES) + data[at:]
        else:
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    return data


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) below a value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in list(entries):
        yield value, key
        yield from places(below)


def damaged_run(run: Any, rng: random.Random) -> Any:
    """The run with one to three of its values replaced, removed or nested."""
    for _ in range(rng.randint(1, 3)):
        found = list(places(run))
        if not found:
            return deepcopy(rng.choice(HOSTILE_VALUES))
        holder, key = rng.choice(found)
        how = rng.randrange(6)
        if how == 0:
            del holder[key]
        elif how == 1:
            holder[key] = [holder[key]]
        else:
            holder[key] = deepcopy(rng.choice(HOSTILE_VALUES))
    return run if rng.random() > 0.05 else deepcopy(rng.choice(HOSTILE_VALUES))


def read_runs(data: bytes, layout: str, key: str) -> list[Any]:
    if layout == LINES:
        return [json.loads(line) for line in data.splitlines()]
    return json.loads(data)[key] if key else json.loads(data)


def write_runs(data: bytes, runs: list[Any], layout: str, key: str) -> bytes:
    if layout == LINES:
        return "".join(json.dumps(run) + "\n" for run in runs).encode()
    return json.dumps(json.loads(data) | {key: runs} if key else runs).encode()


def wrong(record: Record) -> str:
    """What is wrong with a record whatever its file holds; "" where nothing is."""
    texts = [record.item, record.repeat, record.model, record.task, record.family, record.fault_code, record.released]
    texts += [text for m in record.messages for text in (m.text, m.error, m.tool)] + [s.action for s in record.steps]
    checks = {
        "no item": bool(record.item.strip()),
        "a success outside 0 ... 1": record.success is None or 0 <= record.success <= 1,
        "a fault with a success": record.stop is not Stop.FAULT or record.success is None,
        "a fault without a code": (record.stop is Stop.FAULT) == bool(record.fault_code),
        "a length": all(isfinite(value) and value >= 0 for value in record.lengths.values()),
        "a score": all(isfinite(value) for value in record.scores.values()),
        "a weight": isfinite(record.weight) and record.weight >= 0,
        "a role": all(m.role in ("system", "user", "assistant", "tool") for m in record.messages),
        "tokens": all(0 <= m.tokens < 2**31 for m in record.messages),
        "a verdict": all(step.ok in (None, True, False) for step in record.steps),
        "a line": record.line >= 1,
        "text that is none": all(isinstance(text, str) for text in texts),
    }
    for text in texts:
        text.encode()  # a lone surrogate could not be written again
    return next((fact for fact, holds in checks.items() if not holds), "")


def seen(record: Record) -> str:
    """The record as text without its line; nan equals nan."""
    return repr(replace(record, line=0))


class Fuzz:
    """One fixture, damaged in many ways."""

    def __init__(self, name: str, folder: Path):
        self.reader, self.layout, self.key = FIXTURES[name]
        self.data = (LOGS / name).read_bytes()
        self.path = folder / Path(name).name
        self.path.write_bytes(self.data)
        self.whole = self.read()
        assert isinstance(self.whole, list)

    def read(self) -> list[Record] | str:
        """The records, or the error."""
        try:
            return list(self.reader.read(self.path, Options()))
        except BadLog as error:
            said = str(error)
            assert "\n" not in said, said
            assert str(self.path) in said, said
            return said

    def once(self, rng: random.Random) -> bool:
        """Damage once. Whether there was an error; AssertionError where the table is wrong."""
        keep = None
        if self.layout != TEXT and rng.random() < 0.6:
            runs = read_runs(self.data, self.layout, self.key)
            keep = rng.randrange(len(runs))
            runs[keep] = damaged_run(runs[keep], rng)
            data = write_runs(self.data, runs, self.layout, self.key)
        elif rng.random() < 0.2:
            data = self.data[: rng.randrange(len(self.data))]
        else:
            data = damaged_bytes(self.data, rng)
        self.path.write_bytes(data)
        found = self.read()
        if isinstance(found, str):
            return True
        for record in found:
            assert not (fact := wrong(record)), (fact, record)
        if keep is not None:
            self.others_are_unchanged(found, keep)
        return False

    def others_are_unchanged(self, found: list[Record], damaged: int) -> None:
        """Every run but the damaged one is read as it was."""
        intact = [seen(record) for record in self.whole if record.line != damaged + 1]
        assert [seen(record) for record in found if record.line != damaged + 1] == intact


def main(times: int, names: Collection[str]) -> None:
    """Damage each fixture so often; print what came of it."""
    print(f"{'fixture':<78}{'files':>7}{'errors':>8}{'tables':>8}{'slowest':>10}{'CPU s':>7}")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            fuzz, rng = Fuzz(name, Path(folder)), random.Random(name)
            errors, slowest, start = 0, 0.0, time.process_time()
            for _ in range(times):
                before = time.process_time()
                errors += fuzz.once(rng)
                slowest = max(slowest, time.process_time() - before)
            spent = time.process_time() - start
        print(f"{name:<78}{times:>7}{errors:>8}{times - errors:>8}{1000 * slowest:>7.0f} ms{spent:>7.1f}", flush=True)
    print(f"peak resident memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


SIZE = (64 << 20) - 4096
BOMBS: dict[str, tuple[Reader, bytes, bytes, bytes]] = {  # what, its reader, beginning, what is repeated, end
    "empty messages": (Chat(), b'{"id":1,"messages":[', b"{},", b"{}]}"),
    "short messages": (Chat(), b'{"id":1,"messages":[', b'{"role":"user"},', b'{"role":"user"}]}'),
    "short texts": (Chat(), b'{"id":1,"messages":[', b'{"role":"user","content":"abcdefg"},', b'{"role":"user"}]}'),
    "tool calls": (
        Chat(), b'{"id":1,"messages":[{"role":"assistant","tool_calls":[', b'{"id":"abcdefghi"},', b"{}]}]}",
    ),
    "wide text": (
        Chat(), b'{"id":1,"messages":[{"role":"user","content":"\xf0\x9f\x98\x80', b"abcdefgh", b'"}]}',
    ),
    "arguments": (
        Chat(), b'{"id":1,"messages":[{"role":"assistant","tool_calls":[{"arguments":"', b"[],", b'"}]}]}',
    ),
    "numbers": (VerifiersV1(), b'{"nodes":[{"logprobs":[', b"-0.1234,", b"0]}]}"),
    "verdicts": (Chat(), b'{"id":1,"messages":[],"steps":[', b"true,", b"true]}"),
    "an answer of lines": (
        Chat(), b'{"id":1,"messages":[{"role":"tool","is_error":true,"content":"', b"a\\n", b'"}]}',
    ),
    "a JSON answer": (
        Chat(), b'{"id":1,"messages":[{"role":"tool","content":"{\\"error\\":1,\\"\xf0\x9f\x98\x80', b"a,", b'"}]}',
    ),
    "a name": (VerifiersV0(), b'{"example_id":1,"reward":1,"stop_condition":"max_', b"tokens", b'!"}'),
    "nodes": (VerifiersV1(), b'{"task":{"key":"a"},"nodes":[', b"{},", b"{}]}"),
    "scores": (VerifiersV0(), b'{"example_id":1,"metrics":{', b'"a":1,', b'"b":1}}'),
    "a run in an array": (TauBench(), b'[{"task_id":1,"traj":[', b"{},", b"{}]}]"),
    "lines of a plan": (PlanBench(), b'{"instances":[{"instance_id":1,"llm_raw_response":"', b"a\\n", b'"}]}'),
    "lines of a run": (Reflexion(), b"\n#####\n\nEnvironment #0:\n", b"> a\nb\n", b"\n\nSTATUS: OK\n\n#####\n"),
}  # fmt: skip


def bomb(what: str, size: int = SIZE) -> str:
    """Read one of them here: what came of it, CPU seconds, peak of memory."""
    reader, start, repeated, end = BOMBS[what]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("trial_0.log" if reader.name == "reflexion" else "bomb.json")
        with path.open("wb") as file:
            file.write(start)
            many = repeated * ((1 << 20) // len(repeated))
            for _ in range((size - len(start) - len(end)) // len(many)):
                file.write(many)
            file.write(end)
        began = time.process_time()
        try:
            said = f"{sum(1 for _ in reader.read(path, Options()))} runs"
        except BadLog as error:
            said = str(error).removeprefix(str(path))[:60]
        spent = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return f"{what:<20}{reader.name:<14}{size >> 20:>4} MiB{spent:>6.1f} s{peak:>6} MiB peak  {said}"


def bombs() -> None:
    """Each of them whole, and as large as is let through."""
    for what in BOMBS:
        whole = _apart(what, SIZE)
        if found := re.search(r"could take (\d+) MiB, more than (\d+)", whole):
            _apart(what, int(SIZE * int(found[2]) / int(found[1]) * 0.99))


def _apart(what: str, size: int) -> str:
    done = subprocess.run(
        [sys.executable, __file__, "bomb", what, str(size)], check=True, capture_output=True, text=True
    )
    print(done.stdout, end="", flush=True)
    return done.stdout


if __name__ == "__main__":
    if sys.argv[1:] == ["bombs"]:
        bombs()
    elif sys.argv[1:2] == ["bomb"]:
        print(bomb(sys.argv[2], int(sys.argv[3])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, sys.argv[2:] or FIXTURES)

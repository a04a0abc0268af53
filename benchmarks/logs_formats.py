"""How fast is every other reader of logs, and how much memory does it take, beside pandas.read_json on the same file?

    python benchmarks/logs_formats.py            needs pandas

Each fixture of tests/logs is grown by repeating its runs to about the size asked for; each reader and its peer run in
processes of their own, in turn. Printed: rows/s of CPU time (a row is a run, for pandas an element of the file) and the
peak of resident memory. Inspect AI and lm-evaluation-harness have `benchmarks/logs.py`.

Measured on one core of a Zen 5 EPYC, 5 MB a format, thousand rows/s ours / pandas: chat 47 / 51, metr 77 / 98,
verifiers-v1 9.7 / 4.4, verifiers-v0 33 / 37, tau-bench 9.2 / 13, tau2-bench 18 / 43, planbench 50 / 243, reflexion
136 / 338; 70 MiB against 106 to 167. pandas reads the JSON and no more: no messages, verdicts or stops.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deadreckon.logs.readers import READERS
from deadreckon.logs.record import Options

FIXTURES = Path(__file__).parents[1] / "tests" / "logs"
TAU = "tool-calling-gpt-4o-mini-0.0_range_0-4_user-gpt-4o-llm_0515150000.json"
PLANS = "results/blocksworld_3/gpt-4_chat/task_1_plan_generation.json"
GROWN = {  # format: folder, file, where its runs stand ("lines", "" = the file is their list, or a key)
    "chat": ("chat", "chat.jsonl", "lines"),
    "metr": ("metr", "all_runs.jsonl", "lines"),
    "verifiers-v1": ("verifiers-0.4", "traces.jsonl", "lines"),
    "verifiers-v0": ("verifiers-0.1.9", "results.jsonl", "lines"),
    "tau-bench": ("tau-bench", TAU, ""),
    "tau2-bench": ("tau2-bench", "results.json", "simulations"),
    "planbench": ("planbench", PLANS, "instances"),
    "reflexion": ("reflexion", "env_results_trial_0.json", ""),
}


def grow(path: Path, runs: str, size: int) -> None:
    """Repeat the runs of a log in place until it has about `size` bytes."""
    times = max(1, size // path.stat().st_size)
    if runs == "lines":
        path.write_text(path.read_text() * times)
        return
    log = json.loads(path.read_text())
    if runs:
        log[runs] = log[runs] * times
    else:
        log = log * times
    path.write_text(json.dumps(log))


def one(who: str, name: str, path: Path) -> None:
    """Read once and print rows, CPU seconds and peak MiB: run in a fresh process."""
    runs = GROWN[name][2]
    if who == "pandas":
        import pandas

        began = time.process_time()
        if runs in ("lines", ""):
            rows = len(pandas.read_json(path, lines=runs == "lines"))
        else:
            rows = len(pandas.json_normalize(json.loads(path.read_text())[runs]))
    else:
        began = time.process_time()
        rows = sum(1 for _ in READERS[name].read(path, Options()))
    spent = time.process_time() - began
    print(rows, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--megabytes", type=float, default=10.0)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one[0], options.one[1], Path(options.one[2]))
        return
    for name, (folder, file, runs) in GROWN.items():
        with tempfile.TemporaryDirectory() as place:
            path = Path(shutil.copytree(FIXTURES / folder, Path(place) / folder)) / file
            grow(path, runs, int(options.megabytes * 1e6))
            for who in ("ours", "pandas"):
                command = [sys.executable, __file__, "--one", who, name, str(path)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    print(f"{name:<14}{who:<8}{done.stderr.strip().splitlines()[-1][:90]}")
                    continue
                rows, spent, peak = done.stdout.split()
                rate = int(rows) / max(float(spent), 1e-9)
                print(f"{name:<14}{who:<8}{int(rows):>8,} rows {rate:>12,.0f} rows/s {peak:>6} MiB")


if __name__ == "__main__":
    main()

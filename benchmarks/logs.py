"""How fast are logs read, and in how much memory, beside the tools' own readers?

    VENV/bin/python benchmarks/logs.py              # 1,000 Inspect samples, 20,000 lm-eval documents
    VENV/bin/python benchmarks/logs.py --big 2      # a .eval of 2 GB, ours alone

VENV: this package with the extra `logs`, and inspect_ai >= 0.3.285, pandas and pyarrow. The Inspect log holds copies of
samples that the tool wrote, written again by the tool. Each reader runs in a process of its own, interleaved, medians
of three; seconds are CPU time without imports; peak memory is the process's, imports in brackets.

Measured on one core of a Zen 5 EPYC: 1,000 Inspect samples, outcomes 0.025 s and 36 MiB against samples_df's 0.110 s
and 198 MiB, steps and messages 0.35 s and 32 MiB against 3.36 s and 354 MiB with full=True; 20,000 lm-eval documents
0.50 s and 31 MiB against pandas' 0.83 s and 319 MiB; a .eval of 2.00 GB (3.93 GB unpacked) 46 s and 67 MiB.
"""

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

FIXTURES = Path(__file__).parents[1] / "tests" / "logs"
RUNS = 3


def ours(path: Path, *, messages: bool = True, steps: bool = True) -> int:
    from deadreckon.logs.inspect_zip import InspectZip
    from deadreckon.logs.lmeval import LmEval
    from deadreckon.logs.record import Caps, Options

    reader = InspectZip() if path.suffix == ".eval" else LmEval()
    return sum(1 for _ in reader.read(path, Options(Caps(ratio=1e4), messages=messages, steps=steps)))


def samples_df(path: Path, *, full: bool) -> int:
    from inspect_ai.analysis import samples_df

    return len(samples_df(str(path), full=full, quiet=True))


def read_json(path: Path) -> int:
    import pandas

    return len(pandas.read_json(path, lines=True))


READERS: dict[str, tuple[str, Callable[[Path], int]]] = {
    "ours, outcomes": (".eval", lambda path: ours(path, messages=False, steps=False)),
    "samples_df": (".eval", lambda path: samples_df(path, full=False)),
    "ours, and steps": (".eval", lambda path: ours(path, messages=False)),
    "ours, and messages": (".eval", ours),
    "samples_df(full=True)": (".eval", lambda path: samples_df(path, full=True)),
    "ours": (".jsonl", ours),
    "pandas.read_json": (".jsonl", read_json),
}


def peak() -> float:
    """MiB this process has held at most. Linux; getrusage would count the parent's before exec."""
    return int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def one(name: str, path: Path) -> None:
    """In a process of its own: reads a log of one sample, so that all is imported, then the log."""
    kind, read = READERS[name]
    small = next(path.parent.glob(f"small*{kind}"))
    read(small)
    before, start = peak(), time.process_time()
    rows = read(path)
    print(json.dumps({"rows": rows, "seconds": time.process_time() - start, "peak": peak(), "imports": before}))


def run(name: str, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", name, str(path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(said.splitlines()[-1]))


def write_eval(path: Path, count: int) -> None:
    """Copies of the fixtures' samples under new names, written by the tool."""
    from inspect_ai.log import read_eval_log, write_eval_log

    log = read_eval_log(str(FIXTURES / "inspect-0.3.285" / "judged.eval"))
    tools = read_eval_log(str(FIXTURES / "inspect-0.3.285" / "tools.eval"))
    sources = [*(log.samples or []), *(tools.samples or [])]
    copies = [sources[n % len(sources)].model_copy(update={"id": n, "epoch": 1, "uuid": f"u{n}"}) for n in range(count)]
    write_eval_log(log.model_copy(update={"samples": copies}), str(path))


def write_lines(path: Path, count: int) -> None:
    lines = [
        json.loads(line) for line in next(FIXTURES.glob("lmeval-*/*/samples_choose_*.jsonl")).read_text().splitlines()
    ]
    with path.open("w") as file:
        for n in range(count):
            file.write(json.dumps(lines[n % len(lines)] | {"doc_id": n}) + "\n")


def write_big(path: Path, size: int) -> None:
    """A `.eval` of at least `size` bytes, packed: samples of 2 MB, and one of 400 MB, of text that packs badly."""
    import zipfile_zstd  # noqa: F401

    draw = random.Random(0)
    with zipfile.ZipFile(path, "w", compression=93, compresslevel=1) as out:
        out.writestr("_journal/start.json", '{"version": 2, "eval": {"task": "big", "model": "m"}}')
        number = 0
        while path.stat().st_size < size:
            number += 1
            with out.open(f"samples/{number}_epoch_1.json", "w") as member:
                write_sample(member.write, number, 20_000 if number == 1 else 100, draw)
        out.writestr("header.json", '{"version": 2, "status": "success", "eval": {"task": "big", "model": "m"}}')


def write_sample(write: Callable[[bytes], object], number: int, turns: int, draw: random.Random) -> None:
    def text(size: int) -> str:
        return draw.randbytes(size // 2).hex()

    write(b'{"id": %d, "epoch": 1, "messages": [' % number)
    write(
        b", ".join(
            json.dumps({"id": f"m{n}", "role": "assistant", "content": text(500)}).encode() for n in range(turns)
        )
    )
    write(b'], "scores": {"s": {"value": "C"}}, "events": [')
    for n in range(turns):
        message = {"id": f"m{n}", "role": "assistant", "content": text(500)}
        event = {"event": "model", "input": [text(18_000)], "output": {"choices": [{"message": message}]}}
        write(b", " * (n > 0) + json.dumps(event).encode())
    write(b"]}")


def compare(folder: Path) -> None:
    write_eval(folder / "log.eval", 1000)
    write_eval(folder / "small.eval", 1)
    write_lines(folder / "log.jsonl", 20_000)
    write_lines(folder / "small.jsonl", 1)
    for kind in (".eval", ".jsonl"):
        path = folder / f"log{kind}"
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
        names = [name for name, (of, _) in READERS.items() if of == kind]
        rounds = [{name: run(name, path) for name in names} for _ in range(RUNS)]
        for name in names:
            median = {key: statistics.median(turn[name][key] for turn in rounds) for key in rounds[0][name]}
            speed = median["rows"] / median["seconds"]
            print(
                f"  {name:24} {median['rows']:6.0f} rows, {median['seconds']:7.3f} s, {speed:8,.0f} rows/s,"
                f" peak {median['peak']:5.0f} MiB ({median['imports']:.0f})",
                flush=True,
            )


def big(folder: Path, size: float) -> None:
    path = folder / "big.eval"
    write_big(path, int(size * 1e9))
    write_eval(folder / "small.eval", 1)
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    for name in ("ours, and messages", "ours, and steps"):
        said = run(name, path)
        print(
            f"{name}: {path.stat().st_size / 1e9:.2f} GB packed, {unpacked / 1e9:.2f} GB unpacked,"
            f" {said['rows']} samples, {said['seconds']:.0f} s, peak {said['peak']:.0f} MiB",
            flush=True,
        )


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--one", nargs=2)
    asked.add_argument("--big", type=float)
    given = asked.parse_args()
    if given.one:
        one(given.one[0], Path(given.one[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        if given.big:
            big(Path(folder), given.big)
        else:
            compare(Path(folder))


if __name__ == "__main__":
    main()

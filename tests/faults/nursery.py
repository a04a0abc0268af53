"""Children that die: a process that has imported everything forks one for each request, and kills it when asked.

Run as a script. Each line of standard input is a request: the arguments of `raise_and_kill` as JSON. The answer is
the list of parts that the child had been promised before it was killed `seconds` after it began to work; without
`seconds` it lives to its end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

import deadreckon.models.weights  # noqa: F401  torch, once for all children
from deadreckon.contracts import OnError
from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.rollouts.store import RunStore, frame_bytes

PARTS = 90
SPEC = {"world": "sums", "seed": 7}

Nursery = Callable[..., list[int]]


def frame(index: int) -> pl.DataFrame:
    """Part `index`: some thousand rows that name it."""
    rng = np.random.default_rng(index)
    n = 500 + 37 * index
    return pl.DataFrame({"part": np.full(n, index), "row": np.arange(n), "x": rng.random(n)})


def commit_all(folder: Path, promised: int | None = None) -> None:
    """Commit what is missing; tell each promise down the pipe."""
    with RunStore.create_or_resume(folder, SPEC, "nursery") as store:
        for index in range(PARTS):
            if index not in store.committed():
                store.commit(index, frame(index))
                if promised is not None:
                    os.write(promised, b"%d\n" % index)


def roll_all(folder: Path, spec: dict[str, object], workers: int) -> None:
    """Run a spec into the folder."""
    roll(RollSpec(**spec | {"on_error": OnError(spec["on_error"])}), folder, workers=workers)  # type: ignore[arg-type]


def raise_and_kill(
    folder: str, seconds: float | None, spec: dict[str, object] | None = None, workers: int = 1
) -> list[int]:
    """The parts promised to a child that lived this long: committing frames, or running a spec (no promises)."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        frame_bytes(frame(0))  # its own polars threads
        os.write(write, b"ready\n")
        if spec is None:
            commit_all(Path(folder), write)
        else:
            roll_all(Path(folder), spec, workers)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        pipe.readline()
        if seconds is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return [int(line) for line in pipe]


@contextmanager
def nursery() -> Iterator[Nursery]:
    """`raise_and_kill`, in a process of its own that has never run polars or torch."""
    process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    into, out = process.stdin, process.stdout

    def ask(folder: Path, seconds: float | None, **more: object) -> list[int]:
        print(json.dumps({"folder": str(folder), "seconds": seconds, **more}), file=into, flush=True)
        promised: list[int] = json.loads(out.readline())
        return promised

    with process:
        yield ask
        into.close()


def main() -> None:
    """Serve requests. Neither polars nor torch may run before the fork: their threads would be missing in the child."""
    for line in sys.stdin:
        print(json.dumps(raise_and_kill(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

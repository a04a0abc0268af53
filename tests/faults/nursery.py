"""Children that die: a process that has imported the store forks one for each request, and kills it when asked.

Run as a script: each line of standard input is ``FOLDER SECONDS``; the child commits parts to FOLDER until it is
killed SECONDS after it began to work (or ends); the answer is the list of parts it had been promised.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

from deadreckon.rollouts.store import RunStore, frame_bytes

PARTS = 90
SPEC = {"world": "sums", "seed": 7}


def frame(index: int) -> pl.DataFrame:
    """Part `index`: a few thousand rows that name it."""
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


def raise_and_kill(folder: Path, seconds: float) -> list[int]:
    """The parts promised to a child that lived this long."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        frame_bytes(frame(0))  # its own polars threads
        os.write(write, b"ready\n")
        commit_all(folder, write)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        pipe.readline()
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return [int(line) for line in pipe]


def main() -> None:
    """Serve requests. Polars must not run before the fork: its threads would be missing in the child."""
    for line in sys.stdin:
        folder, seconds = line.rsplit(" ", 1)
        print(json.dumps(raise_and_kill(Path(folder), float(seconds))), flush=True)


if __name__ == "__main__":
    main()

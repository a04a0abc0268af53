"""Does a real server give the verdicts that the checkpoint gives in process? Greedy, step by step.

    .venv/bin/python examples/tiny_llama.py tiny
    .venv/bin/python benchmarks/served.py tiny
    .venv/bin/python benchmarks/served.py tiny openai:NAME,url=URL    # a server of the same weights, up already

Starts `transformers serve` (transformers[serving]) on loopback, runs sums, maps and othello through it with `openai:`
as a conversation, and the same spec through `hf:`. Exit code 1 where one verdict differs.
"""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from typing import NamedTuple

import polars as pl

from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec

ITEMS, STEPS, PATIENCE_S = 4, 12, 300
WORLDS = ("sums", "maps", "othello")
VERDICT = ["item", "t", "event", "action", "parse", "stop"]


class Pair(NamedTuple):
    """The same spec, in process and through the server."""

    here: pl.DataFrame
    there: pl.DataFrame

    @property
    def alike(self) -> bool:
        return self.here.select(VERDICT).equals(self.there.select(VERDICT))


def free_port() -> int:
    with socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def server(checkpoint: Path) -> Iterator[str]:
    """`transformers serve` on loopback, until the block ends; its base URL."""
    port, program = free_port(), Path(sys.executable).with_name("transformers")
    command = [program, "serve", checkpoint, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + PATIENCE_S
    try:
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("transformers serve does not start: pip install 'transformers[serving]'")
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
            return True
    except OSError:
        return False


def compared(checkpoint: Path, served: str, world: str, items: int = ITEMS, steps: int = STEPS) -> Pair:
    """Greedy rollouts of a world through `hf:` and through the server."""
    here, there = (
        roll(RollSpec(world, 1, model, items=items, horizon=steps, on_error="skip", law=False, temperature=0.0,
                      prompt="chat:shots=0"))
        for model in (f"hf:{checkpoint}", served)
    )  # fmt: skip
    return Pair(here, there)


def report(checkpoint: Path, served: str) -> bool:
    """Print a line a world; whether all verdicts are alike."""
    alike = True
    for world in WORLDS:
        pair = compared(checkpoint, served, world)
        counts = ", ".join(f"{n} {event}" for event, n in pair.here["event"].value_counts(sort=True).rows())
        print(f"{world:<8} {pair.here.height} steps ({counts}): the same verdicts {pair.alike}", flush=True)
        alike &= pair.alike
    return alike


def main() -> None:
    checkpoint, served = Path(sys.argv[1]).resolve(), sys.argv[2:]
    if served:
        sys.exit(not report(checkpoint, served[0]))
    with server(checkpoint) as url:
        alike = report(checkpoint, f"openai:{checkpoint},url={url}")
    sys.exit(not alike)


if __name__ == "__main__":
    main()

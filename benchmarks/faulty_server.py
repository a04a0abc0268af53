"""What do a server's faults cost, and do they change a measurement?

    .venv/bin/python benchmarks/faulty_server.py [--quick]

The test server (tests/toy_server) spoils 20%, then 5%, of all requests in one of 23 ways: refusals, stalls, cut and
wrong replies with status 200. 2000 rollouts of 50 steps (--quick: 20), one request a step. Each run is stopped half way
by a cap on tokens and resumed with a higher one. Exit code 1 unless at both rates at least 99% of the rollouts
complete, each of them equal to that of a faultless server, with at most 1.35 (1.10) requests a step, and the server
has counted no more tokens than the cap allowed.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

os.environ["POLARS_MAX_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import polars as pl
from toy_server import ToyServer, WorldLaw
from toy_server.engine import Body

from deadreckon.contracts import Privileged
from deadreckon.errors import CapReached
from deadreckon.models import load_model
from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.worlds import load_world

WORLD, POLICY, HORIZON = "markov:kind=ergodic", "noisy-oracle:slip=0.05", 50
MOST = {0.2: 1.35, 0.05: 1.10}  # requests a step
COMPLETE = 0.99
TERMS, STALL_S = "timeout=1,backoff=0.01", 1.3
PLAIN = re.compile(r"[A-Za-z ]+")  # a transcript of that world; the contract's own prompts hold commas


@dataclass(frozen=True)
class Run:
    """A run, and what the server saw of it."""

    table: pl.DataFrame
    requests: int  # about a step
    planted: int
    tokens: int
    caps: list[tuple[int, int]]  # (tokens the server had counted at the end, the cap)
    wall: float
    cpu: float

    @property
    def complete(self) -> pl.DataFrame:
        """The rows of rollouts that no fault ended."""
        ended = self.table.filter(pl.col("stop") == "fault").select("item", "rollout")
        return self.table.join(ended, on=["item", "rollout"], how="anti").drop("run", "model")


def law_of(items: int) -> WorldLaw:
    policy = load_model(POLICY)
    assert isinstance(policy, Privileged)
    return WorldLaw(load_world(WORLD), policy, 1, items)


def is_step(body: Body) -> bool:
    return PLAIN.fullmatch(str(body.get("prompt"))) is not None


def rolled(law: WorldLaw, items: int, rate: float, half: int) -> Run:
    """With a cap of `half` tokens first, where it is not 0, then of as many as no run needs."""
    caps = []
    with ToyServer(law, faults=rate) as server, tempfile.TemporaryDirectory() as folder:
        server.stall_s, server.watch = STALL_S, is_step
        model = f"openai:toy,url={server.url},endpoint=completions"
        spec = RollSpec(WORLD, 1, model, items=items, horizon=HORIZON, law=False)
        wall, cpu = time.monotonic(), time.process_time()
        if half:
            try:
                roll(spec, folder, terms=f"{TERMS},cap_tokens={half}")
            except CapReached:
                caps.append((server.tokens, half))
        table = roll(spec, folder, terms=f"{TERMS},cap_tokens={8 * half}" if half else TERMS)
        if half:
            caps.append((server.tokens, 8 * half))
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        return Run(table, server.watched, sum(server.faulted.values()), server.tokens, caps, wall, cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="1000 steps instead of 100,000")
    items = 20 if parser.parse_args().quick else 2000
    law = law_of(items)
    clean = rolled(law, items, 0.0, 0)
    steps = clean.table.height
    print(f"{'faults':>6} {'planted':>8} {'requests':>9} {'a step':>7} {'complete':>9} {'equal':>6} {'in cap':>7}"
          f" {'wall s':>7} {'CPU s':>6}")  # fmt: skip
    print(f"{'0%':>6} {0:>8,} {clean.requests:>9,} {clean.requests / steps:>7.3f} {'100.00%':>9} {'':>6} {'':>7}"
          f" {clean.wall:>7.0f} {clean.cpu:>6.0f}", flush=True)  # fmt: skip
    good = clean.complete.height == steps == items * HORIZON
    for rate, most in MOST.items():
        run = rolled(law, items, rate, clean.tokens // 2)
        kept = run.complete
        share = kept.select("item", "rollout").n_unique() / items
        equal = kept.equals(clean.complete.join(kept.select("item", "rollout").unique(), on=["item", "rollout"],
                                                how="semi", maintain_order="left"))  # fmt: skip
        capped = len(run.caps) == 2 and all(counted <= cap for counted, cap in run.caps)
        each = run.requests / steps
        print(f"{rate:>6.0%} {run.planted:>8,} {run.requests:>9,} {each:>7.3f} {share:>9.2%} {equal!s:>6} {capped!s:>7}"
              f" {run.wall:>7.0f} {run.cpu:>6.0f}", flush=True)  # fmt: skip
        print(f"       tokens counted and cap: {', '.join(f'{a:,} of {b:,}' for a, b in run.caps)}", flush=True)
        good &= share >= COMPLETE and equal and capped and each <= most
    sys.exit(not good)


if __name__ == "__main__":
    main()

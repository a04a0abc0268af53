"""How fast is the loop? Steps per CPU-second with a noisy oracle, judged and in the step table.

    .venv/bin/python benchmarks/rollouts.py

The batched lane against the plain loop in the same run, interleaved, medians of five, one thread; start states are
drawn once an item (8 rollouts each), as in a study with repeats. Both give the same bytes (tests/laws).
"""

import os

os.environ["POLARS_MAX_THREADS"] = "1"

import statistics
import time

from deadreckon.rollouts.run import Bench, compute
from deadreckon.rollouts.spec import RollSpec

WORLDS = (("sums", 2), ("sums:k=5", 2), ("maps", 2), ("markov:kind=ergodic", 2))
RUNS = 5


def steps_per_second(bench: Bench, *, lane: bool) -> float:
    start = time.process_time()
    table = compute(bench, range(bench.spec.items), 256, lane=lane)
    return table.height / (time.process_time() - start)


def main() -> None:
    print(f"{'world':<22} {'lane steps/s':>14} {'plain steps/s':>14} {'ratio':>7}")
    for world, level in WORLDS:
        lane, plain = (
            Bench.load(RollSpec(world, level, "noisy-oracle:slip=0.02,recover=0.1", items=items, repeats=8, horizon=64))
            for items in (512, 32)
        )
        steps_per_second(lane, lane=True)
        pairs = [(steps_per_second(lane, lane=True), steps_per_second(plain, lane=False)) for _ in range(RUNS)]
        fast, slow = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"{world:<22} {fast:>14,.0f} {slow:>14,.0f} {ratio:>7.1f}", flush=True)


if __name__ == "__main__":
    main()

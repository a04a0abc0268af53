"""How long does a million sampled symbols take, generated and judged into the step table?

    python benchmarks/million.py [--workers 2] [--rollouts 16200] [--runs 3]

A network of 1.0M parameters (5 blocks of 128) writes 62 symbols a rollout in `markov:kind=full`, a context of 64; each
step is judged, with the exact law beside it, and stored in a run folder. Weights are random, but for a bias that keeps
them to the world's symbols. Printed: wall and CPU seconds of all processes, their start included, and the largest
process. What was found: docs/fast-lane.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from deadreckon import bench
from deadreckon.models.config import GPTConfig
from deadreckon.models.tokens import Tokenizer
from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.worlds import load_world

WORLD, LEVEL, STEPS = "markov:kind=full,length=64", 3, 62


def put_weights(folder: Path) -> None:
    """Random weights whose first coordinate is a constant, which the head reads as a bias: illegal symbols at -50."""
    world = load_world(WORLD)
    alphabet = tuple(world.alphabet)
    size = {"vocab": len(alphabet) + 1, "context": 64, "layers": 5, "width": 128, "head": 32}
    tensors = bench.weights(GPTConfig(**size))
    tensors["embed.weight"][:, 0] = 1.0
    for name, tensor in tensors.items():
        if name.endswith(("out.weight", "down.weight")):
            tensor[0] = 0.0
    start = world.start(LEVEL, np.random.default_rng(0))
    right = {world.write(action) + world.end for action in world.policy(start)}
    tensors["head.weight"][1:, 0] = [0.0 if symbol in right else -50.0 for symbol in alphabet]
    content = save(tensors)
    (folder / "million.safetensors").write_bytes(content)
    card = {"size": size, "alphabet": alphabet, "alphabet_hash": Tokenizer(alphabet).identity, "seed": 0}
    (folder / "million.json").write_text(json.dumps(card | {"sha256": sha256(content).hexdigest()}))


def cpu_seconds() -> float:
    """Of this process and its children that have ended."""
    use = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in use)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--rollouts", type=int, default=16_200)
    options.add_argument("--engine", default="auto")
    options.add_argument("--runs", type=int, default=3)
    args = options.parse_args()
    for _ in range(args.runs):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            put_weights(folder)
            items = -(-args.rollouts // 16)
            spec = RollSpec(WORLD, LEVEL, f"gpt:{folder},engine={args.engine}", items=items, repeats=16, horizon=STEPS)
            wall, cpu = time.perf_counter(), cpu_seconds()
            table = roll(spec, folder / "run", workers=args.workers)
            wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
        peak = max(resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 2**20
        symbols = int(table["tokens"].sum())
        print(f"{symbols:,} symbols, {table.height:,} steps judged in {wall:.1f} s, {cpu:.1f} CPU-s", end="")
        print(f" ({symbols / cpu:,.0f} a CPU-s); largest process {peak:.2f} GiB", flush=True)


if __name__ == "__main__":
    main()

"""How fast does the small GPT train, against a plain loop, and beside a busy neighbour?

    python benchmarks/training.py

The peer is what a newcomer writes: LayerNorm, learned positions, GELU, scaled_dot_product_attention, AdamW, fp32, at
the same depth, width, vocabulary and batch. Slices of both alternate; a figure is the median of the slices' tokens a
CPU-second of one thread, ours with float32 and with bfloat16 products. The second part trains with two threads in
fresh processes, tokens a second of wall time, with and without a process that keeps one core busy, with OpenMP's own
spin count and with ours.

Measured on two quiet Zen 5 EPYC cores (AVX512-BF16), five slices: 1M 2.5 times the plain loop with bfloat16 products,
0.86 times in float32; 3M 2.6 and 0.76 times. Muon's Newton-Schulz steps are a seventh of a step at 3M and 4,096 symbols
a step; norms of q and k and rotary positions are the rest of what ours costs more. Beside a busy process two threads
keep 50% of their quiet speed with our spin count, 32% with OpenMP's own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import deadreckon.models.threads  # noqa: F401  before torch
from deadreckon.train.fit import learn, new_learner
from deadreckon.train.recipes import Fit, Recipe, Size, Text
from deadreckon.train.sources import Batch

VOCAB, LENGTH, ROWS = 64, 64, 64
SIZES = {"1M": (5, 128), "3M": (4, 256)}
DTYPES: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")


class PeerBlock(nn.Module):
    """A GPT-2 block as commonly written for teaching."""

    def __init__(self, width: int):
        super().__init__()
        self.heads = width // 32
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        parts = self.qkv(self.norm1(x)).split(width, dim=2)
        q, k, v = (part.view(batch, length, self.heads, -1).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp(self.norm2(x))


class Peer(nn.Module):
    """A plain GPT."""

    def __init__(self, layers: int, width: int):
        super().__init__()
        self.embed, self.place = nn.Embedding(VOCAB, width), nn.Embedding(LENGTH, width)
        self.blocks = nn.Sequential(*(PeerBlock(width) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, VOCAB, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.place(torch.arange(tokens.shape[1]))
        return self.head(self.norm(self.blocks(x)))


def peer_step(layers: int, width: int, tokens: Tensor) -> Callable[[], None]:
    """One training step of the peer."""
    network = Peer(layers, width)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)

    def step() -> None:
        logits = network(tokens[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def our_step(
    layers: int, width: int, tokens: Tensor, dtype: Literal["float32", "bfloat16"] = "float32"
) -> Callable[[], None]:
    """One training step of ours: every symbol taught."""
    size = Size(layers=layers, width=width, context=LENGTH)
    fit = Fit(steps=10**6, rows=ROWS, dtype=dtype)
    recipe = Recipe(text=Text(worlds=("sums",), level=1, regime="clean"), size=size, fit=fit)
    learner = new_learner(recipe, VOCAB, 0)
    count = tokens.numel() - len(tokens)
    batch = Batch(tokens.numpy(), np.ones(tuple(tokens.shape), np.bool_), count, count, 0.0, None)

    def step() -> None:
        learn(learner, batch, fit, 0)

    return step


def rate(step: Callable[[], None], seconds: float, clock: Callable[[], float]) -> float:
    """Tokens a second of this clock."""
    begun, steps = clock(), 0
    while clock() - begun < seconds:
        step()
        steps += 1
    return steps * ROWS * LENGTH / (clock() - begun)


def against_peer(slices: int, seconds: float) -> None:
    """Tokens a CPU-second of one thread, and ratios to the peer."""
    torch.set_num_threads(1)
    tokens = torch.randint(1, VOCAB, (ROWS, LENGTH + 1), generator=torch.Generator().manual_seed(0))
    for name, (layers, width) in SIZES.items():
        steps = {dtype: our_step(layers, width, tokens, dtype) for dtype in DTYPES} | {
            "plain": peer_step(layers, width, tokens)
        }
        rates: dict[str, list[float]] = {who: [] for who in steps}
        for step in steps.values():
            step()
        for _ in range(slices):
            for who, step in steps.items():
                rates[who].append(rate(step, seconds, time.process_time))
        print(f"{name} ({layers} x {width}): plain loop {median(rates['plain']):,.0f} tokens/CPU-s")
        for dtype in DTYPES:
            ratio = median(a / b for a, b in zip(rates[dtype], rates["plain"], strict=True))
            print(f"  ours, {dtype}: {median(rates[dtype]):,.0f} tokens/CPU-s, {ratio:.2f}x")


def wall(seconds: float) -> None:
    """Print tokens a second of two threads: run in a fresh process."""
    torch.set_num_threads(2)
    tokens = torch.randint(1, VOCAB, (ROWS, LENGTH + 1), generator=torch.Generator().manual_seed(0))
    step = our_step(*SIZES["1M"], tokens)
    step()
    print(rate(step, seconds, time.monotonic))


def beside_a_neighbour(slices: int, seconds: float) -> None:
    """Two threads, quiet and beside one busy process, with OpenMP's spin count and with ours."""
    busy = [sys.executable, "-c", "while True: pass"]
    rates: dict[tuple[str, str], list[float]] = {}
    for _ in range(slices):
        for spin in ("default", "1000"):
            for place in ("quiet", "busy"):
                neighbour = subprocess.Popen(busy) if place == "busy" else None
                try:
                    rates.setdefault((spin, place), []).append(child(spin, seconds))
                finally:
                    if neighbour:
                        neighbour.kill()
                        neighbour.wait()
    for spin in ("default", "1000"):
        quiet, shared = (median(rates[spin, place]) for place in ("quiet", "busy"))
        print(
            f"1M, 2 threads, spin count {spin}: {quiet:,.0f} tokens/s quiet, {shared:,.0f} beside a busy process"
            f" ({shared / quiet:.0%} kept)"
        )


def child(spin: str, seconds: float) -> float:
    """`wall` in a fresh process: OpenMP reads its spin count when it is loaded."""
    environment = os.environ | {"GOMP_SPINCOUNT": spin if spin != "default" else "300000"}
    command = [sys.executable, __file__, "--wall", str(seconds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--slices", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--wall", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.wall:
        wall(options.wall)
        return
    against_peer(options.slices, options.seconds)
    beside_a_neighbour(options.slices, options.seconds)


if __name__ == "__main__":
    main()

"""How many random legal Othello moves a core makes: batched bitboards against plain Python, square by square.

A move is: find the legal moves, draw one, flip. Games start from the first position and are replaced when over. CPU
seconds of one thread; medians of the repeats.

    python benchmarks/othello.py [--batch 16384] [--repeats 7]
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable

import numpy as np

from deadreckon.worlds.othello import Othello
from deadreckon.worlds.position import first_position

PLIES = 60
RAYS = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy]


def batched(size: int, batch: int, seed: int) -> int:
    """Moves made in PLIES plies of `batch` games."""
    world, rng = Othello(), np.random.default_rng(seed)
    first = rows = world.pack([first_position(size)] * batch)
    made = 0
    for _ in range(PLIES):
        codes = world.batch_random(rows, rng.random(batch))
        over = codes < 0
        made += batch - int(over.sum())
        rows = world.batch_step(rows, codes)
        if over.any():
            rows[over] = first[over]
    return made


def flipped(board: list[list[int]], mover: int, x: int, y: int) -> list[tuple[int, int]]:
    size, discs = len(board), []
    for dx, dy in RAYS:
        run, i, j = [], x + dx, y + dy
        while 0 <= i < size and 0 <= j < size and board[j][i] == -mover:
            run.append((i, j))
            i, j = i + dx, j + dy
        if run and 0 <= i < size and 0 <= j < size and board[j][i] == mover:
            discs += run
    return discs


def plain(size: int, games: int, seed: int) -> int:
    """Moves made in `games` whole games, passes included."""
    dice, made = random.Random(seed), 0
    for _ in range(games):
        board = [[0] * size for _ in range(size)]
        low = size // 2 - 1
        board[low][low] = board[low + 1][low + 1] = -1
        board[low][low + 1] = board[low + 1][low] = 1
        mover, passed = 1, False
        while True:
            empty = [(x, y) for y in range(size) for x in range(size) if not board[y][x]]
            legal = [(x, y, discs) for x, y in empty if (discs := flipped(board, mover, x, y))]
            if not legal and passed:
                break
            if legal:
                x, y, discs = dice.choice(legal)
                for i, j in [(x, y), *discs]:
                    board[j][i] = mover
            made, mover, passed = made + 1, -mover, not legal
        made -= 1  # the first of two passes at the end of a game is none
    return made


def rate(play: Callable[[int], int], repeats: int) -> float:
    """Median moves per CPU second, after one run that is not counted."""
    play(0)
    rates = []
    for seed in range(1, repeats + 1):
        start = time.process_time()
        made = play(seed)
        rates.append(made / (time.process_time() - start))
    return statistics.median(rates)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--batch", type=int, default=16384)
    options.add_argument("--repeats", type=int, default=7)
    chosen = options.parse_args()
    print(f"random legal Othello, batch {chosen.batch}, medians of {chosen.repeats}, one core")
    for size in (6, 8):
        fast = rate(lambda seed, size=size: batched(size, chosen.batch, seed), chosen.repeats)  # type: ignore[misc]
        slow = rate(lambda seed, size=size: plain(size, 10, seed), chosen.repeats)  # type: ignore[misc]
        print(
            f"{size}x{size}: batched {fast / 1e6:.2f} M moves/s, plain {slow / 1e3:.1f} k moves/s, {fast / slow:.0f}x"
        )


if __name__ == "__main__":
    main()

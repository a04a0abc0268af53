"""What do a world's promises cost? Chess beside python-chess alone, on the same games in the same run.

Games of random legal play are walked move by move from their texts. Alone, python-chess reads the move, checks it and
makes it on one board that changes (`parse_uci` or `parse_san`, then `push`); the world asks `allows` and makes a new
state by `step`. `apart`: the games take turns, so that the world finds its board on another game at every move. CPU
seconds of one thread, medians of the repeats taken in turn. Also: the cost of `policy`, `wrong` and `show`, and perft
through the world.

    python benchmarks/chess_moves.py [--games 200] [--repeats 7]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from time import process_time

import chess
import numpy as np

from deadreckon.worlds import load_world
from deadreckon.worlds.chess import Chess
from deadreckon.worlds.chess_position import State

GOAL = 1.5  # most CPU time of the world over that of python-chess
LEVEL = 4  # 64 plies
SPECS = ("chess", "chess:notation=san", "chess:variant=chess960", "chess:variant=chess960,notation=san")

Walk = list[tuple[State, str]]


def games_of(world: Chess, games: int) -> list[Walk]:
    """Random legal games as (state, move)."""
    walks = []
    for seed in range(games):
        rng = np.random.default_rng(seed)
        state, walk = world.start(LEVEL, rng), []
        while legal := world.legal(state):
            walk.append((state, legal[int(rng.random() * len(legal))]))
            state = world.step(*walk[-1])
        walks.append(walk)
    return walks


def ours(world: Chess, walks: list[Walk]) -> None:
    for walk in walks:
        state = walk[0][0]
        for _, text in walk:
            if world.allows(state, text):
                state = world.step(state, text)


def apart(world: Chess, walks: list[Walk]) -> None:
    """As many games at once as there are, a move of each in turn: no two calls see the same game."""
    for moves in zip(*walks, strict=False):
        for state, text in moves:
            if world.allows(state, text):
                world.step(state, text)


def alone(world: Chess, walks: list[Walk]) -> None:
    for walk in walks:
        board = chess.Board(walk[0][0].fen(by_file=True), chess960=world.options.variant == "chess960")
        read = board.parse_san if world.options.notation == "san" else board.parse_uci
        for _, text in walk:
            board.push(read(text))


def seconds(run: Callable[[], None]) -> float:
    begun = process_time()
    run()
    return process_time() - begun


def perft(world: Chess, state: State, depth: int) -> int:
    if depth == 1:
        return len(world.legal(state))
    return sum(perft(world, world.step(state, move), depth - 1) for move in world.legal(state))


def each(call: Callable[[State], object], walks: list[Walk]) -> float:
    """Calls a second, of states not seen before."""
    states = [state for walk in walks for state, _ in walk]
    return len(states) / seconds(lambda: [call(state) for state in states].clear())


def compare(spec: str, games: int, repeats: int) -> None:
    """A line for one variant and notation."""
    world = load_world(spec)
    walks = games_of(world, games)
    turns = sum(len(moves) for moves in zip(*walks, strict=False))  # `apart` ends with the shortest game

    def once() -> list[float]:
        return [seconds(lambda run=run: run(world, walks)) for run in (alone, ours, apart)]  # type: ignore[misc]

    moves = sum(map(len, walks))
    theirs, mine, mixed = (median(column) for column in zip(*(once() for _ in range(repeats)), strict=True))
    rates = [
        moves / theirs,
        moves / mine,
        *(each(call, walks[:20]) for call in (world.policy, world.wrong, world.show)),
    ]
    columns = [f"{rate:10,.0f}" for rate in rates]
    columns[2:2] = [f"{mine / theirs:6.2f}", f"{mixed / turns * moves / theirs:6.2f}"]
    print(f"{world.name:38}", *columns)


def main(games: int, repeats: int) -> None:
    """Print a line per variant and notation."""
    print(f"goal: at most {GOAL} of python-chess {chess.__version__} alone")
    heads = ("alone/s", "world/s", "ratio", "apart", "policy/s", "wrong/s", "show/s")
    print(f"{'world':38}", *(f"{head:>{6 if head in ('ratio', 'apart') else 10}}" for head in heads))
    for spec in SPECS:
        compare(spec, games, repeats)
    world = load_world("chess")
    first = world.start(1, np.random.default_rng(0))
    begun = process_time()
    leaves = perft(world, first, 4)
    print(f"perft through the world: {leaves / (process_time() - begun):,.0f} positions/s at depth 4")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--games", type=int, default=200)
    options.add_argument("--repeats", type=int, default=7)
    given = options.parse_args()
    main(given.games, given.repeats)

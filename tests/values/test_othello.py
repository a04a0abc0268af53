"""Exact counts of Othello games, and two implementations of its rules that share nothing."""

from __future__ import annotations

import numpy as np
import pytest

from deadreckon.contracts import Rows
from deadreckon.errors import BadText, IllegalAction
from deadreckon.seeds import Purpose, generator
from deadreckon.worlds.bitboards import nth_square
from deadreckon.worlds.othello import Othello
from deadreckon.worlds.position import NAMES, PASS, Position, board, first_position

PUBLISHED = (4, 12, 56, 244, 1396, 8200, 55092, 390216, 3005288)  # 8x8, depths 1-9, as counted by many programs


def children(world: Othello, rows: Rows) -> Rows:
    codes, _ = world.batch_policy(rows)
    line, place = np.nonzero(codes >= 0)
    return world.batch_step(rows[line], codes[line, place])


def batched_perft(size: int, depth: int) -> list[int]:
    world = Othello()
    rows, counts = world.pack([first_position(size)]), []
    for _ in range(depth - 1):
        rows = children(world, rows)
        counts.append(len(rows))
    leaves = [int((world.batch_policy(part)[0] >= 0).sum()) for part in np.array_split(rows, len(rows) // 50_000 + 1)]
    return [*counts, sum(leaves)]


def by_rays(cells: tuple[str, ...], mover: str, column: int, row: int) -> list[tuple[int, int]]:
    """The discs a move flips, square by square along the eight rays."""
    size, flipped = len(cells), []
    if cells[row][column] != ".":
        return []
    for dx, dy in ((dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy):
        run, x, y = [], column + dx, row + dy
        while 0 <= x < size and 0 <= y < size and cells[y][x] not in (".", mover):
            run.append((x, y))
            x, y = x + dx, y + dy
        if 0 <= x < size and 0 <= y < size and cells[y][x] == mover:
            flipped += run
    return flipped


def legal_by_rays(cells: tuple[str, ...], mover: str) -> list[tuple[int, int]]:
    size = len(cells)
    return [(x, y) for y in range(size) for x in range(size) if by_rays(cells, mover, x, y)]


def play_by_rays(cells: tuple[str, ...], mover: str, column: int, row: int) -> tuple[str, ...]:
    turned = {(column, row), *by_rays(cells, mover, column, row)}
    return tuple(
        "".join(mover if (x, y) in turned else cell for x, cell in enumerate(line)) for y, line in enumerate(cells)
    )


def perft_by_rays(cells: tuple[str, ...], mover: str, depth: int) -> int:
    if depth == 0:
        return 1
    other = "xo"[mover == "x"]
    legal = legal_by_rays(cells, mover)
    if legal:
        return sum(perft_by_rays(play_by_rays(cells, mover, *move), other, depth - 1) for move in legal)
    return perft_by_rays(cells, other, depth - 1) if legal_by_rays(cells, other) else 0


def perft(world: Othello, state: Position, depth: int) -> int:
    if depth == 1:
        return len(world.legal(state))
    return sum(perft(world, world.step(state, action), depth - 1) for action in world.legal(state))


def random_game(size: int, seed: int) -> list[tuple[Position, int]]:
    world, rng, state = Othello(), generator(seed, 0, Purpose.TEXT), first_position(size)
    game = []
    while not world.done(state):
        legal = world.legal(state)
        game.append((state, legal[int(rng.random() * len(legal))]))
        state = world.step(*game[-1])
    return game


def test_batched_perft_is_the_published_count_to_depth_nine() -> None:
    assert batched_perft(8, 9) == list(PUBLISHED)


def test_scalar_perft_is_the_published_count() -> None:
    world = Othello()
    assert [perft(world, first_position(8), depth) for depth in range(1, 7)] == list(PUBLISHED[:6])


@pytest.mark.parametrize("size", [6, 8])
def test_batched_scalar_and_ray_perft_agree(size: int) -> None:
    world, start = Othello(), first_position(size)
    counts = batched_perft(size, 6)
    assert counts == [perft(world, start, depth) for depth in range(1, 7)]
    assert counts[:5] == [perft_by_rays(board(start), "x", depth) for depth in range(1, 6)]


@pytest.mark.parametrize("size", [6, 8])
def test_whole_games_agree_with_the_rays_passes_and_ends_included(size: int) -> None:
    world, passes = Othello(), 0
    for seed in range(12):
        for state, action in random_game(size, seed):
            cells, mover = board(state), "xo"[state.mover]
            squares = [8 * y + x for x, y in legal_by_rays(cells, mover)]
            assert list(world.legal(state)) == (squares or [PASS]), world.show(state)
            after = board(world.step(state, action))
            if action == PASS:
                assert after == cells
                passes += 1
            else:
                assert after == play_by_rays(cells, mover, action % 8, action // 8), world.show(state)
        end = board(world.step(state, action))
        assert not legal_by_rays(end, "x")
        assert not legal_by_rays(end, "o")
    assert passes > 0


def test_first_moves_are_those_of_the_rule_book() -> None:
    assert [NAMES[action] for action in Othello().legal(first_position(8))] == ["d3", "c4", "f5", "e6"]
    assert board(first_position(6)) == ("......", "......", "..ox..", "..xo..", "......", "......")


def test_the_nth_square_is_the_nth_in_board_order() -> None:
    rng = generator(1, 1, Purpose.TEXT)
    boards = rng.integers(0, 2**63, 500, dtype=np.uint64) * np.uint64(2) | np.uint64(1)
    n = (rng.random(500) * np.bitwise_count(boards)).astype(np.uint64)
    expected = [[i for i in range(64) if bits >> i & 1][k] for bits, k in zip(boards.tolist(), n.tolist(), strict=True)]
    assert nth_square(boards, n).tolist() == expected


def test_batched_methods_take_an_empty_batch() -> None:
    world = Othello()
    rows = world.pack([])
    assert rows.shape == (0, 4)
    assert world.unpack(rows) == world.batch_show(rows) == []
    assert len(world.batch_policy(rows)[0]) == len(world.batch_wrong(rows)) == len(world.batch_done(rows)) == 0
    assert world.batch_step(rows, np.zeros(0, np.int64)).shape == (0, 4)


@pytest.mark.parametrize(
    "text",
    [
        "....../....../..ox../..xo../....../...... w 0 -",  # black begins
        "....../....../..ox../..xo../...... b 0 -",
        "....../....../..oz../..xo../....../...... b 0 -",
        "....../....../..ox../..xo../....../...... b 0 d3,i9",
        "....../....../..ox../..xo../....../...... b -2 -",
    ],
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(BadText):
        Othello().restore(text)


def test_an_illegal_move_and_a_needless_pass_are_refused() -> None:
    world, state = Othello(), first_position(8)
    for action in (0, PASS):
        assert not world.allows(state, action)
        assert action in world.wrong(state)
        with pytest.raises(IllegalAction):
            world.step(state, action)

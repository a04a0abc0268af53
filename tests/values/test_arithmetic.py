"""Written arithmetic against Python's integers, counts of carries by brute force, and errors traced by hand."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.worlds.arithmetic import Arithmetic, State
from deadreckon.worlds.columns import Node, Problem, begin, carries, chain, divisor_digits
from deadreckon.worlds.operands import count

R, L, P, S = Node.RIGHT, Node.LOCAL, Node.PROPAGATED, Node.RESTORED


def worked(world: Arithmetic, a: int, b: int, digits: int) -> list[str]:
    """Every line of the error-free answer."""
    problem = Problem(world.op, world.form, digits, a, b)
    state, lines = State(problem, 0, begin(problem)), []
    while not world.done(state):
        (line,) = world.policy(state)
        lines.append(line)
        state = world.step(state, line)
    return lines


@pytest.mark.parametrize("form", ["scratchpad", "direct"])
@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
def test_the_last_line_holds_what_integers_say(op, form):
    world = Arithmetic(op, form)
    for digits in (2, 3, 7, 10):
        for seed in range(60):
            problem = world.start(digits, np.random.default_rng([digits, seed])).problem
            last = [int(part) for part in worked(world, problem.a, problem.b, digits)[-1].split(",")]
            a, b = problem.a, problem.b
            if op == "div":
                assert last == ([*divmod(a, b)] if form == "direct" else [*last[:3], a % b, a // b])
            else:
                assert last[-1] == {"add": a + b, "sub": a - b, "mul": a * b}[op]


def test_every_two_digit_problem_is_right():
    for a, b in product(range(100), repeat=2):
        assert int(worked(Arithmetic("add"), a, b, 2)[-1]) == a + b
        assert int(worked(Arithmetic("mul"), a, b, 2)[-1].split(",")[1]) == a * b
        if a >= b:
            assert int(worked(Arithmetic("sub"), a, b, 2)[-1]) == a - b
        if 1 <= b <= 9:
            assert [int(part) for part in worked(Arithmetic("div"), a, b, 2)[-1].split(",")[3:]] == [a % b, a // b]


def test_calculations_read_as_written():
    assert worked(Arithmetic("add"), 478, 356, 3) == ["14", "134", "0834"]
    assert worked(Arithmetic("sub"), 478, 389, 3) == ["19", "189", "0089"]
    assert worked(Arithmetic("mul"), 478, 356, 3) == ["2868,2868", "2390,26768", "1434,170168"]
    assert worked(Arithmetic("div"), 917, 4, 3) == ["09,02,08,1,2", "11,02,08,3,22", "37,09,36,1,229"]
    assert worked(Arithmetic("add", "direct", order="low"), 478, 356, 3) == ["4380"]


def test_a_carry_that_is_lost_is_a_local_error_that_propagates_and_can_be_restored():
    world = Arithmetic("add")
    problem = Problem("add", "scratchpad", 3, 478, 356)
    start = State(problem, 0, begin(problem))
    assert world.nodes(start, "04") == {"carry": L, "digit": R, "copy": R}
    off = world.step(start, "04")  # truly 14: the carry is lost
    assert world.policy(off) == {"124": 1.0}
    assert world.nodes(off, "124") == {"carry": R, "digit": P, "copy": R}
    assert world.nodes(off, "134") == {"carry": R, "digit": S, "copy": R}
    assert world.mend(off) == "134"
    assert world.nodes(off, "144") == {"carry": R, "digit": L, "copy": R}
    assert world.nodes(world.step(off, "124"), "0824") == {"carry": R, "digit": R, "copy": P}


def test_the_graph_of_a_division_tells_a_wrong_trial_digit_from_what_follows_from_it():
    world = Arithmetic("div")
    problem = Problem("div", "scratchpad", 3, 917, 4)
    state = State(problem, 0, begin(problem))
    small = "09,01,04,5,1"  # 1 instead of 2: the remainder is larger than the divisor
    assert world.nodes(state, small) == {
        "current": R, "trial": L, "product": P, "remainder": P, "quotient": P,
    }  # fmt: skip
    then = world.step(state, small)
    assert not world.true(then)
    assert world.policy(then) == {"51,12,48,3,22": 1.0}  # the next trial digit, 12, carries into the one before
    assert world.true(world.step(then, "51,12,48,3,22"))
    wrong_product = "09,02,09,0,2"
    assert world.nodes(state, wrong_product) == {
        "current": R, "trial": R, "product": L, "remainder": P, "quotient": R,
    }  # fmt: skip


def test_a_slip_in_the_working_alone_leaves_the_state_true():
    world = Arithmetic("mul")
    problem = Problem("mul", "scratchpad", 3, 478, 356)
    state = State(problem, 0, begin(problem))
    line = "2869,2868"
    assert line not in world.policy(state)
    assert world.nodes(state, line) == {"product": L, "total": S}
    assert world.true(world.step(state, line))
    assert all(not world.true(world.step(state, wrong)) for wrong in world.wrong(state))


@pytest.mark.parametrize("digits", [2, 3])
@pytest.mark.parametrize("op", ["add", "sub"])
def test_problems_by_their_longest_chain_are_counted_as_brute_force_does(op, digits):
    a, b = np.divmod(np.arange(10 ** (2 * digits)), 10**digits)
    run = longest = carry = np.zeros_like(a)
    for place in 10 ** np.arange(digits):
        x, y = a // place % 10, b // place % 10
        carry = ((x + y + carry > 9) if op == "add" else (x < y + carry)).astype(int)
        run = carry * (run + 1)
        longest = np.maximum(longest, run)
    found = np.bincount(longest[(op == "add") | (a >= b)], minlength=digits + 1)
    for most in range(digits + 1):
        assert count(op, digits, 0, 0, 0, (most, most)) == found[most]


def test_operands_are_uniform_among_those_of_the_chain_and_hold_it():
    """All additions of two digits with one carry, or two in a row: chi-square, mean 1 a degree."""
    for longest in (1, 2):
        world, n = Arithmetic("add", runs=(longest, longest)), count("add", 2, 0, 0, 0, (longest, longest))
        seen: Counter[tuple[int, int]] = Counter()
        for seed in range(4 * n):
            problem = world.start(2, np.random.default_rng([1, seed])).problem
            assert chain(carries("add", 2, problem.a, problem.b)) == longest
            seen[problem.a, problem.b] += 1
        square = sum((times - 4) ** 2 / 4 for times in seen.values()) + 4 * (n - len(seen))
        assert abs(square - (n - 1)) < 4 * np.sqrt(2 * (n - 1))


def test_the_exam_keeps_its_pairs_apart_whatever_their_order():
    sides = {}
    for part in ("learn", "exam"):
        world = Arithmetic("add", part=part)
        problems = [world.start(2, np.random.default_rng(seed)).problem for seed in range(3000)]
        sides[part] = {tuple(sorted((p.a, p.b))) for p in problems}
    assert not sides["learn"] & sides["exam"]
    assert len(sides["exam"]) > 200


def test_options_lines_and_notations_that_cannot_be_are_refused():
    for build in (
        lambda: Arithmetic("pow"),
        lambda: Arithmetic("mul", runs=(1, 1)),
        lambda: Arithmetic("add", order="low"),
        lambda: Arithmetic.from_options({"chain": "2", "upto": "3"}),
    ):
        with pytest.raises(BadOption):
            build()
    world = Arithmetic("add")
    state = world.restore("478+356 1 14")
    for line in ("13", "234", "1344"):
        with pytest.raises(IllegalAction, match="write '000', 2 lines are left"):
            world.step(state, line)
    for text in ("", "478-356 0 0", "478+35 0 0", "478+356 4 0000", "478+356 1 24", "478+356 0 1", "478+356 1 -"):
        with pytest.raises(BadText):
            world.restore(text)
    with pytest.raises(BadText):
        Arithmetic("sub").restore("356-478 0 0")
    assert divisor_digits(7) == 3

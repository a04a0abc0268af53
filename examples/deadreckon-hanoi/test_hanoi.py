"""The world keeps every law, and its closed form is the length of a shortest way."""

from itertools import product

import pytest
from deadreckon_hanoi.world import DISCS, GOAL, PEGS, Hanoi, State, allowed, moved, right_move, steps

from deadreckon.worlds.check import check_world


def test_it_keeps_the_laws_of_a_world() -> None:
    check_world(Hanoi())


@pytest.mark.parametrize("discs", DISCS.values())
def test_the_distance_is_that_of_a_breadth_first_search(discs: int) -> None:
    found, front = {GOAL * discs: 0}, [GOAL * discs]
    while front:
        front = [after for at in front for move in allowed(at) if (after := moved(at, move)) not in found
                 and not found.update({after: found[at] + 1})]  # fmt: skip
    assert found == {"".join(at): steps("".join(at)) for at in product(PEGS, repeat=discs)}
    for at, fewest in found.items():
        nearer = [move for move in allowed(at) if found[moved(at, move)] < fewest]
        assert nearer == ([right_move(at)] if fewest else [])


def test_a_slip_and_its_mend() -> None:
    world, start = Hanoi(), State("AAA", "AAA")
    assert world.policy(start) == {"AC": 1.0}
    slipped = world.step(start, "AB")
    assert (world.true(slipped), world.distance(slipped)) == (False, 7.0)
    assert world.policy(slipped) == {"BC": 1.0}
    assert world.true(world.step(slipped, "BC"))
    assert world.mend(slipped) == "BA"

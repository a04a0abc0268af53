"""What holds on the street maps, whatever route is asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.seeds import Purpose, generator, hash64
from deadreckon.worlds import load_world
from deadreckon.worlds.check import check_world
from deadreckon.worlds.maps import WALK_STEPS, Maps, Place
from deadreckon.worlds.search import FAR, distances, reaches
from deadreckon.worlds.towns import NO_GOAL, SIZES, atlas, crossings, start_pairs, streets, town

LEVELS = list(SIZES)
SPECS = ["maps:split=train", "maps:style=walk,split=all"]
FINGERPRINTS = {1: 5146878962491341891, 2: 8908676542029766268, 3: 17161379273060011176}


def any_state(level: int, item: int) -> Place:
    """Start and goal of an item, the traveller anywhere in the town."""
    rng = generator(0, hash64(level, item), Purpose.TEXT)
    start = Maps(split="all").start(level, rng)
    return start._replace(at=atlas().first[level] + int(rng.random() * SIZES[level] ** 2))


def right_walk(world: Maps, state: Place) -> list[Place]:
    walk = [state]
    while not world.done(walk[-1]):
        walk.append(world.step(walk[-1], next(iter(world.policy(walk[-1])))))
    return walk


@pytest.mark.parametrize("spec", SPECS)
def test_the_battery_of_world_laws_holds(spec: str) -> None:
    check_world(load_world(spec), items=6)


@pytest.mark.parametrize("level", LEVELS)
def test_the_towns_never_change_under_their_name(level: int) -> None:
    place = town(level)
    assert hash64(repr((place.ahead, place.trap, place.landmark))) == FINGERPRINTS[level]


@pytest.mark.parametrize("level", LEVELS)
def test_outside_the_traps_every_crossing_can_be_reached(level: int) -> None:
    place = town(level)
    outside = [u for u, trap in enumerate(place.trap) if not trap]
    assert all(reaches(place.ahead, outside[0], u) and reaches(place.ahead, u, outside[0]) for u in outside)


@pytest.mark.parametrize("level", LEVELS)
def test_a_trap_can_be_entered_and_not_left(level: int) -> None:
    place = town(level)
    inside = {u for u, trap in enumerate(place.trap) if trap}
    assert any(v in inside for u, after in enumerate(place.ahead) if u not in inside for v in after)
    assert all(v < 0 or v in inside for u in inside for v in place.ahead[u])


@pytest.mark.parametrize("level", LEVELS)
def test_there_is_a_street_and_a_wrong_turn_at_every_crossing(level: int) -> None:
    ways = [sum(v >= 0 for v in after) for after in town(level).ahead]
    assert min(ways) >= 1
    assert max(ways) <= 3


@pytest.mark.parametrize("level", LEVELS)
def test_some_streets_are_missing_and_some_are_one_way(level: int) -> None:
    size, listed = SIZES[level], streets(level)
    assert 0 < sum(street.one_way for street in listed) < len(listed) < 2 * size * (size - 1)
    arcs = sum(v >= 0 for after in town(level).ahead for v in after)
    assert arcs == sum(1 if street.one_way else 2 for street in listed)


def test_streets_join_neighbours_on_the_drawn_map() -> None:
    place = {crossing.name: (crossing.column, crossing.row) for crossing in crossings(2)}
    for street in streets(2):
        (x, y), (i, j) = place[street.start], place[street.end]
        assert abs(x - i) + abs(y - j) == 1


@pytest.mark.parametrize("level", LEVELS)
def test_distances_are_those_of_a_plain_search(level: int) -> None:
    ahead = town(level).ahead
    for start in range(0, len(ahead), 37):
        steps, queue = {start: 0}, [start]
        for u in queue:
            for v in ahead[u]:
                if v >= 0 and v not in steps:
                    steps[v] = steps[u] + 1
                    queue.append(v)
        expected = [steps.get(u, FAR) for u in range(len(ahead))]
        assert distances(np.array(ahead, np.int16))[start].tolist() == expected


@pytest.mark.parametrize("level", LEVELS)
def test_starts_are_a_towns_width_from_the_goal_and_outside_the_traps(level: int) -> None:
    tables = atlas()
    for start, goal in start_pairs(level, "all", False):
        assert SIZES[level] <= tables.steps[start, goal] < FAR
        assert not tables.trap[start]
        assert not tables.trap[goal]


@pytest.mark.parametrize("walk", [False, True])
@pytest.mark.parametrize("level", LEVELS)
def test_test_and_train_share_no_pair_and_are_all_of_them(level: int, walk: bool) -> None:
    test, train = (set(start_pairs(level, split, walk)) for split in ("test", "train"))
    assert test
    assert not test & train
    assert test | train == set(start_pairs(level, "all", walk))


def test_a_fifth_of_the_pairs_are_for_tests() -> None:
    test, every = (len(start_pairs(3, split, False)) for split in ("test", "all"))
    assert abs(test / every - 0.2) < 5 * math.sqrt(0.16 / every)


@given(st.sampled_from(LEVELS), st.integers(0, 10_000))
def test_a_right_turn_leads_one_step_nearer_and_no_other_street_does(level: int, item: int) -> None:
    world, state = Maps(), any_state(level, item)
    if world.done(state) or math.isinf(world.distance(state)):
        return
    nearer = {turn for turn in world.legal(state) if world.distance(world.step(state, turn)) < world.distance(state)}
    assert set(world.policy(state)) == nearer


@given(st.sampled_from(LEVELS), st.integers(0, 10_000))
def test_true_crossings_are_those_that_right_walks_pass(level: int, item: int) -> None:
    world, state = Maps(split="all"), any_state(level, item)
    passed, edge = {state.start}, [state._replace(at=state.start)]
    for _ in range(int(world.distance(edge[0]))):
        after = {world.step(here, turn) for here in edge if not world.done(here) for turn in world.policy(here)}
        edge = list(after)
        passed |= {here.at for here in after}
    assert passed >= {state.goal}
    assert world.true(state) == (state.at in passed)


@given(st.sampled_from(LEVELS), st.integers(0, 10_000))
def test_every_allowed_turn_is_right_wrong_or_restores_the_true_state(level: int, item: int) -> None:
    world, state = Maps(), any_state(level, item)
    if world.done(state):
        return
    mends = {turn for turn in world.legal(state) if world.true(state) is False and turn not in world.policy(state)}
    mends = {turn for turn in mends if world.true(world.step(state, turn))}
    slips = set(world.legal(state)) - set(world.policy(state)) - mends
    assert (set(world.wrong(state)) == slips) if slips else not set(world.wrong(state)) & set(world.legal(state))
    assert world.wrong(state)
    assert world.mend(state) == next((turn for turn in "NESW" if turn in mends), None)


@pytest.mark.parametrize("level", LEVELS)
def test_a_traveller_can_be_lost(level: int) -> None:
    world, tables = Maps(split="all"), atlas()
    lost = int(np.flatnonzero(tables.trap & (np.array(tables.level) == level))[0])
    state = world.start(level, generator(0, 1, Purpose.START))._replace(at=lost)
    assert world.distance(state) == math.inf
    assert world.true(state) is False
    assert set(world.policy(state)) == set(world.legal(state))


def test_a_landmark_is_named_except_at_the_start() -> None:
    world, marks = Maps(), {crossing.name: crossing.landmark for crossing in crossings(1)}
    named = next(name for name, mark in marks.items() if mark)
    state = world.restore(f"1 a01>f06 @{named}")
    assert world.fixes(state)
    assert world.says(state) == f"({marks[named]}) "
    plain = next(name for name, mark in marks.items() if not mark)
    assert world.says(world.restore(f"1 a01>f06 @{plain}")) == ""
    assert world.says(world.restore(f"1 {named}>f06 @{named}")) == ""


@pytest.mark.parametrize("level", LEVELS)
def test_a_walk_ends_after_its_steps_and_has_no_goal(level: int) -> None:
    world = Maps(style="walk")
    start = world.start(level, generator(0, 3, Purpose.START))
    walk = right_walk(world, start)
    assert len(walk) == WALK_STEPS[level] + 1
    assert start.goal == NO_GOAL
    assert math.isnan(world.distance(start))
    assert world.true(walk[-1]) is None
    assert set(world.wrong(start)) == set("NESW") - set(world.legal(start))


def test_styles_share_their_towns_and_starts() -> None:
    shortest, noisy = (Maps(style=style).start(2, generator(0, 9, Purpose.START)) for style in ("shortest", "noisy"))
    assert shortest == noisy
    assert Maps(style="noisy").name == "maps-noisy-v1"


def test_bad_options_levels_text_and_turns_are_refused() -> None:
    world = Maps()
    for options in ({"style": "long"}, {"split": "half"}, {"speed": "3"}):
        with pytest.raises(BadOption):
            Maps.from_options(options)
    with pytest.raises(BadOption, match="level 4"):
        world.start(4, generator(0, 0, Purpose.START))
    for text in ("1 a01>z06 @a01", "1 a01>a09 @a01", "1 a01 @a01 5 left", "1 a01>f06"):
        with pytest.raises(BadText):
            world.restore(text)
    state = world.restore("1 a01>f06 @a01")
    with pytest.raises(IllegalAction):
        world.step(state, "N")


def test_batched_methods_take_an_empty_batch() -> None:
    world = Maps()
    rows = world.pack([])
    assert rows.shape == (0, 4)
    assert world.unpack(rows) == world.batch_show(rows) == []
    assert len(world.batch_policy(rows)[0]) == len(world.batch_wrong(rows)) == len(world.batch_mend(rows)) == 0

"""The groups world against the groups themselves: permutations composed by hand, numbers added."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from deadreckon.errors import BadOption, BadText
from deadreckon.worlds.group_tables import ORDER, group
from deadreckon.worlds.groups import Groups


def apply_s5(arrangement: str, letter: str) -> str:
    """By the words of the rules: a swaps the first two, b moves the first to the end, a permutation picks places."""
    if letter == "a":
        return arrangement[1] + arrangement[0] + arrangement[2:]
    if letter == "b":
        return arrangement[1:] + arrangement[0]
    return "".join(arrangement[int(place) - 1] for place in letter)


def apply_z120(number: str, letter: str) -> str:
    return f"{(int(number) + {'a': 1, 'b': 49}.get(letter, 0) + (int(letter) if letter.isdigit() else 0)) % 120:03d}"


@pytest.mark.parametrize("every", [0, 1, 3])
@pytest.mark.parametrize("letters", ["two", "all"])
@pytest.mark.parametrize(("name", "apply"), [("s5", apply_s5), ("z120", apply_z120)])
def test_right_elements_are_what_the_letters_make_of_the_start(name, apply, letters, every):
    world = Groups(name, letters, every)
    for seed in range(20):
        state = world.start(2, np.random.default_rng(seed))
        now, read = world.opening(state).rstrip("\n"), 0
        while not world.done(state):
            said = world.says(state).removesuffix("=").split(" ")
            for letter in said:
                now = apply(now, letter)
            read += len(said)
            assert world.policy(state) == {now: 1.0}
            state = world.step(state, now)
        assert read == 16
        assert world.true(state)


def test_one_twin_commutes_and_the_other_does_not():
    s5, z120 = group("s5").times, group("z120").times
    assert {"".join(p) for p in permutations("12345")} == set(group("s5").texts)
    assert np.array_equal(z120, z120.T)
    # k(G) conjugacy classes: the share of commuting pairs is k(G)/|G| (Erdos and Turan 1968); S5 has 7 = p(5)
    assert np.mean(s5 == s5.T) == 7 / ORDER


@pytest.mark.parametrize("name", ["s5", "z120"])
def test_tables_are_groups_and_the_two_letters_generate_them(name):
    g = group(name)
    rows = np.arange(ORDER)
    assert np.array_equal(g.times[0], rows)
    assert np.array_equal(g.times[rows, g.inverse], np.zeros(ORDER))
    rng = np.random.default_rng(0)
    a, b, c = rng.integers(ORDER, size=(3, 500))
    assert np.array_equal(g.times[g.times[a, b], c], g.times[a, g.times[b, c]])
    reached, edge = {0}, [0]
    while edge:
        edge = [s for s in {int(g.times[e, p]) for e in edge for p in g.pair} if s not in reached]
        reached |= set(edge)
    assert len(reached) == ORDER


@pytest.mark.parametrize("name", ["s5", "z120"])
def test_every_element_is_as_likely_before_every_turn(name):
    """Chi-square over 120 elements; the 99.9% point of 119 degrees is 173."""
    world = Groups(name)
    ends = Counter(world.start(1, np.random.default_rng([3, seed])).word.totals[-1] for seed in range(6000))
    assert sum((ends[code] - 50) ** 2 / 50 for code in range(ORDER)) < 173


def test_a_slip_is_carried_on_from_until_it_is_mended():
    world = Groups()
    state = world.start(1, np.random.default_rng(4))
    off = world.step(state, world.wrong(state)[0])
    assert not world.true(off)
    carried = world.step(off, next(iter(world.policy(off))))
    assert not world.true(carried)  # a group cancels: a wrong element never becomes right by itself
    assert world.true(world.step(carried, world.mend(carried) or ""))
    assert len(world.wrong(off)) == 118
    assert len(world.wrong(state)) == 119


def test_options_and_notations_that_cannot_be_are_refused():
    with pytest.raises(BadOption, match="s5"):
        Groups("a5")
    with pytest.raises(BadOption, match="0 to 128"):
        Groups(every=129)
    for text in ("", "12345:a 0 12345", "12345:a,a,a,a,a,a,a,c 0 12345", "12345:a,a,a,a,a,a,a,b 0 21345"):
        with pytest.raises(BadText):
            Groups().restore(text)

"""Proofs against every model of their rules and against plain search; stars against an enumeration of paths."""

from __future__ import annotations

from collections import Counter, deque
from itertools import product

import numpy as np
import pytest

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.worlds import load_world
from deadreckon.worlds.derivations import State, known, proved
from deadreckon.worlds.horn import FAR, LETTERS, SIZES, Rule, Size, Theory, closure, distances, draw_theory, mask
from deadreckon.worlds.proofs import Proofs
from deadreckon.worlds.stars import DEGREES, Stars, route


def theories(level: int, count: int) -> list[Theory]:
    return [draw_theory(SIZES[level], np.random.default_rng([level, seed])) for seed in range(count)]


def least_model(theory: Theory) -> int:
    """What all sets that hold the facts and break no rule have in common: what the rules mean, without chaining."""
    every = (1 << theory.atoms) - 1
    for have in range(1 << theory.atoms):
        kept = all(mask(rule.body) & ~have or have >> rule.head & 1 for rule in theory.rules)
        if kept and mask(theory.facts) & ~have == 0:
            every &= have
    return every


@pytest.mark.parametrize(("level", "count"), [(1, 20), (2, 8), (3, 3), (4, 3)])
def test_what_chaining_proves_is_what_every_model_holds(level: int, count: int) -> None:
    for theory in theories(level, count):
        assert closure(theory) == least_model(theory)
        assert closure(theory) >> theory.goal & 1
        assert not closure(theory) >> theory.lure & 1
        assert {theory.goal, theory.lure} == {*theory.asked}


def search(theory: Theory, start: int, shut: tuple[int, ...] = ()) -> int:
    """Fewest rules to the goal by plain search over sets of atoms, none through the atoms that are shut."""
    queue, seen = deque([(frozenset(a for a in range(theory.atoms) if start >> a & 1), 0)]), set()
    while queue:
        have, steps = queue.popleft()
        if theory.goal in have:
            return steps
        for rule in theory.rules:
            after = have | {rule.head}
            if {*rule.body} <= have and rule.head not in shut and after not in seen:
                seen.add(after)
                queue.append((after, steps + 1))
    return FAR


@pytest.mark.parametrize("level", SIZES)
def test_a_shortest_proof_is_as_short_as_search_finds_and_as_long_as_the_level_says(level: int) -> None:
    rng, through = np.random.default_rng(level), 0
    for theory in theories(level, 8):
        shut = (theory.lure,)
        assert search(theory, mask(theory.facts)) == SIZES[level].steps
        every = range(1 << theory.atoms)
        for start in every if level == 1 else rng.integers(1 << theory.atoms, size=60).tolist():
            assert distances(theory)[start] == search(theory, start, shut)
            through += not start >> theory.lure & 1 and search(theory, start) < search(theory, start, shut)
    assert through > 0  # the lure would have been a way


def test_theories_differ_and_either_atom_may_be_the_one() -> None:
    drawn = theories(2, 200)
    assert len({theory.rules for theory in drawn}) == 200
    first = sum(theory.goal == theory.asked[0] for theory in drawn)
    assert 70 < first < 130
    tiny = draw_theory(Size(6, 2, 6, 1), np.random.default_rng(0))
    assert search(tiny, mask(tiny.facts)) == 1


def read_opening(text: str) -> tuple[dict[str, tuple[set[str], str]], set[str], str]:
    """Rules by number, facts, the two atoms in question: from the text alone."""
    second, first = text.removesuffix(".\n").split(".\n")
    parts = (part[2:].split(">") for part in first.split(" "))
    rules = {part[:2]: ({*body}, head) for part, (body, head) in zip(first.split(" "), parts, strict=True)}
    facts, asked = second.split("?")
    return rules, {*facts}, asked


@pytest.mark.parametrize("form", ["chain", "cite", "select"])
def test_a_reader_of_the_text_can_check_every_step(form: str) -> None:
    world = Proofs(form)
    for level, seed in product(world.levels, range(12)):
        state = world.start(level, np.random.default_rng([level, seed]))
        rules, have, asked = read_opening(world.opening(state))
        (answer,) = Proofs("direct").policy(state)
        lines, rng = 0, np.random.default_rng(seed)
        while not world.done(state):
            assert world.belief(state) == "".join(sorted(have))
            policy = list(world.policy(state))
            action = policy[int(rng.integers(len(policy)))]
            if world.says(state) == "by ":
                chosen = action
                assert rules[chosen][0] <= have
            else:
                letter = action[-1]
                bodies = [
                    body
                    for number, (body, head) in rules.items()
                    if head == letter
                    and number
                    in ({"chain": rules, "cite": {action[:2]}, "select": {chosen} if form == "select" else ()}[form])
                ]
                assert any(body <= have for body in bodies)
                have.add(letter)
                lines += 1
            state = world.step(state, action)
        assert lines == SIZES[level].steps
        assert have & {*asked} == {answer}
        assert world.true(state)
        assert world.distance(state) == 0


def test_what_nothing_proves_is_carried_on_from_until_it_is_taken_back() -> None:
    for form, seed in product(("chain", "cite", "select"), range(15)):
        world = Proofs(form)
        start = world.start(3, np.random.default_rng(seed))
        first = world.step(start, next(iter(world.policy(start))))
        if form == "select":
            first = world.step(first, next(iter(world.policy(first))))
        for wrong in world.wrong(first):
            off = world.step(first, wrong)
            assert not world.true(off)
            assert off.lines[:1] == first.lines
            mended = world.step(off, world.mend(off) or "")
            assert mended == first
            right = next(iter(world.policy(off)))
            further = world.step(off, right)
            assert not world.true(further)
            if not world.done(further):
                assert world.step(further, world.mend(further) or "") == first


def test_a_selected_rule_is_applied_as_selected_even_where_its_body_is_not_known() -> None:
    world = Proofs("select")
    for seed in range(20):
        state = world.start(3, np.random.default_rng(seed))
        for action in world.wrong(state):
            off = world.step(state, action)
            rule = state.theory.rules[off.chosen]
            assert mask(rule.body) & ~known(state)
            assert world.policy(off) == {LETTERS[rule.head]: 1.0}
            assert world.mend(off) == "<0"


def test_a_detour_is_a_slip_that_leaves_the_truth() -> None:
    """a>b a>c b>d, from a: c is proved and not needed."""
    theory = Theory(6, (0,), (Rule((0,), 1), Rule((0,), 2), Rule((1,), 3), Rule((5,), 4)), (3, 4))
    world, state = Proofs(), State(theory, (), -1)
    assert world.policy(state) == {"b": 1.0}
    assert set(world.wrong(state)) == {"f"}  # e and d answer the question
    after = world.step(state, "c")
    assert world.true(after)
    assert world.distance(after) == world.distance(state) == 2
    assert world.mend(after) is None
    jumped = world.step(state, "d")
    assert world.done(jumped)
    assert not world.true(jumped)  # right for the wrong reason
    assert world.distance(jumped) == 0
    fallen = world.step(state, "e")
    assert world.done(fallen)
    assert world.distance(fallen) == float("inf")
    cited = world.restore(world.show(state)), Proofs("cite").step(state, "03d")
    assert cited[0] == state
    assert proved(cited[1]) == 0
    assert proved(Proofs("cite").step(state, "01b")) == 1
    assert proved(Proofs("cite").step(state, "02b")) == 0  # b, but not by that rule


# --- stars ---


def paths(pairs: list[tuple[str, str]], here: str, end: str) -> list[list[str]]:
    """Every path, by search from the text's edges."""
    if here == end:
        return [[end]]
    return [[here, *rest] for a, b in pairs if a == here for rest in paths(pairs, b, end)]


@pytest.mark.parametrize("arm", [2, 4, 8])
def test_the_path_is_the_only_one_there_is(arm: int) -> None:
    plain, back = Stars(arm=arm), Stars("reversed", arm=arm)
    for level, seed in product(DEGREES, range(15)):
        state = plain.start(level, np.random.default_rng([level, seed]))
        edges, asked = plain.opening(state).split("\n")
        pairs = [(edge[:2], edge[3:]) for edge in edges.split(" ")]
        goal, start = asked.removesuffix(">").split("?")
        assert back.opening(state) == f"{' '.join(f'{b}<{a}' for a, b in pairs)}\n{start}?{goal}<"
        (path,) = paths(pairs, start, goal)
        assert len(path) == arm + 1
        assert path == [f"{node:02}" for node in route(state.star)]
        choices = []
        for world, expected in ((plain, path[1:]), (back, path[-2::-1])):
            now, written = state, []
            while not world.done(now):
                choices.append(len(world.legal(now)))
                (action,) = world.policy(now)
                written.append(action)
                now = world.step(now, action)
            assert written == expected
        assert choices == [DEGREES[level], *[1] * (arm - 1), *[1] * arm]


def test_an_actor_that_does_not_look_ahead_is_right_once_in_as_many_times_as_there_are_arms() -> None:
    world, rng, right = Stars(), np.random.default_rng(0), Counter[bool]()
    for seed in range(600):
        state = world.start(3, np.random.default_rng(seed))
        first = world.step(state, str(rng.choice(world.legal(state))))
        right[world.true(first)] += 1
        assert (world.distance(first) < float("inf")) == world.true(first)
        if not world.true(first):
            assert {*world.wrong(state)} | {*world.policy(state)} == {*world.legal(state)}
            assert first.path[-1] != world.track(first)[0]
            assert len(world.legal(first)) == 1
    assert abs(right[True] / 600 - 1 / 4) < 4 * np.sqrt(3 / 16 / 600)


def test_options_and_notations_that_cannot_be_are_refused() -> None:
    for spec in ("form=why", "kind=tree", "kind=star,form=cite", "kind=star,arm=1", "arm=3", "kind=horn,arm=4"):
        with pytest.raises(BadOption):
            load_world(f"proofs:{spec}")
    for spec, text in (
        ("chain", "6 a>b,b>d a cd - 01"),  # nothing is selected in a chain
        ("chain", "6 a>b,b>d a cd 01b 00"),
        ("chain", "6 a>b,b>d a bd - 00"),  # both follow
        ("chain", "3 a>b,b>d a cd - 00"),
        ("cite", "6 a>b,b>d a cd 00b 00"),
        ("cite", "6 a>b,b>d a cd 03b 00"),
        ("select", "6 a>b,b>d a cd 01b 01"),  # its head is known
        ("chain", "6 a>b,b>d a cd 00b,00b 00"),
        ("chain", "6 a>b,b>d a cd 00d,00b 00"),  # over after d
    ):
        with pytest.raises(BadText):
            load_world(f"proofs:form={spec}").restore(text)
    star = load_world("proofs:kind=star,arm=2")
    assert star.restore("01>02,02>03,01>04,04>05 01 03 02").path == (2,)
    for text in (
        "01>02,02>03,01>04,04>05 01 04 -",
        "01>02,02>03,01>04,04>02 01 03 -",
        "01>02,02>03,01>04,04>05 01 03 05",
    ):
        with pytest.raises(BadText):
            star.restore(text)
    state = Proofs().start(1, np.random.default_rng(0))
    with pytest.raises(IllegalAction, match="allowed are"):
        Proofs().step(state, LETTERS[state.theory.facts[0]])

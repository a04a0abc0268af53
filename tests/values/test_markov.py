"""Closed forms of Markov laws against published values and against independent computation."""

from __future__ import annotations

from itertools import product
from math import log

import numpy as np
import pytest

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.models.oracle import NoisyOracle
from deadreckon.worlds.markov import Markov, State
from deadreckon.worlds.markov_law import (
    Law,
    cross_entropy_rate,
    divergence_rate,
    divergences,
    entropy_rate,
    occupancy,
    stationary,
    survival,
    time_inside,
    track,
    transition,
    within,
)

SMALL = [("full", 1, 1), ("full", 2, 1), ("ergodic", 1, 3), ("ergodic", 2, 2), ("ergodic", 3, 1)]
EVERY = [(kind, order, level) for kind in ("full", "ergodic") for order in (1, 2, 3) for level in (1, 2, 3)]

FULL_1 = [0.05028247927108118, 0.27636113037512317, 0.22979006122316983, 0.4435663291306259]
ERGODIC_1 = [
    0.16916255236760974,
    0.8308374476323903,
    0.5307963424592788,
    0.46920365754072124,
    0.07358744739986765,
    0.026412552600132363,
    0.06762900011595478,
    0.03237099988404523,
]


def first_order(p: list[list[float]]) -> Law:
    """A chain whose contexts are its symbols."""
    return Law(np.array(p), np.tile(np.arange(len(p)), (len(p), 1)))


def noisy(world: Markov, level: int, slip: float) -> Law:
    """A model that errs on track with probability `slip`, uniformly over the symbols the law leaves out."""
    law, right = world.law(level), world.on_track(level)
    wrong = (law.p == 0) & (law.after >= 0)
    share = np.where(right & wrong.any(axis=1), slip, 0.0)[:, None]
    return Law((1 - share) * law.p + share * wrong / np.maximum(wrong.sum(axis=1), 1)[:, None], law.after)


def enumerated(law: Law, start: np.ndarray, steps: int) -> dict[tuple[int, tuple[int, ...]], tuple[float, int]]:
    """Every (start context, string): its probability and last context, by brute force."""
    strings = {}
    for c0 in np.nonzero(start)[0]:
        for string in product(range(law.p.shape[1]), repeat=steps):
            p, c = start[c0], c0
            for a in string:
                p, c = p * law.p[c, a], int(law.after[c, a])
                if p == 0:
                    break
            if p > 0:
                strings[int(c0), string] = (float(p), c)
    return strings


def test_golden_mean_process_has_two_thirds_of_a_bit() -> None:
    """No two ones in a row, fair otherwise (Crutchfield and Feldman, Chaos 13, 25, 2003): h = 2/3 bit."""
    law = first_order([[0.5, 0.5], [1.0, 0.0]])
    assert entropy_rate(law) / log(2) == pytest.approx(2 / 3, abs=1e-14)


def test_two_state_chain() -> None:
    """Leave with .1 and .2: pi = (2/3, 1/3), H = (2 h(.1) + h(.2)) / 3 = 0.553306 bit."""
    law = first_order([[0.9, 0.1], [0.2, 0.8]])
    assert stationary(transition(law)) == pytest.approx([2 / 3, 1 / 3], abs=1e-14)
    assert entropy_rate(law) / log(2) == pytest.approx(0.553306, abs=5e-7)


def test_divergence_rate_of_coins() -> None:
    """Fair against one in four: D = 0.2075 bit, the reverse 0.1887 bit (Cover and Thomas, example 2.3.1)."""
    fair, biased = first_order([[0.5, 0.5]] * 2), first_order([[0.75, 0.25]] * 2)
    assert divergence_rate(fair, biased.p) / log(2) == pytest.approx(0.2075, abs=5e-5)
    assert divergence_rate(biased, fair.p) / log(2) == pytest.approx(0.1887, abs=5e-5)


@pytest.mark.parametrize(("kind", "order", "level"), EVERY)
def test_stationary_law_is_what_powers_of_the_chain_tend_to(kind: str, order: int, level: int) -> None:
    world = Markov(kind, order)
    matrix = transition(noisy(world, level, 0.05))
    assert matrix.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    powers = np.linalg.matrix_power(matrix, 1 << 12)
    assert np.abs(powers - stationary(matrix)).max() < 1e-12


@pytest.mark.parametrize(("kind", "order", "level"), SMALL)
def test_entropy_rate_is_that_of_all_strings(kind: str, order: int, level: int) -> None:
    law = noisy(Markov(kind, order), level, 0.1)
    start = stationary(transition(law))
    strings = enumerated(law, start, 4)
    assert sum(p for p, _ in strings.values()) == pytest.approx(1.0, abs=1e-12)
    given_start = -sum(p * log(p / start[c0]) for (c0, _), (p, _) in strings.items())
    assert entropy_rate(law) == pytest.approx(given_start / 4, abs=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_divergences_are_those_of_all_strings_in_both_directions(order: int) -> None:
    law = Markov("full", order).law(1)
    other = Law(np.roll(law.p[:, :4], 1, axis=1), law.after[:, :4])
    law = Law(law.p[:, :4], law.after[:, :4])
    for p, q in ((law, other), (other, law)):
        start = stationary(transition(p))
        mine, theirs = enumerated(p, start, 3), enumerated(q, start, 3)
        total = sum(weight * log(weight / theirs[key][0]) for key, (weight, _) in mine.items())
        assert divergence_rate(p, q.p) == pytest.approx(total / 3, abs=1e-12)
        cross = -sum(weight * log(theirs[c0, string][0] / start[c0]) for (c0, string), (weight, _) in mine.items())
        assert cross_entropy_rate(p, q.p) == pytest.approx(cross / 3, abs=1e-12)


def test_a_model_without_a_symbol_of_the_truth_is_infinitely_far() -> None:
    p, q = np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]])
    assert divergences(p, q)[0] == np.inf
    assert divergences(q, p)[0] == pytest.approx(log(2), abs=1e-15)


@pytest.mark.parametrize(("kind", "order", "level"), [("ergodic", 1, 1), ("ergodic", 2, 1), ("ergodic", 3, 1)])
@pytest.mark.parametrize(("slip", "back"), [(0.02, 0.1), (0.3, 0.6)])
def test_the_track_is_a_two_state_chain(kind: str, order: int, level: int, slip: float, back: float) -> None:
    """Whatever the context, slip leaves and back returns: occupancy and survival need no more than these two."""
    world = Markov(kind, order, back=back)
    matrix, right, start = transition(noisy(world, level, slip)), world.on_track(level), world.start_law(level)
    assert occupancy(matrix, start, right, 50) == pytest.approx(track(slip, back, 50), abs=1e-12)
    assert survival(matrix, start, right, 50) == pytest.approx((1 - slip) ** np.arange(51), abs=1e-12)
    assert time_inside(matrix, start, right) == pytest.approx(1 / slip, rel=1e-12)
    assert stationary(matrix)[right].sum() == pytest.approx(back / (back + slip), abs=1e-12)


@pytest.mark.parametrize(("kind", "order", "level"), EVERY)
def test_the_noisy_oracle_has_the_law_of_these_matrices(kind: str, order: int, level: int) -> None:
    world = Markov(kind, order)
    q, letters = noisy(world, level, 0.07).p, [symbol[0] for symbol in world.alphabet[:-1]]
    for i, context in enumerate(world.contexts(level)):
        law = NoisyOracle(slip=0.07).law(world, State(level, context, 0))
        assert [law.get(letter, 0.0) for letter in letters] == pytest.approx(q[i].tolist(), abs=1e-15)


def test_occupancy_and_survival_are_those_of_all_strings() -> None:
    world = Markov("ergodic", 2, back=0.4)
    law, right, start = noisy(world, 1, 0.2), world.on_track(1), world.start_law(1)
    matrix = transition(law)
    strings = enumerated(law, start, 3)
    assert occupancy(matrix, start, right, 3)[3] == pytest.approx(
        sum(p for p, c in strings.values() if right[c]), abs=1e-12
    )
    clean = [key for key in strings if all(a < 4 for a in key[1])]  # codes below 4 are right
    assert survival(matrix, start, right, 3)[3] == pytest.approx(sum(strings[key][0] for key in clean), abs=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_absorbing_errors_never_return(order: int) -> None:
    world = Markov("absorbing", order)
    right, start = world.on_track(2), world.start_law(2)
    law = noisy(world, 2, 0.1)
    matrix = transition(law)
    assert not matrix[np.ix_(~right, right)].any()
    assert occupancy(matrix, start, right, 30) == pytest.approx(0.9 ** np.arange(31), abs=1e-12)
    assert stationary(matrix)[right].sum() == 0
    with pytest.raises(BadOption, match="several closed classes"):
        stationary(transition(world.law(2)))
    assert within(world.law(2), right).p.shape[0] == right.sum()
    with pytest.raises(BadOption, match="leads out"):
        within(law, right)


@pytest.mark.parametrize("kind", ["full", "ergodic", "absorbing"])
def test_the_world_and_its_matrices_say_the_same(kind: str) -> None:
    world = Markov(kind, 2)
    law, contexts, letters = world.law(2), world.contexts(2), [symbol[0] for symbol in world.alphabet[:-1]]
    for i, context in enumerate(contexts):
        state = State(2, context, 0)
        assert world.policy(state) == {a: p for a, p in zip(letters, law.p[i], strict=True) if p}
        for action, after in zip(letters, law.after[i], strict=True):
            assert world.allows(state, action) == (after >= 0)
            if after >= 0:
                assert world.step(state, action).last == contexts[after]


def test_a_change_of_class_restarts_the_context() -> None:
    world = Markov("ergodic", 3)
    erring = world.step(State(2, "abc", 0), "B")
    assert erring == State(2, "BBB", 1)
    assert world.step(world.step(erring, "C"), "A").last == "BCA"
    assert world.step(erring, "c") == State(2, "ccc", 2)
    assert Markov("full", 3).step(State(2, "abc", 0), "d").last == "bcd"


@pytest.mark.parametrize("kind", ["full", "ergodic", "absorbing"])
def test_nothing_follows_the_end(kind: str) -> None:
    world = Markov(kind, length=5)
    end = State(1, world.contexts(1)[0], 5)
    assert world.done(end)
    assert not world.allows(end, end.last)
    assert len(world.wrong(end)) == len(world.legal(end)) == 0
    assert (world.batch_wrong(world.pack([end])) == -1).all()
    with pytest.raises(IllegalAction, match="the episode is done"):
        world.step(end, end.last)
    with pytest.raises(BadText):
        world.restore(world.show(end._replace(steps=6)))


def test_the_law_is_fixed_for_ever() -> None:
    """Probabilities are part of the versioned name: other numbers need another name."""
    assert Markov("full", 1).law(1).p[0, :4] == pytest.approx(FULL_1, abs=0)
    assert Markov("ergodic", 1).law(1).p[:, :2].ravel() == pytest.approx(ERGODIC_1, abs=0)


def test_start_contexts_come_from_the_stationary_law() -> None:
    """Chi-square over 4 contexts, 99.9% point of 3 degrees is 16.3."""
    world = Markov("ergodic", 2)
    rng = np.random.default_rng(3)
    starts = [world.start(1, rng).last for _ in range(4000)]
    expected = 4000 * world.start_law(1)[world.on_track(1)]
    counts = np.array([starts.count(context) for context in world.contexts(1)[:4]])
    assert counts.sum() == 4000
    assert ((counts - expected) ** 2 / expected).sum() < 16.3


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "fair"},
        {"order": "4"},
        {"back": "0"},
        {"kind": "ergodic", "back": "nan"},
        {"back": "0.3"},
        {"length": "0"},
    ],
)
def test_options_outside_their_range_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(BadOption):
        Markov.from_options(options)

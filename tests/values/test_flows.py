"""The chaotic systems against closed forms, published exponents, and orbits that the tables have not seen."""

from __future__ import annotations

from itertools import pairwise
from math import log

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from deadreckon.errors import BadOption, BadText
from deadreckon.worlds.flow_maps import advance, begin, lyapunov, orbits, with_tangent
from deadreckon.worlds.flow_table import GRIDS, cells_of
from deadreckon.worlds.flows import Flows
from deadreckon.worlds.markov_law import transition


@pytest.mark.parametrize(
    ("system", "published", "tolerance"),
    [("logistic", log(2), 0.005), ("henon", 0.4192, 0.0015), ("lorenz", 0.906, 0.02)],
)
def test_lyapunov_exponents_are_the_published_ones(system: str, published: float, tolerance: float) -> None:
    """Logistic ln 2 exactly; Henon 0.4192 per step and Lorenz 0.906 per time unit (Sprott 2003, appendix A)."""
    assert lyapunov(system, symbols=150 if system == "lorenz" else 300) == pytest.approx(published, abs=tolerance)


@pytest.mark.parametrize("system", ["henon", "lorenz"])
def test_tangents_are_the_derivatives_of_the_map(system: str) -> None:
    """Against central differences over one symbol."""
    points = orbits(system)[0][:32]
    along = np.random.default_rng(0).normal(size=points.shape)
    after, tangent = with_tangent(system, points, along)
    step = 1e-6
    slope = (advance(system, points + step * along) - advance(system, points - step * along)) / (2 * step)
    assert np.array_equal(after, advance(system, points))
    assert tangent == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_the_exponent_of_a_stable_cycle_is_that_of_its_slopes() -> None:
    """r = 3.2: the 2-cycle has x1 + x2 = (r + 1)/r, x1 x2 = (r + 1)/r^2; the product of slopes is 4 + 2 r - r^2."""
    r = 3.2
    assert lyapunov("logistic", r) == pytest.approx(log(abs(4 + 2 * r - r * r)) / 2, abs=1e-9)
    assert Flows(r=r).entropy_rate(3) == 0.0
    assert int(Flows(r=r).support(3).sum()) == 2


@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_logistic_map_at_4_is_a_fair_coin_whatever_was_before(level: int) -> None:
    """Entropy rate = Lyapunov exponent = ln 2 (Pesin), measure uniform in cells that are equal in measure."""
    world, grid = Flows(), GRIDS["logistic"][level]
    assert world.entropy_rate(level) == pytest.approx(log(2), abs=1e-12)
    assert world.lyapunov() == log(2)
    assert world.measure(level) == pytest.approx(1 / grid, abs=1e-12)
    edges = np.sin(np.pi * np.arange(grid + 1) / (2 * grid)) ** 2
    for cell, (low, high) in enumerate(pairwise(edges)):  # images as intervals, by the map
        ends = sorted(4 * x * (1 - x) for x in (low, high))
        inside = (edges[:-1] > ends[0] - 1e-9) & (edges[1:] < ends[1] + 1e-9)
        assert np.array_equal(world.law(level).p[cell] > 0, inside)


def test_two_cells_of_the_past_tell_no_more_than_one_at_4() -> None:
    """P(next | this, last) from an orbit is 1/2 whichever the last was: the cells are a Markov partition."""
    cells = cells_of("logistic", orbits("logistic", 4.0, 5), 8, exact=True)
    last, now, then = cells[:-2].ravel(), cells[1:-1].ravel(), cells[2:].ravel()
    p = Flows().law(1).p
    for a, b in {*zip(last.tolist(), now.tolist(), strict=True)}:
        seen = then[(last == a) & (now == b)]
        share = np.bincount(seen, minlength=8) / len(seen)
        assert np.abs(share - p[b]).max() < 5 * 0.5 / np.sqrt(len(seen))


@pytest.mark.parametrize(("system", "r"), [("logistic", 3.6), ("henon", 4.0), ("lorenz", 4.0)])
def test_counted_laws_hold_on_orbits_that_were_not_counted(system: str, r: float) -> None:
    """Total variation between the law and the transitions of other orbits, averaged over the measure."""
    world, level = Flows(system, r), 2
    cells = cells_of(system, orbits(system, r, 1), GRIDS[system][level], exact=False)
    size = len(world.support(level))
    counts = np.bincount((cells[:-1] * size + cells[1:]).ravel(), minlength=size * size).reshape(size, size)
    seen = counts.sum(axis=1)
    assert seen[~world.support(level)].sum() / seen.sum() < 1e-3
    on = seen > 0
    apart = np.abs(counts[on] / seen[on, None] - world.law(level).p[on]).sum(axis=1) / 2
    assert float((apart * seen[on]).sum() / seen.sum()) < 0.02
    assert np.abs(world.measure(level) - seen / seen.sum()).sum() / 2 < 0.02


@pytest.mark.parametrize("system", ["henon", "lorenz"])
def test_the_measure_is_invariant_and_off_the_attractor_a_right_step_returns(system: str) -> None:
    world = Flows(system)
    for level in world.levels:
        matrix, measure = transition(world.law(level)), world.measure(level)
        assert measure @ matrix == pytest.approx(measure, abs=1e-12)
        off = ~world.support(level)
        assert off.any()
        assert not matrix[:, off].any()


def test_henons_attractor_keeps_its_width_and_contracts_areas() -> None:
    """|det J| = 0.3; y = 0.3 x of the step before; the published extent is about -1.285 .. 1.273."""
    points = orbits("henon")
    assert points[..., 0].min() == pytest.approx(-1.285, abs=0.001)
    assert points[..., 0].max() == pytest.approx(1.273, abs=0.001)
    assert np.array_equal(points[1:, :, 1], 0.3 * points[:-1, :, 0])


def test_lorenz_integration_agrees_with_another_integrator() -> None:
    """Over one symbol, 0.1 time units; and the symmetry (x, y) -> (-x, -y) is kept to the bit."""
    points = begin("lorenz", 8, 3)
    mirrored = points * np.array([-1.0, -1.0, 1.0])
    assert np.array_equal(advance("lorenz", mirrored), advance("lorenz", points) * np.array([-1.0, -1.0, 1.0]))

    def flow(_: float, p: np.ndarray) -> list[float]:
        return [10 * (p[1] - p[0]), p[0] * (28 - p[2]) - p[1], p[0] * p[1] - 8 / 3 * p[2]]

    for start, end in zip(points, advance("lorenz", points), strict=True):
        exact = solve_ivp(flow, (0, 0.1), start, rtol=1e-11, atol=1e-11).y[:, -1]
        assert end == pytest.approx(exact, abs=2e-4)


def test_options_and_notations_that_cannot_be_are_refused() -> None:
    for options in ({"map": "tent"}, {"map": "henon", "r": "3.6"}, {"r": "4.5"}, {"r": "nan"}, {"length": "0"}):
        with pytest.raises(BadOption):
            Flows.from_options(options)
    for text in ("", "1 008 0", "4 000 0", "1 000 65"):
        with pytest.raises(BadText):
            Flows().restore(text)

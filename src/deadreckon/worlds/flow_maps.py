"""Three chaotic systems as formulas: orbits on their attractors, and how fast neighbours part.

* logistic: x' = r x (1 - x), one step a symbol (May 1976).
* henon: x' = 1 - 1.4 x^2 + y, y' = 0.3 x, one step a symbol (Henon 1976).
* lorenz: x' = 10 (y - x), y' = x (28 - z) - y, z' = x y - 8/3 z, a symbol every 0.1 time units (Lorenz 1963);
  classical Runge-Kutta of step 0.01.

Sums and products alone, in IEEE double precision: an orbit has the same bits on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (..., dimensions)

MAPS = ("logistic", "henon", "lorenz")
STEP, SUBSTEPS = 0.01, 10  # of lorenz, time units; integration steps a symbol
TRANSIENT = 1000  # symbols before an orbit is taken to be on the attractor
COPIES, SYMBOLS = 512, 800  # orbits followed at once, and their length


def advance(name: str, points: Points, r: float = 4.0) -> Points:
    """The points one symbol later: (n, d)."""
    if name == "logistic":
        return r * points * (1 - points)
    if name == "henon":
        return _henon(points)
    for _ in range(SUBSTEPS):
        points = _runge_kutta(_lorenz, points)
    return points


def _henon(p: Points) -> Points:
    x, y = p.T
    return np.stack([1 - 1.4 * x * x + y, 0.3 * x], axis=1)


def _lorenz(p: Points) -> Points:
    x, y, z = p.T[:3]
    flow = [10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z]
    if p.shape[1] == 6:  # with a tangent vector (u, v, w)
        u, v, w = p.T[3:]
        flow += [10 * (v - u), (28 - z) * u - v - x * w, y * u + x * v - 8 / 3 * w]
    return np.stack(flow, axis=1)


def _runge_kutta(flow: Callable[[Points], Points], p: Points) -> Points:
    a = flow(p)
    b = flow(p + STEP / 2 * a)
    c = flow(p + STEP / 2 * b)
    d = flow(p + STEP * c)
    after: Points = p + STEP / 6 * (a + 2 * b + 2 * c + d)
    return after


def begin(name: str, copies: int, seed: int) -> Points:
    """Points near the attractor, from which its orbits are reached: (copies, d)."""
    u = np.random.Generator(np.random.PCG64([seed, 63])).random(
        (copies, {"logistic": 1, "henon": 2, "lorenz": 3}[name])
    )
    if name == "logistic":
        return 0.05 + 0.9 * u
    return 0.1 * u if name == "henon" else np.array([1.0, 1.0, 20.0]) + 8 * u


@lru_cache(maxsize=8)
def orbits(name: str, r: float = 4.0, seed: int = 0) -> Points:
    """Orbits on the attractor: (SYMBOLS, COPIES, d)."""
    points = begin(name, COPIES, seed)
    for _ in range(TRANSIENT if name != "lorenz" else TRANSIENT // 10):
        points = advance(name, points, r)
    found = [points]
    for _ in range(SYMBOLS - 1):
        found.append(advance(name, found[-1], r))
    return np.stack(found)


def lyapunov(name: str, r: float = 4.0, *, symbols: int = 300, seed: int = 0) -> float:
    """The largest Lyapunov exponent, nats per symbol (lorenz: per time unit), from tangent vectors carried along.

    lambda = lim (1/t) ln |v(t)|, v' = J v (Benettin et al. 1980), mean over COPIES orbits of `symbols` symbols.
    """
    points = begin(name, COPIES, seed)
    for _ in range(TRANSIENT if name != "lorenz" else TRANSIENT // 10):
        points = advance(name, points, r)
    if name == "logistic":
        grown = 0.0
        for _ in range(symbols):
            slope = np.abs(r * (1 - 2 * points[:, 0]))
            grown += float(np.log(np.maximum(slope, 1e-300)).mean())
            points = advance(name, points, r)
        return grown / symbols
    tangent = np.zeros_like(points)
    tangent[:, 0] = 1.0
    grown, settle = 0.0, symbols // 10  # until the tangent has turned into the growing direction
    for t in range(settle + symbols):
        points, tangent = with_tangent(name, points, tangent)
        size = np.sqrt((tangent * tangent).sum(axis=1))
        grown += float(np.log(size).mean()) if t >= settle else 0.0
        tangent = tangent / size[:, None]
    return grown / symbols / (SUBSTEPS * STEP if name == "lorenz" else 1.0)


def with_tangent(name: str, points: Points, tangent: Points) -> tuple[Points, Points]:
    """Points (n, d) of henon or lorenz and vectors at them, (n, d), both one symbol later."""
    if name == "henon":
        u, v = tangent.T
        return _henon(points), np.stack([-2.8 * points[:, 0] * u + v, 0.3 * u], axis=1)
    both = np.concatenate([points, tangent], axis=1)
    for _ in range(SUBSTEPS):
        both = _runge_kutta(_lorenz, both)
    return both[:, :3], both[:, 3:]

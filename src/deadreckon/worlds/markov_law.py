"""Markov chains of any order as matrices, and what has a closed form for them. Rates in nats per symbol.

A `Law` over C contexts and m symbols is P (C, m), P[c, a] the probability of symbol a in context c, and
`after` (C, m), the context that a leads to from c (-1 where a cannot follow). Source of the formulas: Cover and
Thomas, Elements of Information Theory, 2nd ed., chapter 4; Kemeny and Snell, Finite Markov Chains, chapter 3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deadreckon.errors import BadOption

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Law(NamedTuple):
    """A source: what follows each context, and where that leads."""

    p: Matrix  # (C, m)
    after: NDArray[np.int64]  # (C, m)


def transition(law: Law) -> Matrix:
    """T[c, d] = sum of P[c, a] over the symbols a that lead from c to d: (C, C)."""
    size = len(law.p)
    matrix = np.zeros((size, size))
    context, symbol = np.nonzero(law.p > 0)
    np.add.at(matrix, (context, law.after[context, symbol]), law.p[context, symbol])
    return matrix


def recurrent(matrix: Matrix) -> Mask:
    """Which contexts are met for ever from somewhere: those that all they lead to lead back to: (C,).

    BadOption where these are several closed classes.
    """
    reach = ((matrix > 0) | np.eye(len(matrix), dtype=np.bool_)).astype(np.float32)
    for _ in range(len(matrix).bit_length()):
        reach = np.minimum(reach @ reach, 1.0)
    back: Mask = (reach > 0) <= (reach.T > 0)
    met: Mask = np.all(back, axis=1)
    if not (reach[np.ix_(met, met)] > 0).all():
        raise BadOption(f"a chain of {len(matrix)} contexts has several closed classes: restrict it to one")
    return met


def stationary(matrix: Matrix) -> Vector:
    """The pi >= 0 with pi T = pi and sum 1: (C,). BadOption where there is more than one (several closed classes)."""
    met = recurrent(matrix)
    block = matrix[np.ix_(met, met)]
    system = block.T - np.eye(len(block))
    system[-1] = 1.0  # one equation of pi T = pi follows from the others
    pi = np.zeros(len(matrix))
    pi[met] = np.linalg.solve(system, np.eye(len(block))[-1])
    return pi


def within(law: Law, inside: Mask) -> Law:
    """The law restricted to a closed set of contexts. BadOption where it leads out."""
    place = np.full(len(inside) + 1, -1)
    place[:-1][inside] = np.arange(int(inside.sum()))
    inner = Law(law.p[inside], place[law.after[inside]])
    if (inner.p[inner.after < 0] > 0).any():
        raise BadOption(
            f"the law leads out of {int(inside.sum())} of its {len(inside)} contexts: restrict to a closed set"
        )
    return inner


def entropies(p: Matrix) -> Vector:
    """H[c] = -sum_a P[c, a] ln P[c, a], with 0 ln 0 = 0: (C,)."""
    rates: Vector = -np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0).sum(axis=1)
    return rates


def divergences(p: Matrix, q: Matrix) -> Vector:
    """D[c] = sum_a P[c, a] ln(P[c, a] / Q[c, a]): (C,), inf where Q lacks a symbol of P."""
    with np.errstate(divide="ignore"):
        ratio = np.log(np.where(p > 0, p, 1.0)) - np.log(np.where(p > 0, q, 1.0))
    rates: Vector = np.where(p > 0, p * ratio, 0.0).sum(axis=1)
    return rates


def entropy_rate(law: Law) -> float:
    """H = sum_c pi[c] H[c], pi stationary: nats per symbol (Cover and Thomas, theorem 4.2.4)."""
    return float(stationary(transition(law)) @ entropies(law.p))


def divergence_rate(law: Law, q: Matrix) -> float:
    """lim D(P^n || Q^n) / n = sum_c pi_P[c] D(P[c] || Q[c]): nats per symbol.

    Contexts are drawn from `law`: with P the truth this is the teacher-forced drift, with P the model the
    free-running one (exchange the two laws).
    """
    pi = stationary(transition(law))
    reached = pi > 0
    return float(pi[reached] @ divergences(law.p, q)[reached])


def cross_entropy_rate(law: Law, q: Matrix) -> float:
    """-E_P ln Q per symbol = H(P) + D(P || Q)."""
    return entropy_rate(law) + divergence_rate(law, q)


def occupancy(matrix: Matrix, start: Vector, inside: Mask, steps: int) -> Vector:
    """P(context after n steps is inside), n = 0 .. steps: start T^n 1_inside."""
    shares, now = [], start
    for _ in range(steps + 1):
        shares.append(float(now[inside].sum()))
        now = now @ matrix
    return np.array(shares)


def survival(matrix: Matrix, start: Vector, inside: Mask, steps: int) -> Vector:
    """P(no context outside up to n steps), n = 0 .. steps: start T_in^n 1, T_in the block inside."""
    block = matrix[np.ix_(inside, inside)]
    return occupancy(block, start[inside], np.ones(len(block), np.bool_), steps)


def time_inside(matrix: Matrix, start: Vector, inside: Mask) -> float:
    """Mean number of steps until the first context outside: start (I - T_in)^-1 1 (the fundamental matrix)."""
    block = matrix[np.ix_(inside, inside)]
    each = np.linalg.solve(np.eye(len(block)) - block, np.ones(len(block)))
    return float(start[inside] @ each)


def track(slip: float, recover: float, steps: int) -> Vector:
    """Share on track after n steps of a two-state track that starts on it, n = 0 .. steps.

    pi + (1 - pi)(1 - g - h)^n with h = slip, g = recover, pi = g / (g + h) (1 where both are 0).
    """
    both = recover + slip
    limit = recover / both if both > 0 else 1.0
    return limit + (1.0 - limit) * (1.0 - both) ** np.arange(steps + 1, dtype=np.float64)

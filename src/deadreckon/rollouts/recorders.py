"""Exact comparisons of the model's law Q with the oracle's law P at one context.

All sums run left to right, so that padding with zeros cannot change a bit and the plain loop and the batched lane
agree exactly. They run column by column: fastest where a column of (n, k) is contiguous (Fortran order).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

OFF_SUPPORT = 1e-12  # mass of Q off P's support below this is rounding


@dataclass(frozen=True, slots=True)
class Laws:
    """n contexts x k listed actions: P and Q side by side; `off_list` is Q's mass on actions not listed."""

    p: F64  # (n, k), rows sum to 1
    q: F64  # (n, k)
    log_p: F64  # (n, k), 0 where p = 0
    log_q: F64  # (n, k), 0 where q = 0
    off_list: F64  # (n,)

    @classmethod
    def of(cls, p: F64, q: F64, off_list: F64) -> Laws:
        """With their logarithms."""
        return cls(p, q, log_or_zero(p), log_or_zero(q), off_list)


def row_sum(x: F64) -> F64:
    """Sum along the last axis from left to right: (n, k) -> (n,)."""
    total = np.zeros(len(x))
    for j in range(x.shape[1]):
        total += x[:, j]
    return total


def running_sum(x: F64) -> F64:
    """Running sums along the last axis, the last of which is `row_sum`: (n, k) -> (n, k), in Fortran order."""
    total, out = np.zeros(len(x)), np.empty(x.shape, order="F")
    for j in range(x.shape[1]):
        total += x[:, j]
        out[:, j] = total
    return out


def log_or_zero(x: F64) -> F64:
    """log x where x > 0, else 0: for terms x log x."""
    out = np.zeros_like(x)
    np.log(x, out=out, where=x > 0.0)
    return out


def entropy(laws: Laws) -> F64:
    """H(Q) = -sum q log q, nats: (n, k) -> (n,)."""
    return 0.0 - row_sum(laws.q * laws.log_q)


def kl_pq(laws: Laws) -> F64:
    """D(P||Q) = sum_a P(a) log(P(a)/Q(a)), nats; inf where Q misses part of P's support."""
    missed = ((laws.p > 0.0) & (laws.q <= 0.0)).any(axis=1)
    total = row_sum(laws.p * (laws.log_p - laws.log_q))
    return np.where(missed, np.inf, np.maximum(total, 0.0))


def right_mass(laws: Laws) -> F64:
    """Q's mass on P's support."""
    return row_sum(np.where(laws.p > 0.0, laws.q, 0.0))


def kl_qp(laws: Laws) -> F64:
    """D(Q||P), nats; inf where Q has mass off P's support (finite by construction in full-support worlds only)."""
    on = laws.p > 0.0
    off = row_sum(np.where(on, 0.0, laws.q)) + laws.off_list
    if (off > OFF_SUPPORT).all():
        return np.full(len(off), np.inf)
    total = row_sum(np.where(on, laws.q * (laws.log_q - laws.log_p), 0.0))
    return np.where(off > OFF_SUPPORT, np.inf, np.maximum(total, 0.0))

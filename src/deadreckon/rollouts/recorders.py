"""Exact comparisons of the model's law Q with the oracle's law P at one context.

All sums run left to right (numpy's cumulative sum), so that padding with zeros cannot change a bit and the
plain loop and the batched lane agree exactly.
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
    off_list: F64  # (n,)


def row_sum(x: F64) -> F64:
    """Sum along the last axis from left to right: (n, k) -> (n,)."""
    if x.shape[1] == 0:
        return np.zeros(len(x))
    total: F64 = np.cumsum(x, axis=1)[:, -1]
    return total


def log_or_zero(x: F64) -> F64:
    """log x where x > 0, else 0: for terms x log x."""
    out: F64 = np.log(np.where(x > 0.0, x, 1.0))
    return out


def entropy(q: F64) -> F64:
    """H(Q) = -sum q log q, nats: (n, k) -> (n,)."""
    return 0.0 - row_sum(q * log_or_zero(q))


def kl_pq(laws: Laws) -> F64:
    """D(P||Q) = sum_a P(a) log(P(a)/Q(a)), nats; inf where Q misses part of P's support."""
    missed = ((laws.p > 0.0) & (laws.q <= 0.0)).any(axis=1)
    total = row_sum(laws.p * (log_or_zero(laws.p) - log_or_zero(laws.q)))
    return np.where(missed, np.inf, np.maximum(total, 0.0))


def right_mass(laws: Laws) -> F64:
    """Q's mass on P's support."""
    return row_sum(np.where(laws.p > 0.0, laws.q, 0.0))


def kl_qp(laws: Laws) -> F64:
    """D(Q||P), nats; inf where Q has mass off P's support (finite by construction in full-support worlds only)."""
    off = row_sum(np.where(laws.p > 0.0, 0.0, laws.q)) + laws.off_list
    total = row_sum(np.where(laws.p > 0.0, laws.q * (log_or_zero(laws.q) - log_or_zero(laws.p)), 0.0))
    return np.where(off > OFF_SUPPORT, np.inf, np.maximum(total, 0.0))

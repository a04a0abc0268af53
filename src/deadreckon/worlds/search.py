"""Breadth-first search on small directed graphs given as neighbour tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FAR = 10_000  # stands for "unreachable"; the sum of two still fits int16


def reaches(ahead: Sequence[Sequence[int]], start: int, goal: int) -> bool:
    """Whether `goal` can be reached from `start`; ahead[u] lists the nodes after u, -1 for none."""
    seen = {start}
    queue = [start]
    for node in queue:
        for after in ahead[node]:
            if after == goal:
                return True
            if after >= 0 and after not in seen:
                seen.add(after)
                queue.append(after)
    return start == goal


def distances(ahead: NDArray[np.int16]) -> NDArray[np.int16]:
    """Steps from every node to every node, FAR where there is no way: ahead (n, k), -1 for none -> (n, n).

    Breadth-first from all goals at once: row u of `near` holds the goals within r steps of u.
    """
    n = len(ahead)
    steps = np.full((n, n), FAR, np.int16)
    near = np.zeros((n + 1, n), np.bool_)  # the last row, which -1 points at, stays empty
    np.fill_diagonal(near, True)
    np.fill_diagonal(steps, 0)
    for radius in range(1, n):
        new = np.logical_or.reduce([near[after] for after in ahead.T]) & ~near[:n]
        if not new.any():
            break
        steps[new] = radius
        near[:n] |= new
    return steps

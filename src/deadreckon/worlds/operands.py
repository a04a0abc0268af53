"""Operands drawn uniformly, or uniformly among those whose longest run of carries lies in a range."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from deadreckon.seeds import hash64
from deadreckon.worlds.columns import divisor_digits

SHARE = 8  # one pair in so many is kept for the exam


@lru_cache(maxsize=8)
def pairs(op: str, carry: int, out: int) -> tuple[tuple[int, int], ...]:
    """Digits of a column that take this carry in and hand that one out."""
    digits = [(x, y) for x in range(10) for y in range(10)]
    if op == "add":
        return tuple((x, y) for x, y in digits if (x + y + carry > 9) == out)
    return tuple((x, y) for x, y in digits if (x - y - carry < 0) == out)


@lru_cache(maxsize=1 << 14)
def count(op: str, left: int, carry: int, run: int, best: int, allowed: tuple[int, int]) -> int:
    """How many digits of `left` more columns end with a longest run in `allowed` (and, in sub, without a borrow).

    `run`: columns that carry, up to here; `best`: the longest such run so far.
    """
    best = max(best, run)
    if best > allowed[1]:
        return 0
    if not left:
        return int(best >= allowed[0] and not (op == "sub" and carry))
    return sum(
        len(pairs(op, carry, out)) * count(op, left - 1, out, run + 1 if out else 0, best, allowed) for out in (0, 1)
    )


def with_chain(op: str, digits: int, allowed: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """Operands of add or sub, uniform among those whose longest run of carries is in `allowed` (bounds included)."""
    a = b = carry = run = best = 0
    for i in range(digits):
        left = digits - i - 1
        weights = [
            len(pairs(op, carry, out)) * count(op, left, out, run + 1 if out else 0, best, allowed) for out in (0, 1)
        ]
        out = int(rng.random() * sum(weights) >= weights[0])
        x, y = pairs(op, carry, out)[int(rng.integers(len(pairs(op, carry, out))))]
        a, b, carry = a + x * 10**i, b + y * 10**i, out
        run = run + 1 if out else 0
        best = max(best, run)
    return a, b


def free(op: str, digits: int, rng: np.random.Generator) -> tuple[int, int]:
    """Operands uniform among those of so many digits, zeros in front included; sub: the larger first."""
    a = int(rng.integers(10**digits))
    if op == "div":
        m = divisor_digits(digits)
        return a, int(rng.integers(10 ** (m - 1), 10**m))
    b = int(rng.integers(10**digits))
    return (max(a, b), min(a, b)) if op == "sub" else (a, b)


def in_exam(op: str, a: int, b: int) -> bool:
    """Whether a pair is kept for the exam; (a, b) and (b, a) fall on the same side where the order is of no matter."""
    first, second = sorted((a, b)) if op in ("add", "mul") else (a, b)
    return hash64("arithmetic", op, first, second) % SHARE == 0

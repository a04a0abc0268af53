"""Counter-based draws: a draw depends on where it stands, never on when it happens.

Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), keyed by

    key     = (run seed, hash64(world, level, item))
    counter = (step, rollout, purpose << 32 | ask, sample << 32 | token // 4)

and the 64-bit word ``token % 4`` of that block, read as ``(word >> 11) * 2**-53`` in [0, 1). So any batch,
worker count, order or resume point sees the same draws, and a draw can be recomputed years later.
"""

from __future__ import annotations

from enum import IntEnum
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

U64 = NDArray[np.uint64]

_M0, _M1 = 0xD2E7470EE14C6C93, 0xCA5A826395121157
_W0, _W1 = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


class Purpose(IntEnum):
    """What a draw is for; a closed list, so that no two uses can share a stream."""

    START = 0  # the start state of an item
    ACT = 1  # the model's own samples
    ORACLE = 2  # the oracle's choice among right actions, when healing or repairing
    INJECT = 3  # which error an intervention injects
    BOOTSTRAP = 4
    TRAIN = 5
    INIT = 6  # a network's first weights
    TEXT = 7  # expert transcripts
    EXAMPLE = 8  # worked examples in a prompt


def hash64(*parts: str | int) -> int:
    """A 64-bit name for a tuple of strings and integers (BLAKE2b, first 8 bytes, little endian)."""
    digest = blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _mulhilo(a: int, b: U64) -> tuple[U64, U64]:
    """High and low 64 bits of the 128-bit product a*b."""
    a_low, a_high = np.uint64(a & 0xFFFFFFFF), np.uint64(a >> 32)
    b_low, b_high = b & _LOW, b >> _32
    low = a_low * b_low
    mid = a_high * b_low + (low >> _32)
    mid2 = a_low * b_high + (mid & _LOW)
    return a_high * b_high + (mid >> _32) + (mid2 >> _32), np.uint64(a) * b


def philox(counter: U64, key: U64) -> U64:
    """Philox4x64-10 of each row: counter (n, 4), key (n, 2) -> (n, 4) words."""
    c0, c1, c2, c3 = (counter[:, i] for i in range(4))
    k0, k1 = key[:, 0].copy(), key[:, 1].copy()
    for _ in range(10):
        hi0, lo0 = _mulhilo(_M0, c0)
        hi1, lo1 = _mulhilo(_M1, c2)
        c0, c1, c2, c3 = hi1 ^ c1 ^ k0, lo1, hi0 ^ c3 ^ k1, lo0
        k0 += np.uint64(_W0)
        k1 += np.uint64(_W1)
    return np.stack([c0, c1, c2, c3], axis=1)


def blocks(
    seed: int,
    items: ArrayLike,
    steps: ArrayLike,
    rollouts: ArrayLike,
    purpose: Purpose,
    asks: ArrayLike = 0,
    samples: ArrayLike = 0,
    block: int = 0,
) -> NDArray[np.float64]:
    """Four uniforms in [0, 1) for each place: (n, 4), the draws of tokens 4*block ... 4*block+3.

    The arguments broadcast against each other; `items` are hash64 values (uint64).
    """
    parts = [np.asarray(v, dtype=np.uint64) for v in (items, steps, rollouts, asks, samples)]
    item, step, rollout, ask, sample = np.broadcast_arrays(*parts)
    n = item.size
    counter = np.empty((n, 4), np.uint64)
    counter[:, 0], counter[:, 1] = step.ravel(), rollout.ravel()
    counter[:, 2] = (np.uint64(int(purpose)) << _32) | ask.ravel()
    counter[:, 3] = (sample.ravel() << _32) | np.uint64(block)
    key = np.empty((n, 2), np.uint64)
    key[:, 0], key[:, 1] = np.uint64(seed % 2**64), item.ravel()
    words: NDArray[np.float64] = (philox(counter, key) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return words


def draw(key: tuple[int, int], step: int, rollout: int, purpose: Purpose) -> float:
    """One uniform in [0, 1) at key = (run seed, item), the same as `blocks(...)[0, 0]` there."""
    place = step | rollout << 64 | int(purpose) << 160
    before = (place - 1) % 2**256  # numpy steps the counter before it generates
    counter = [before >> shift & 0xFFFFFFFFFFFFFFFF for shift in (0, 64, 128, 192)]
    bits = np.random.Philox(key=_words(key[0] % 2**64, key[1]), counter=_words(*counter))
    word = bits.random_raw()
    return float((int(word) >> 11) * 2.0**-53)


def generator(seed: int, item: int, purpose: Purpose, place: int = 0) -> np.random.Generator:
    """A numpy generator at (seed, item, purpose, place), for draws that need more than a few words.

    numpy promises the bit stream of Philox, not the streams of its distributions: worlds and samplers record
    the numpy version in the run's identity.
    """
    counter = _words(0, place, int(purpose) << 32, 0)
    return np.random.Generator(np.random.Philox(key=_words(seed % 2**64, item), counter=counter))


def _words(*values: int) -> U64:
    """As uint64: a plain list with values of 2**63 and more would pass through floats."""
    return np.array(values, dtype=np.uint64)


def pick(cdf: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Inverse-CDF sampling with a fixed tie rule: the first index whose cumulative mass exceeds u * total.

    cdf (n, k) non-decreasing along k, u (n,) in [0, 1) -> (n,) indices. An index with zero mass is never drawn.
    """
    total = cdf[:, -1]
    index: NDArray[np.int64] = (cdf <= (u * total)[:, None]).sum(axis=1)
    last = (cdf < total[:, None]).sum(axis=1)  # u * total can round up to total
    drawn: NDArray[np.int64] = np.minimum(index, last)
    return drawn

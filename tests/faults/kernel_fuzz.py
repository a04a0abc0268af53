"""Seeded random calls of the kernel, sound and malformed: each is a typed error or keeps its promises.

    python tests/faults/kernel_fuzz.py CALLS [SEED [BUILD ...]]

Run as a script under the sanitizers by tests/faults/test_kernel_faults.py; with DEADRECKON_SANITIZED set, the kernel
is compiled with them.
"""

from __future__ import annotations

import os
import sys

import numpy as np

from deadreckon.errors import DeadreckonError
from deadreckon.models.config import GPTConfig
from deadreckon.models.kernel import library, works
from deadreckon.models.kernel.build import BUILDS, missing
from deadreckon.models.kernel.library import QUESTION, Library, Network, new_jobs
from deadreckon.models.kernel.works import AHEAD, Layout, Memory, Works
from deadreckon.models.tokens import Tokenizer

SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g", "-O1")
CONFIGS = (
    GPTConfig(5, 9, 1, 32, 16),
    GPTConfig(33, 40, 2, 64, 32),
    GPTConfig(2, 1, 1, 32, 32),
    GPTConfig(70, 65, 1, 96, 48),
    GPTConfig(20, 33, 1, 96, 16),  # six heads: four at once, and two more
)
ROWS = 6
FIELDS = ["slot", "read", "length", "token", "most", "kind", "ahead", "kept", "temperature", "symbol", "logits"]
WILD = np.array([-(2**31), -100, -1, 0, 1, 2, 7, 9, 40, 41, 65, 66, 1000, 2**31 - 1])


def random_works(built: Library, config: GPTConfig, rng: np.random.Generator) -> Works:
    tensors = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in config.shapes().items()}
    layout = Layout(ROWS, int(rng.integers(1, 49)), 1)
    shop = Works(Network(built, config, tensors), Tokenizer([chr(48 + i) for i in range(config.vocab - 1)]), layout)
    shop.kind(("1",))
    shop.kind(("1", "23"))
    return shop


def sound_jobs(shop: Works, memory: Memory, rng: np.random.Generator) -> np.ndarray:
    """Jobs of some slots, whose symbols are new and unread."""
    config = shop.network.config
    slots = rng.permutation(ROWS)[: rng.integers(0, ROWS + 1)]
    memory.symbols[:] = rng.integers(0, config.vocab, memory.symbols.shape)
    jobs = new_jobs(len(slots))
    jobs["slot"] = slots
    jobs["length"] = rng.integers(1, config.context + 1, len(slots))
    jobs["most"] = rng.integers(0, config.context + 2 - jobs["length"], len(slots))
    jobs["temperature"] = rng.choice([0.0, 0.1, 1.0, 50.0], len(slots))
    jobs["kind"] = rng.integers(0, 2, len(slots))
    if rng.random() < 0.3:  # steps ahead
        jobs["most"] = np.minimum(jobs["most"], 1)
        jobs["kept"] = np.where(jobs["most"] == 1, 0, -1)
        room = config.context - jobs["length"]
        jobs["ahead"] = np.where(jobs["most"] == 1, np.minimum(rng.integers(0, AHEAD, len(slots)), room), 0)
    for name in ("seed", "item", "step", "rollout"):
        jobs[name] = rng.integers(0, 2**63, len(slots))
    return jobs


def spoil(jobs: np.ndarray, memory: Memory, shop: Works, rng: np.random.Generator) -> None:
    """One field of one job is not what it should be."""
    one = rng.integers(len(jobs))
    field = str(
        rng.choice(
            ["slot", "read", "length", "token", "most", "kind", "ahead", "kept", "temperature", "symbol", "logits"]
        )
    )
    if field == "symbol":
        wrong = rng.choice([-1, shop.network.config.vocab, 2**31 - 1])
        memory.symbols[jobs["slot"][one], rng.integers(jobs["length"][one])] = wrong
    elif field == "logits":
        jobs["read"][one] = jobs["length"][one]
        memory.ends[jobs["slot"][one], 1] = rng.choice([np.nan, np.inf, -np.inf])
    elif field == "temperature":
        jobs[field][one] = rng.choice([-1.0, np.nan, np.inf])
    else:
        jobs[field][one] = rng.choice(WILD)


def promises_kept(jobs: np.ndarray, before: np.ndarray, memory: Memory, shop: Works) -> None:
    vocab = shop.network.config.vocab
    ahead = before["ahead"] - jobs["ahead"]
    assert (jobs["length"] - before["length"] == jobs["token"] - before["token"] + ahead).all()
    assert (jobs["token"] <= np.maximum(jobs["most"], before["token"])).all()
    assert (ahead >= 0).all()
    assert (jobs["step"] - before["step"] == ahead.astype(np.uint64)).all()
    assert ((jobs["read"] == jobs["length"]) | (jobs["read"] == jobs["length"] - 1)).all()
    assert (jobs["logp"] <= 1e-9).all()
    assert (jobs["entropy"] >= -1e-9).all()
    assert (jobs["entropy"] <= (jobs["length"] - before["length"]) * np.log(max(vocab - 1, 1)) + 1e-6).all()
    for job, old in zip(jobs, before, strict=True):
        drawn = memory.symbols[job["slot"], old["length"] : job["length"]]
        assert ((drawn > 0) & (drawn < vocab)).all()  # the begin symbol is never emitted


def score_some(shop: Works, memory: Memory, jobs: np.ndarray, rng: np.random.Generator, *, spoiled: bool) -> None:
    config = shop.network.config
    counts = rng.integers(0, 4, len(jobs))
    left = np.repeat(config.context + 1 - jobs["length"], counts)
    sizes = (rng.random(len(left)) * (left + 1)).astype(np.int64)
    at = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    symbols = rng.integers(1, config.vocab, int(at[-1])).astype(np.int32)
    questions = np.zeros(len(jobs), QUESTION)
    questions["slot"], questions["length"], questions["count"] = jobs["slot"], jobs["length"], counts
    questions["first"], questions["temperature"] = np.cumsum(counts) - counts, jobs["temperature"]
    if spoiled and len(symbols):
        symbols[rng.integers(len(symbols))] = rng.choice([-1, config.vocab])
    elif spoiled:
        questions[str(rng.choice(["slot", "length"]))] = rng.choice([-1, 2**31 - 1])
    out = shop.score(memory, questions, symbols, at)
    assert not np.isnan(out).any()
    assert (out <= 1e-9).all()


def fuzz(built: Library, calls: int, seed: int = 0) -> tuple[int, int]:
    """So many calls; how many were answered and how many refused."""
    rng, answered, refused = np.random.default_rng(seed), 0, 0
    for call in range(calls):
        if call % 500 == 0:
            shop = random_works(built, CONFIGS[call // 500 % len(CONFIGS)], rng)
            memory = shop.memory()
        jobs = sound_jobs(shop, memory, rng)
        spoiled = len(jobs) > 0 and rng.random() < 0.4
        score_first = rng.random() < 0.3
        memory.ends[:] = rng.normal(0, 3, memory.ends.shape)
        try:
            if score_first:
                score_some(shop, memory, jobs, rng, spoiled=bool(spoiled))
            else:
                if spoiled:
                    spoil(jobs, memory, shop, rng)
                before = jobs.copy()
                shop.complete(memory, jobs)
                promises_kept(jobs, before, memory, shop)
            answered += 1
        except DeadreckonError:
            assert spoiled, "a sound call was refused"
            refused += 1
    return answered, refused


def main() -> None:
    calls, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    chosen = sys.argv[3:] or [build.name for build in BUILDS]
    extra = SANITIZE if os.environ.get("DEADRECKON_SANITIZED") else ()
    if extra:  # arrays of their exact size, that the sanitizer knows the ends of
        library.zeros = works.zeros = lambda _, shape, dtype: np.zeros(shape, dtype)
    for build in BUILDS:
        if build.name in chosen and not missing(build):
            print(build.name, *fuzz(Library(build, extra), calls, seed), flush=True)


if __name__ == "__main__":
    main()

"""Many texts at once by number, on arrays: the session of the batched lane, without a Python step for each symbol.

Text r holds `length[r]` symbols; what it was given and has not read is read when it is next written to or scored. The
kernel's answers are those of `KernelSession`, bit for bit: what it computes depends on the symbols alone.

Where a step is one symbol, the kernel writes some steps ahead, in the hope that the world adds nothing between them: a
text's keys and values are then fetched once for all of them. What is added after all makes the rest void.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from deadreckon.models.kernel.library import QUESTION, UNSURE, Array, new_jobs
from deadreckon.models.kernel.works import AHEAD, Works
from deadreckon.models.tokens import BEGIN

Index = NDArray[np.int64]
F64 = NDArray[np.float64]
U64 = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Manner:
    """How texts are written: the run's seed, temperature, most symbols, stop strings."""

    seed: int
    temperature: float
    most: int
    stop: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was written into each of n texts."""

    symbols: NDArray[np.int32]  # (n, most), 0 beyond `sizes`
    sizes: Index
    logp: F64  # nats
    entropy: F64  # nats


class KernelCrowd:
    """At most `works.rows` texts."""

    def __init__(self, works: Works, texts: int):
        """Empty texts. ValueError: more than a session holds. OutOfMemory."""
        if texts > works.rows:
            raise ValueError(f"{texts} texts in a crowd of {works.rows}: cut it")
        self.works, self.memory = works, works.memory()
        finalize(self, works.spare.append, self.memory)
        self.memory.symbols[:texts, 0] = BEGIN
        self.length: Index = np.ones(texts, np.int64)
        self.read: Index = np.zeros(texts, np.int64)  # of the symbols as they stand, those written ahead included
        self.first: Index = np.zeros(texts, np.int64)  # step of the first in `memory.trail`
        self.kept: Index = np.zeros(texts, np.int64)  # steps there
        self.context = works.network.config.context

    def give(self, row: int, symbols: list[int]) -> bool:
        """Append symbols to a text; whether there was room."""
        begin = int(self.length[row])
        end = begin + len(symbols)
        if end > self.context:
            return False
        self.memory.symbols[row, begin:end] = symbols
        self.read[row], self.length[row], self.kept[row] = min(self.read[row], begin), end, 0
        return True

    def put_back(self, rows: Index, lengths: Index) -> None:
        """Only so many symbols of these texts stay."""
        self.length[rows], self.kept[rows] = lengths, 0
        self.read[rows] = np.minimum(self.read[rows], lengths)

    def held(self, row: int) -> str:
        """A text as it stands."""
        texts = self.works.texts
        return "".join([texts[i] for i in self.memory.symbols[row, : self.length[row]].tolist()])

    def write(self, rows: Index, places: tuple[U64, int, Index], manner: Manner, *, steps: int = 1) -> Drawn:
        """Sample into these texts, at the draws of (item hash, step, rollout). The last symbol is not read.

        `steps`: this one and those that may follow at once, one symbol each.
        """
        if manner.most == 1:
            return self._next(rows, places, manner, steps)
        begin = self.length[rows]
        jobs = self._jobs(rows, places, manner)
        self.works.complete(self.memory, jobs)
        self._go_on(jobs, begin, manner)
        self.read[rows], self.length[rows] = jobs["read"], jobs["length"]
        sizes = self.length[rows] - begin
        at = np.minimum(begin[:, None] + np.arange(manner.most), self.context)
        symbols = np.where(np.arange(manner.most) < sizes[:, None], self.memory.symbols[rows[:, None], at], 0)
        return Drawn(symbols, sizes, jobs["logp"].copy(), jobs["entropy"].copy())

    def _next(self, rows: Index, places: tuple[U64, int, Index], manner: Manner, steps: int) -> Drawn:
        """One symbol each: written ahead already, or now, with some of those that may follow."""
        hashes, step, rollouts = places
        missing = np.flatnonzero(step - self.first[rows] >= self.kept[rows])
        if len(missing):
            new = rows[missing]
            jobs = self._jobs(new, (hashes[missing], step, rollouts[missing]), manner)
            jobs["ahead"], jobs["kept"] = np.clip(self.context - self.length[new], 0, min(steps, AHEAD) - 1), 0
            self.works.complete(self.memory, jobs)
            self.first[new], self.kept[new], self.read[new] = step, jobs["kept"], jobs["read"]
        at = step - self.first[rows]
        symbols = self.memory.symbols[rows, self.length[rows]]
        self.length[rows] += 1
        self.memory.ends[rows] = self.memory.trail_ends[rows, at]
        logp, entropy = self.memory.trail[rows, at].T
        return Drawn(symbols[:, None], np.ones(len(rows), np.int64), logp.copy(), entropy.copy())

    def _jobs(self, rows: Index, places: tuple[U64, int, Index], manner: Manner) -> Array:
        jobs = new_jobs(len(rows))
        jobs["seed"], jobs["temperature"] = manner.seed % 2**64, manner.temperature
        jobs["item"], jobs["step"], jobs["rollout"] = places
        jobs["slot"], jobs["length"], jobs["most"] = rows, self.length[rows], manner.most
        jobs["read"] = np.minimum(self.read[rows], self.length[rows] - 1)
        jobs["kind"] = self.works.kind(manner.stop)
        return jobs

    def _go_on(self, jobs: NDArray[np.void], begin: Index, manner: Manner) -> None:
        """Go on with texts that stopped at a symbol which may complete a stop string, and did not."""
        unsure = np.arange(len(jobs))
        while True:
            some = jobs[unsure]
            unsure, going = unsure[(some["why"] == UNSURE) & (some["token"] < some["most"])], []
            for i in unsure.tolist():
                drawn = self.memory.symbols[jobs["slot"][i], begin[i] : jobs["length"][i]].tolist()
                text = "".join([self.works.texts[s] for s in drawn])
                if not any(stop in text for stop in manner.stop):
                    going.append(i)
            if not going:
                return
            some = jobs[going]
            some["why"] = 0
            self.works.complete(self.memory, some)
            jobs[going], unsure = some, np.array(going)

    def score(self, rows: Index, texts: tuple[NDArray[np.int32], Index, Index], ends: Index, heat: float) -> F64:
        """Log-probabilities (nats) of texts after the first `ends` symbols of these rows, which are read already.

        texts: symbols one after the other, the size of each text, and how many texts each row has.
        """
        symbols, sizes, counts = texts
        questions = np.zeros(len(rows), QUESTION)
        questions["slot"], questions["length"], questions["count"] = rows, ends, counts
        questions["first"], questions["temperature"] = np.cumsum(counts) - counts, heat
        at = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        if sizes.max(initial=0) > 1:  # they are read where the texts themselves went on
            self.read[rows] = np.minimum(self.read[rows], ends)
            self.kept[rows] = 0
        return self.works.score(self.memory, questions, np.ascontiguousarray(symbols, np.int32), at)

"""Many texts at once by number, on arrays: the session of the batched lane, without a Python step for each symbol.

Text r holds `length[r]` symbols; what it was given and has not read is read when it is next written to or scored. The
kernel's answers are those of `KernelSession`, bit for bit: what it computes depends on the symbols alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from deadreckon.models.kernel.library import JOB, QUESTION, UNSURE
from deadreckon.models.kernel.works import Works
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
        self.read: Index = np.zeros(texts, np.int64)
        self.context = works.network.config.context

    def give(self, row: int, symbols: list[int]) -> bool:
        """Append symbols to a text; whether there was room."""
        begin = int(self.length[row])
        end = begin + len(symbols)
        if end > self.context:
            return False
        self.memory.symbols[row, begin:end] = symbols
        self.length[row] = end
        return True

    def put_back(self, rows: Index, lengths: Index) -> None:
        """Only so many symbols of these texts stay."""
        self.length[rows] = lengths
        self.read[rows] = np.minimum(self.read[rows], lengths)

    def held(self, row: int) -> str:
        """A text as it stands."""
        texts = self.works.texts
        return "".join([texts[i] for i in self.memory.symbols[row, : self.length[row]].tolist()])

    def write(self, rows: Index, places: tuple[U64, int, Index], manner: Manner) -> Drawn:
        """Sample into these texts, at the draws of (item hash, step, rollout). The last symbol is not read."""
        jobs = np.zeros(len(rows), JOB)
        jobs["seed"], jobs["temperature"] = manner.seed % 2**64, manner.temperature
        jobs["item"], jobs["step"], jobs["rollout"] = places
        jobs["slot"], jobs["length"], jobs["most"] = rows, self.length[rows], manner.most
        jobs["read"] = np.minimum(self.read[rows], self.length[rows] - 1)
        jobs["kind"] = self.works.kind(manner.stop)
        begin = self.length[rows]
        self.works.complete(self.memory, jobs)
        self._go_on(jobs, begin, manner)
        self.read[rows], self.length[rows] = jobs["read"], jobs["length"]
        sizes = self.length[rows] - begin
        at = np.minimum(begin[:, None] + np.arange(manner.most), self.context)
        symbols = np.where(np.arange(manner.most) < sizes[:, None], self.memory.symbols[rows[:, None], at], 0)
        return Drawn(symbols, sizes, jobs["logp"].copy(), jobs["entropy"].copy())

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
        return self.works.score(self.memory, questions, np.ascontiguousarray(symbols, np.int32), at)

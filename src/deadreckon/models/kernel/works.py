"""What the sessions of one network share: threads with their desks, memory that is used again, stop tables."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from deadreckon.models.kernel.library import MOST_CHUNK, Array, CModel, Network, zeros
from deadreckon.models.tokens import Tokenizer

CACHE_BYTES = 512 << 20  # address space of one session's keys and values; pages nobody touches cost nothing
ROWS = (64, 1024)  # fewest and most rollouts in a session
CHUNK = 12  # sequences that run to their end together

AHEAD = 8  # steps of one symbol that may be written ahead of the world's answer
GOES_ON, ENDS, LOOK, ENDS_WHOLE = range(4)  # what a symbol does to a text; ENDS_WHOLE: with nothing after its stop


@dataclass(frozen=True, slots=True)
class Layout:
    """How the work is laid out; changes no byte. Rollouts in a session, sequences in a chunk, threads."""

    rows: int = 0  # 0 = as many as CACHE_BYTES hold
    chunk: int = CHUNK
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Memory:
    """One session's: what each slot was given, its keys and values, the logits after its prompt."""

    symbols: NDArray[np.int32]  # (rows, context + 1)
    cache: Array  # (rows, words)
    ends: NDArray[np.float32]  # (rows, padded vocab)
    trail: NDArray[np.float64]  # (rows, AHEAD, 2): log-probability and entropy of steps written ahead
    trail_ends: NDArray[np.float32]  # (rows, AHEAD, padded vocab): the logits they were drawn from

    @classmethod
    def of(cls, network: Network, rows: int) -> Memory:
        """Room for so many rollouts. OutOfMemory."""
        symbols = zeros("symbols", (rows, network.config.context + 1), np.int32)
        cache = zeros("keys and values", (rows, network.slot_words), np.uint32)
        ends = zeros("logits", (rows, network.padded_vocab), np.float32)
        trail = zeros("steps", (rows, AHEAD, 2), np.float64)
        trail_ends = zeros("logits", (rows, AHEAD, network.padded_vocab), np.float32)
        return cls(symbols, cache, ends, trail, trail_ends)


class Works:
    """One network at work."""

    def __init__(self, network: Network, tokens: Tokenizer, layout: Layout):
        """ValueError: a layout that cannot be."""
        if not 1 <= layout.chunk <= MOST_CHUNK or layout.threads < 1 or layout.rows < 0:
            raise ValueError(f"{layout}: give a chunk of 1 to {MOST_CHUNK}, and at least one thread")
        self.network, self.tokens, self.layout = network, tokens, layout
        self.rows = layout.rows or min(max(CACHE_BYTES // (4 * network.slot_words), ROWS[0]), ROWS[1])
        self.texts = ("", *tokens.alphabet)
        self.spare: list[Memory] = []
        self._kinds: dict[tuple[str, ...], int] = {}
        self._stops = np.zeros((0, network.config.vocab), np.uint8)
        self._desks = [network.desk() for _ in range(layout.threads)]
        self._pool = ThreadPoolExecutor(layout.threads) if layout.threads > 1 else None

    def memory(self) -> Memory:
        """That of a session that has ended, or new. OutOfMemory."""
        return self.spare.pop() if self.spare else Memory.of(self.network, self.rows)

    def kind(self, stop: tuple[str, ...]) -> int:
        """The row of the stop table for these stop strings."""
        if stop not in self._kinds:
            row = [_end(text, stop) for text in self.texts]
            self._kinds[stop] = len(self._kinds)
            self._stops = np.concatenate([self._stops, np.array([row], np.uint8)])
        return self._kinds[stop]

    def complete(self, memory: Memory, jobs: Array) -> None:
        """Run these jobs, in place, split over the threads."""
        model, library = self._c_model(memory), self.network.library
        if self._pool is None or len(jobs) < 2:
            library.complete(model, jobs, self._desks[0])
            return
        parts = np.array_split(jobs, self.layout.threads)
        for done in [
            self._pool.submit(library.complete, model, *pair) for pair in zip(parts, self._desks, strict=True)
        ]:
            done.result()

    def score(self, memory: Memory, questions: Array, symbols: Array, at: Array) -> NDArray[np.float64]:
        """Log-probabilities of the texts, symbols[at[i]:at[i + 1]] each."""
        out = np.zeros(len(at) - 1)
        model, library, texts = self._c_model(memory), self.network.library, (symbols, at, out)
        if self._pool is None or len(questions) < 2:
            library.score(model, questions, texts, self._desks[0])
            return out
        parts = zip(np.array_split(questions, self.layout.threads), self._desks, strict=True)
        for done in [self._pool.submit(library.score, model, part, texts, desk) for part, desk in parts]:
            done.result()
        return out

    def _c_model(self, memory: Memory) -> CModel:
        named = {field.name: getattr(memory, field.name) for field in fields(memory)} | {"stops": self._stops}
        pointers = {name: array.ctypes.data for name, array in named.items()}
        sizes = {"slots": self.rows, "kinds": len(self._stops), "chunk": self.layout.chunk, "steps": AHEAD}
        return self.network.c_model(**sizes, **pointers)


def _end(text: str, stop: tuple[str, ...]) -> int:
    """What a symbol does to a text that must hold none of `stop`: one with a stop's last character may complete it."""
    if any(s in text for s in stop):
        whole = stop == (text[-len(stop[0]) :],) and text.count(stop[0]) == 1
        return ENDS_WHOLE if whole else ENDS
    return LOOK if any(s[-1] in text for s in stop) else GOES_ON

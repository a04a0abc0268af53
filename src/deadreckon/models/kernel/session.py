"""A session of the kernel: the same answers as any session, whatever runs beside it.

A rollout keeps one slot for the life of a session. The slot remembers what it was given and how much of it is in the
cache; an ask whose prompt goes on from there reads only what is new, any other rewinds to the longest common prefix.
A symbol's keys and values depend on the symbols before it alone, so a rewound slot answers bit for bit as a fresh one.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Ask, Reply, nan
from deadreckon.errors import BadText
from deadreckon.models.kernel.library import QUESTION, UNSURE, Array, new_jobs
from deadreckon.models.kernel.works import Works
from deadreckon.models.tokens import BEGIN

F64 = NDArray[np.float64]
Ints = NDArray[np.int64]


class KernelSession:
    """A network at work. Slot r: `symbols[r, :length[r]]` was given, its first `read[r]` symbols are in the cache."""

    def __init__(self, works: Works):
        """OutOfMemory."""
        self.works, self.memory = works, works.memory()
        finalize(self, works.spare.append, self.memory)
        rows = works.rows
        self.slots: dict[tuple[int, int], int] = {}
        self.length, self.read = [0] * rows, [0] * rows
        self.prompt_length = [0] * rows  # of the last prompt
        self.ended = [0] * rows  # how many symbols lead to the logits kept in `memory.ends`; 0 = none are
        self.text, self.prompt = [""] * rows, [""] * rows

    # --- asks -----------------------------------------------------------------------------------------------

    def complete(self, asks: Sequence[Ask]) -> list[Reply]:
        """Answer each ask; fault "context" where prompt and max_tokens exceed the context. BadText, BadWeights."""
        ready = self._give_prompts(asks, [ask.max_tokens - 1 for ask in asks])
        jobs = self._jobs([asks[i] for i in ready])
        found: dict[int, list[tuple[str, float, float, int]]] = {i: [] for i in ready}
        for sample in range(max((asks[i].n for i in ready), default=0)):
            among = [place for place, i in enumerate(ready) if asks[i].n > sample]
            some = jobs[among]
            some["sample"] = sample
            self._rewind([asks[ready[place]] for place in among], some)
            self._run(some, [asks[ready[place]] for place in among])
            for place, one in zip(among, self._written(some, [asks[ready[p]] for p in among]), strict=True):
                found[ready[place]].append(one)
        return [_reply(found[i]) if i in found else _too_long(ask) for i, ask in enumerate(asks)]

    def score(self, asks: Sequence[Ask], texts: Sequence[Sequence[str]]) -> list[F64]:
        """Log-probability (nats) of each text after its ask's prompt; nan beyond the context. BadText, BadWeights."""
        ids = [[self.works.tokens.encode(text) for text in some] for some in texts]
        longest = [max((len(x) for x in some), default=0) for some in ids]
        ready = self._give_prompts(asks, [n - 1 for n in longest])
        scores = [np.full(len(some), nan) for some in ids]
        if ready:
            some = [asks[i] for i in ready]
            jobs = self._jobs(some)
            jobs["most"] = 0
            self._rewind(some, jobs)
            self._run(jobs, some)
            found = self._score(some, [ids[i] for i in ready])
            for i, one in zip(ready, found, strict=True):
                scores[i] = one
        return scores

    def _score(self, asks: Sequence[Ask], ids: Sequence[Sequence[Sequence[int]]]) -> list[F64]:
        sizes = np.array([len(x) for some in ids for x in some], np.int64)
        at = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        symbols = np.array([s for some in ids for x in some for s in x], np.int32)
        counts = [len(some) for some in ids]
        questions = np.zeros(len(asks), QUESTION)
        rows = self._rows(asks)
        questions["slot"], questions["count"] = rows, counts
        questions["first"] = np.cumsum([0, *counts[:-1]])
        questions["length"] = [self.prompt_length[row] for row in rows]
        questions["temperature"] = [ask.temperature for ask in asks]
        for row in rows:
            self.read[row] = self.length[row] = self.prompt_length[row]
            self.text[row] = self.prompt[row]
        out = self.works.score(self.memory, questions, symbols, at)
        return np.split(out, np.cumsum(counts)[:-1])

    # --- jobs -----------------------------------------------------------------------------------------------

    def _rows(self, asks: Sequence[Ask]) -> list[int]:
        return [self.slots[ask.key.item, ask.key.rollout] for ask in asks]

    def _jobs(self, asks: Sequence[Ask]) -> Array:
        jobs = new_jobs(len(asks))
        keys = [ask.key for ask in asks]
        jobs["seed"] = np.array([key.seed % 2**64 for key in keys], np.uint64)
        jobs["item"] = np.array([key.item for key in keys], np.uint64)
        jobs["step"], jobs["rollout"] = [key.step for key in keys], [key.rollout for key in keys]
        jobs["ask"], jobs["temperature"] = [key.ask for key in keys], [ask.temperature for ask in asks]
        jobs["slot"] = self._rows(asks)
        jobs["most"] = [max(ask.max_tokens, 0) for ask in asks]
        jobs["kind"] = [self.works.kind(ask.stop) for ask in asks]
        return jobs

    def _rewind(self, asks: Sequence[Ask], jobs: Array) -> None:
        """These jobs to the ends of their prompts."""
        rows = self._rows(asks)
        for row in rows:
            end = self.prompt_length[row]
            read = min(self.read[row], end)
            self.read[row] = end - 1 if read == end != self.ended[row] else read
        jobs["length"] = [self.prompt_length[row] for row in rows]
        jobs["read"] = [self.read[row] for row in rows]

    def _run(self, jobs: Array, asks: Sequence[Ask]) -> None:
        """Run the jobs until each text holds a stop string or is as long as it may be."""
        self.works.complete(self.memory, jobs)
        unsure = np.flatnonzero(jobs["why"] == UNSURE)
        while len(unsure):
            going = [
                i for i in unsure.tolist() if jobs["token"][i] < jobs["most"][i] and not self._stopped(jobs[i], asks[i])
            ]
            some = jobs[going]
            some["why"] = 0
            if len(some):
                self.works.complete(self.memory, some)
                jobs[going] = some
            unsure = np.array([i for i in going if jobs["why"][i] == UNSURE], np.int64)
        columns = (jobs[name].tolist() for name in ("slot", "read", "length"))
        for row, read, length in zip(*columns, strict=True):
            self.read[row], self.length[row] = read, length
            self.ended[row] = self.prompt_length[row]

    def _stopped(self, job: Array, ask: Ask) -> bool:
        text = self._drawn(int(job["slot"]), int(job["length"]))
        return any(stop in text for stop in ask.stop)

    def _drawn(self, row: int, length: int) -> str:
        texts = self.works.texts
        return "".join([texts[i] for i in self.memory.symbols[row, self.prompt_length[row] : length].tolist()])

    def _written(self, jobs: Array, asks: Sequence[Ask]) -> list[tuple[str, float, float, int]]:
        """Of each job: its text before the first stop string, log-probability, entropy, symbols sampled."""
        found = []
        columns = (jobs[name].tolist() for name in ("slot", "length", "logp", "entropy", "token"))
        for ask, row, length, logp, entropy, tokens in zip(asks, *columns, strict=True):
            drawn = self._drawn(row, length)
            self.text[row] = self.prompt[row] + drawn
            ends = [at for at in (drawn.find(stop) for stop in ask.stop) if at >= 0]
            found.append((drawn[: min(ends)] if ends else drawn, logp, entropy, tokens))
        return found

    # --- prompts --------------------------------------------------------------------------------------------

    def _give_prompts(self, asks: Sequence[Ask], more: Sequence[int]) -> list[int]:
        """Give each slot its prompt where that fits with `more` symbols after it; the indices of those asks."""
        names = [(ask.key.item, ask.key.rollout) for ask in asks]
        if len(set(names)) < len(names):
            raise ValueError("two asks of one rollout in a call")
        rows = self.works.rows
        if len(self.slots.keys() | set(names)) > rows:
            raise ValueError(
                f"{len(self.slots.keys() | set(names))} rollouts in a session of {rows}: open another session"
            )
        for name in names:
            self.slots.setdefault(name, len(self.slots))
        given = [self._symbols(self.slots[name], ask.prompt) for name, ask in zip(names, asks, strict=True)]
        context = self.works.network.config.context
        ready = [i for i, (kept, ids) in enumerate(given) if kept + len(ids) + max(more[i], 0) <= context]
        for i in ready:
            self._give(self.slots[names[i]], *given[i], asks[i].prompt)
        return ready

    def _symbols(self, row: int, prompt: str) -> tuple[int, list[int]]:
        """How many of the slot's symbols the prompt goes on from, as they were sampled, and its symbols after them."""
        for known, length in ((self.text[row], self.length[row]), (self.prompt[row], self.prompt_length[row])):
            if length and prompt.startswith(known):
                try:
                    return length, self.works.tokens.encode(prompt[len(known) :])
                except BadText:
                    continue  # a symbol may span the seam
        ids = [BEGIN, *self.works.tokens.encode(prompt)]
        held = self.memory.symbols[row, : min(len(ids), self.length[row])]
        differ = np.flatnonzero(held != np.array(ids[: len(held)], np.int32))
        kept = int(differ[0]) if len(differ) else len(held)
        return kept, ids[kept:]

    def _give(self, row: int, kept: int, ids: Sequence[int], prompt: str) -> None:
        """The slot holds its first `kept` symbols and then `ids`."""
        end = kept + len(ids)
        self.memory.symbols[row, kept:end] = ids
        self.read[row] = min(self.read[row], kept)
        if self.ended[row] > kept:
            self.ended[row] = 0
        self.length[row] = self.prompt_length[row] = end
        self.text[row] = self.prompt[row] = prompt


def _reply(samples: Sequence[tuple[str, float, float, int]]) -> Reply:
    texts, logps, entropies, tokens = zip(*samples, strict=True) if samples else ((), (), (), ())
    return Reply(tuple(texts), tuple(logps), tuple(entropies), sum(tokens))


def _too_long(ask: Ask) -> Reply:
    return Reply(("",) * ask.n, (nan,) * ask.n, (nan,) * ask.n, 0, "context")

"""Batched decoding with a KV cache: the same bits at any batch, order or slot (exact mode).

A rollout keeps one slot for the life of a session. The slot remembers what it has read; an ask whose prompt goes on
from there reads only what is new, any other rewinds to the longest common prefix. New symbols are read in pieces
whose sizes depend on their number alone, so a slot's logits depend on its own asks and nothing else.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from weakref import finalize

import numpy as np
import torch

from deadreckon.contracts import Ask, Reply, Scorer, nan
from deadreckon.errors import BadText, BadWeights
from deadreckon.models.draws import F32, F64, Bools, Ints, Written, reply, score, write
from deadreckon.models.engine import ONEDNN, Engine
from deadreckon.models.gpt import GPT
from deadreckon.models.tokens import BEGIN, Tokenizer

PIECES = (1, 4, 16, 64)  # symbols a row in one launch; fewer are padded on the right
ROWS = 64


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: how a sum is split over threads is part of its bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cpu_class() -> str:
    """What of the processor chooses the kernels: its instruction set as torch sees it, and its name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{torch.backends.cpu.get_cpu_capability()} {names[0] if names else platform.processor()}".strip()


class Launches(Protocol):
    """What reads symbols for a session: `engine.Engine`, `gpu.GraphEngine`."""

    def launch(self, tokens: Ints, start: Ints, last: Ints, real: Bools) -> F32:
        """Read tokens (R, N) at positions start (R,) onwards; logits (R, vocab) after each row's symbol `last`."""
        ...


class GPTModel(Scorer):
    """A GPT and its tokenizer as a model of text."""

    def __init__(
        self, network: GPT, tokens: Tokenizer, *, name: str, weights: str, seed: int | None = None, rows: int = ROWS
    ):
        """`weights` is the SHA-256 of the weights, `seed` the training seed, `rows` the constant row count."""
        self.network, self.tokens, self.name, self.seed, self.capacity = network, tokens, name, seed, rows
        self.spare: list[Launches] = []  # engines of sessions that have ended: a cache costs more to get than to use
        self.identity: Mapping[str, str] = {
            "weights": weights,
            "engine": f"torch-fp32-exact-r{rows}",
            "dtype": "float32",
            "products": "onednn" if ONEDNN else "blas",
            "torch": torch.__version__,
            "numpy": np.__version__,
            "cpu": cpu_class(),
            "threads": "1",
        }

    def check(self, text: str) -> None:
        """BadText where the text holds symbols outside its alphabet."""
        self.tokens.encode(text)

    def engine(self) -> Launches:
        """Weights and a cache for one session."""
        return Engine(self.network, self.capacity)

    def session(self) -> GPTSession:
        """Begin work on at most `capacity` rollouts."""
        return GPTSession(self)


class GPTSession:
    """A GPT at work. Slot r: `tokens[r, :length[r]]` was given, its first `read[r]` symbols are in the cache."""

    def __init__(self, model: GPTModel):
        """The cache is allocated at the first ask."""
        self.vocabulary, self.rows = model.tokens, model.capacity
        self.model = model
        self.engine: Launches | None = None
        self.give_back: finalize[..., GPTSession]
        context, vocab = model.network.config.context, model.network.config.vocab
        self.context = context
        self.tokens: Ints = np.full((self.rows, context + 1), BEGIN, np.int64)
        self.length: Ints = np.ones(self.rows, np.int64)
        self.read: Ints = np.zeros(self.rows, np.int64)
        self.logits: F32 = np.zeros((self.rows, vocab), np.float32)  # after the first `read` symbols
        self.prompt_length: Ints = np.zeros(self.rows, np.int64)  # of the last prompt
        self.prompt_logits: F32 = np.zeros((self.rows, vocab), np.float32)
        self.text = [""] * self.rows
        self.prompt = [""] * self.rows
        self.slots: dict[tuple[int, int], int] = {}

    def complete(self, asks: Sequence[Ask]) -> list[Reply]:
        """Answer each ask; fault "context" where prompt and max_tokens exceed the context. BadText, BadWeights."""
        with one_thread():
            ready = self._read_prompts(asks, [ask.max_tokens - 1 for ask in asks])
            samples: dict[int, list[Written]] = {i: [] for i in ready}
            for sample in range(max((asks[i].n for i in ready), default=0)):
                among = [i for i in ready if asks[i].n > sample]
                some = [asks[i] for i in among]
                rows = self._rows(some)
                for i, row, one in zip(
                    among, rows.tolist(), write(Slots(self, rows), some, sample, self.vocabulary), strict=True
                ):
                    samples[i].append(one)
                    self.text[row] = self.prompt[row] + one.drawn
        return [reply(samples[i]) if i in samples else _too_long(ask) for i, ask in enumerate(asks)]

    def score(self, asks: Sequence[Ask], texts: Sequence[Sequence[str]]) -> list[F64]:
        """Log-probability of each text after its ask's prompt; nan beyond the context. BadText, BadWeights."""
        ids = [[self.vocabulary.encode(text) for text in some] for some in texts]
        longest = [max((len(x) for x in some), default=0) for some in ids]
        scores: list[F64] = [np.full(len(some), nan) for some in ids]
        with one_thread():
            ready = self._read_prompts(asks, [n - 1 for n in longest])
            if ready:
                pen = Slots(self, self._rows([asks[i] for i in ready]))
                heat = np.array([asks[i].temperature for i in ready])
                for i, found in zip(ready, score(pen, heat, [ids[i] for i in ready]), strict=True):
                    scores[i] = found
        return scores

    # --- reading --------------------------------------------------------------------------------------------

    def _rows(self, asks: Sequence[Ask]) -> Ints:
        return np.array([self.slots[ask.key.item, ask.key.rollout] for ask in asks], np.int64)

    def _read_prompts(self, asks: Sequence[Ask], more: Sequence[int]) -> list[int]:
        """Read each prompt that fits with `more` symbols after it; the indices of those asks."""
        names = [(ask.key.item, ask.key.rollout) for ask in asks]
        if len(set(names)) < len(names):
            raise ValueError("two asks of one rollout in a call")
        for name in names:
            self.slots.setdefault(name, len(self.slots))
        if len(self.slots) > self.rows:
            raise ValueError(f"{len(self.slots)} rollouts in a session of {self.rows}: open another session")
        given = [self._ids(self.slots[name], ask.prompt) for name, ask in zip(names, asks, strict=True)]
        ready = [i for i, ids in enumerate(given) if len(ids) + max(more[i], 0) <= self.context]
        for i in ready:
            self._give(self.slots[names[i]], given[i], asks[i].prompt)
        rows = self._rows([asks[i] for i in ready])
        self.advance(rows)
        self.prompt_logits[rows] = self.logits[rows]
        return ready

    def _ids(self, row: int, prompt: str) -> list[int]:
        """The prompt's symbols, begin included: as they were sampled where it goes on from what the slot holds."""
        held: list[int] = self.tokens[row, : self.length[row]].tolist()
        for known, ids in ((self.text[row], held), (self.prompt[row], held[: self.prompt_length[row]])):
            if ids and prompt.startswith(known):
                try:
                    return ids + self.vocabulary.encode(prompt[len(known) :])
                except BadText:
                    continue  # a symbol may span the seam
        return [BEGIN, *self.vocabulary.encode(prompt)]

    def _give(self, row: int, ids: list[int], prompt: str) -> None:
        """Make `ids` what the slot holds, keeping what it has read of them."""
        new = np.array(ids, np.int64)
        same = min(len(ids), int(self.length[row]))
        differ = np.flatnonzero(self.tokens[row, :same] != new[:same])
        kept = int(differ[0]) if len(differ) else same
        if kept == len(ids) == self.prompt_length[row]:
            self.read[row], self.logits[row] = kept, self.prompt_logits[row]
        elif kept < self.read[row]:
            self.read[row] = min(kept, len(ids) - 1)
        self.tokens[row, : len(ids)] = new
        self.length[row] = self.prompt_length[row] = len(ids)
        self.text[row] = self.prompt[row] = prompt

    def rewind(self, rows: Ints) -> None:
        """These slots back to the ends of their last prompts."""
        self.read[rows] = self.length[rows] = self.prompt_length[rows]
        self.logits[rows] = self.prompt_logits[rows]
        for row in rows.tolist():
            self.text[row] = self.prompt[row]

    def push(self, rows: Ints, symbols: Ints) -> None:
        """Give one more symbol to each of these slots."""
        self.tokens[rows, self.length[rows]] = symbols
        self.length[rows] += 1

    def advance(self, rows: Ints) -> None:
        """Read what the slots hold and have not read."""
        left = self.length[rows] - self.read[rows]
        while (left > 0).any():
            size = np.searchsorted(PIECES, np.minimum(left, PIECES[-1]))
            for i in np.unique(size[left > 0]).tolist():
                self._launch(rows[(size == i) & (left > 0)], PIECES[i])
            left = self.length[rows] - self.read[rows]

    def _launch(self, rows: Ints, size: int) -> None:
        """Read up to `size` symbols in each of these slots, in one launch of all slots."""
        if self.engine is None:
            self.engine = self.model.spare.pop() if self.model.spare else self.model.engine()
            self.give_back = finalize(self, self.model.spare.append, self.engine)
        count = np.minimum(self.length[rows] - self.read[rows], size)
        real: Bools = np.zeros(self.rows, np.bool_)
        real[rows] = True
        tokens: Ints = np.full((self.rows, size), BEGIN, np.int64)
        at = self.read[rows, None] + np.arange(size)
        given = self.tokens[rows[:, None], np.minimum(at, self.context)]
        tokens[rows] = np.where(np.arange(size) < count[:, None], given, BEGIN)
        last: Ints = np.zeros(self.rows, np.int64)
        last[rows] = count - 1
        logits = self.engine.launch(tokens, self.read, last, real)
        if not np.isfinite(logits[rows, BEGIN + 1 :]).all():
            self.give_back.detach()  # what is not finite stays in the cache
            raise BadWeights("logits that are not finite: train or fetch the weights again")
        self.logits[rows] = logits[rows]
        self.read[rows] += count


@dataclass(frozen=True, slots=True)
class Slots:
    """Some slots of a session, to write on from the ends of their prompts."""

    session: GPTSession
    rows: Ints

    def push(self, live: Ints, symbols: Ints) -> None:
        """Give one more symbol to each."""
        self.session.push(self.rows[live], symbols)

    def logits(self, live: Ints) -> F32:
        """Logits after all that was given."""
        self.session.advance(self.rows[live])
        return self.session.logits[self.rows[live]]

    def rewind(self) -> None:
        """Back to the ends of the prompts."""
        self.session.rewind(self.rows)


def _too_long(ask: Ask) -> Reply:
    return Reply(("",) * ask.n, (nan,) * ask.n, (nan,) * ask.n, 0, "context")

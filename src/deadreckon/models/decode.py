"""Batched decoding with a KV cache: the same bits at any batch, order or slot (exact mode).

A rollout keeps one slot for the life of a session. The slot remembers what it has read; an ask whose prompt goes on
from there reads only what is new, any other rewinds to the longest common prefix. New symbols are read in pieces
whose sizes depend on their number alone, so a slot's logits depend on its own asks and nothing else.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from deadreckon.contracts import Ask, Reply, Scorer, nan
from deadreckon.errors import BadText
from deadreckon.models.draws import F32, F64, Bools, Draws, Ints, Stops, draw, entropy, log_law
from deadreckon.models.engine import Engine
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


class GPTModel(Scorer):
    """A GPT and its tokenizer as a model of text."""

    def __init__(
        self, network: GPT, tokens: Tokenizer, *, name: str, weights: str, seed: int | None = None, rows: int = ROWS
    ):
        """`weights` is the SHA-256 of the weights, `seed` the training seed, `rows` the constant row count."""
        self.network, self.tokens, self.name, self.seed, self.capacity = network, tokens, name, seed, rows
        self.identity: Mapping[str, str] = {
            "weights": weights,
            "engine": f"torch-fp32-exact-r{rows}",
            "dtype": "float32",
            "torch": torch.__version__,
            "numpy": np.__version__,
            "cpu": cpu_class(),
            "threads": "1",
        }

    def session(self) -> GPTSession:
        """Begin work on at most `capacity` rollouts."""
        return GPTSession(self)


class GPTSession:
    """A GPT at work. Slot r: `tokens[r, :length[r]]` was given, its first `read[r]` symbols are in the cache."""

    def __init__(self, model: GPTModel):
        """The cache is allocated at the first ask."""
        self.vocabulary, self.rows = model.tokens, model.capacity
        self.network = model.network
        self.engine: Engine | None = None
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
        """Answer each ask; fault "context" where prompt and max_tokens exceed the context. BadText."""
        with one_thread():
            ready = self._read_prompts(asks, [ask.max_tokens - 1 for ask in asks])
            replies = [Reply(("",) * ask.n, (nan,) * ask.n, (nan,) * ask.n, 0, "context") for ask in asks]
            for i in ready:
                replies[i] = Reply((), (), (), 0)
            for sample in range(max((asks[i].n for i in ready), default=0)):
                drawn = [i for i in ready if asks[i].n > sample]
                samples = self._sample([asks[i] for i in drawn], self._rows([asks[i] for i in drawn]), sample)
                for i, one in zip(drawn, samples, strict=True):
                    replies[i] = _join(replies[i], one)
            return replies

    def score(self, asks: Sequence[Ask], texts: Sequence[Sequence[str]]) -> list[F64]:
        """Log-probability of each text after its ask's prompt; nan beyond the context. BadText."""
        ids = [[self.vocabulary.encode(text) for text in some] for some in texts]
        longest = [max((len(x) for x in some), default=0) for some in ids]
        scores = [np.full(len(some), nan) for some in ids]
        with one_thread():
            ready = self._read_prompts(asks, [n - 1 for n in longest])
            if ready:
                heat = np.array([asks[i].temperature for i in ready])
                rows = self._rows([asks[i] for i in ready])
                laws = log_law(self.prompt_logits[rows], heat)
                for turn in range(max(len(ids[i]) for i in ready)):
                    among = [j for j, i in enumerate(ready) if turn < len(ids[i])]
                    given = [ids[ready[j]][turn] for j in among]
                    found = self._score(rows[among], laws[among], heat[among], given)
                    for j, value in zip(among, found, strict=True):
                        scores[ready[j]][turn] = value
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
        self._advance(rows)
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

    def _rewind(self, rows: Ints) -> None:
        """Back to the end of the last prompt."""
        self.read[rows] = self.length[rows] = self.prompt_length[rows]
        self.logits[rows] = self.prompt_logits[rows]
        for row in rows.tolist():
            self.text[row] = self.prompt[row]

    def _advance(self, rows: Ints) -> None:
        """Read what the slots hold and have not read."""
        left = self.length[rows] - self.read[rows]
        while (left > 0).any():
            size = np.searchsorted(PIECES, np.minimum(left, PIECES[-1]))
            for i in np.unique(size[left > 0]).tolist():
                self._launch(rows[(size == i) & (left > 0)], PIECES[i])
            left = self.length[rows] - self.read[rows]

    def _launch(self, rows: Ints, size: int) -> None:
        """Read up to `size` symbols in each of these slots, in one launch of all slots."""
        self.engine = self.engine or Engine(self.network, self.rows)
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
        self.logits[rows] = logits[rows]
        self.read[rows] += count

    def _push(self, rows: Ints, symbols: Ints) -> None:
        """Give one more symbol to each of these slots."""
        self.tokens[rows, self.length[rows]] = symbols
        self.length[rows] += 1

    # --- writing --------------------------------------------------------------------------------------------

    def _sample(self, asks: Sequence[Ask], rows: Ints, sample: int) -> list[Reply]:
        """One sample of each ask, from the end of its prompt."""
        self._rewind(rows)
        draws, stops = Draws(asks, sample), Stops(asks, self.vocabulary)
        heat = np.array([ask.temperature for ask in asks])
        most = np.array([ask.max_tokens for ask in asks])
        logps, entropies = np.zeros(len(asks)), np.zeros(len(asks))
        texts: list[str | None] = [None] * len(asks)
        live = np.flatnonzero(most > 0)
        token = 0
        while len(live):
            laws = log_law(self.logits[rows[live]], heat[live])
            symbols = draw(laws, draws.at(token, live))
            logps[live] += laws[np.arange(len(live)), symbols]
            entropies[live] += entropy(laws)
            self._push(rows[live], symbols)
            token += 1
            on = most[live] > token
            for j in stops.candidates(live, symbols).tolist():
                texts[live[j]] = stops.cut(int(live[j]), self._written(int(rows[live[j]])))
                on[j] &= texts[live[j]] is None
            live = live[on]
            if len(live):
                self._advance(rows[live])
        return [self._reply(int(r), t, h, e) for r, t, h, e in zip(rows, texts, logps, entropies, strict=True)]

    def _written(self, row: int) -> str:
        """What was sampled after the slot's prompt."""
        return self.vocabulary.decode(self.tokens[row, self.prompt_length[row] : self.length[row]].tolist())

    def _reply(self, row: int, cut: str | None, logp: float, spread: float) -> Reply:
        written = self._written(row)
        self.text[row] = self.prompt[row] + written
        count = int(self.length[row] - self.prompt_length[row])
        return Reply((written if cut is None else cut,), (float(logp),), (float(spread),), count)

    def _score(self, rows: Ints, laws: F64, heat: F64, given: Sequence[Sequence[int]]) -> F64:
        """Log-probability of one continuation a row, from the prompts' laws on; the slots end at their prompts."""
        size = np.array([len(ids) for ids in given])
        ids: Ints = np.full((len(given), max(1, int(size.max()))), BEGIN, np.int64)
        for i, some in enumerate(given):
            ids[i, : len(some)] = some
        total: F64 = np.where(size > 0, laws[np.arange(len(rows)), ids[:, 0]], 0.0)
        for at in range(1, ids.shape[1]):
            live = np.flatnonzero(size > at)
            self._push(rows[live], ids[live, at - 1])
            self._advance(rows[live])
            law = log_law(self.logits[rows[live]], heat[live])
            total[live] += law[np.arange(len(live)), ids[live, at]]
        self._rewind(rows)
        return total


def _join(before: Reply, one: Reply) -> Reply:
    return Reply(
        before.texts + one.texts,
        before.logps + one.logps,
        before.entropies + one.entropies,
        before.tokens + one.tokens,
    )

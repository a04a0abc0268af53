"""A checkpoint at work: a slot for each rollout, which remembers what it has read.

An ask whose prompt goes on from what its slot holds reads only what is new; any other rewinds to the longest common
prefix. Prompts are always the tokenizer's ids of their text, so that a rollout reads the same ids with and without
what is remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Ask, Reply, nan
from deadreckon.models.decode import one_thread
from deadreckon.models.draws import F32, F64, Draws, Ints, Laws, Written, reply
from deadreckon.models.hf_cache import SlotEngine, WholeTexts
from deadreckon.models.hf_words import TAIL, Words

WHOLE_PIECES = (256, 64)  # tokens a slot in one launch, all of them real
PIECES = (1, 4, 16)  # the last tokens of a text: fewer are padded on the right
ALL_PIECES = (*PIECES, *WHOLE_PIECES)
END = -1  # stands for any of the ids that end an answer


@dataclass(slots=True)
class Slot:
    """One rollout's: `ids` were given, the first `read` are in the cache."""

    ids: list[int]
    read: int = 0
    after: F32 | None = None  # logits after the first `read`
    prompt: int = 0  # length of the last prompt
    prompt_after: F32 | None = None

    def give(self, ids: list[int], *, reuse: bool) -> None:
        """Make `ids` the prompt, keeping what is read of them."""
        same = next((i for i, (a, b) in enumerate(zip(self.ids, ids, strict=False)) if a != b), None)
        kept = min(len(self.ids), len(ids)) if same is None else same
        if reuse and kept == len(ids) == self.prompt and self.prompt_after is not None:
            self.ids = ids
            self.rewind()
            return
        self.ids, self.prompt, self.prompt_after = ids, len(ids), None
        self.read = min(self.read, kept, len(ids) - 1) if reuse else 0

    def rewind(self) -> None:
        """Back to the end of the prompt."""
        del self.ids[self.prompt :]
        self.read, self.after = self.prompt, self.prompt_after


class HFSession:
    """A network at work on at most `rows` rollouts."""

    def __init__(self, engine: SlotEngine | WholeTexts, words: Words, rows: int, context: int, *, reuse: bool):
        """`reuse` False: every prompt is read from its beginning."""
        self.engine, self.words, self.rows, self.context, self.reuse = engine, words, rows, context, reuse
        self.slots = [Slot([]) for _ in range(rows)]
        self.names: dict[tuple[int, int], int] = {}

    # --- answers --------------------------------------------------------------------------------------------

    def complete(self, asks: Sequence[Ask]) -> list[Reply]:
        """Answer each ask; fault "context" where prompt and max_tokens exceed the context."""
        with one_thread():
            ready = self._read_prompts(asks, [ask.max_tokens for ask in asks])
            samples: dict[int, list[Written]] = {i: [] for i in ready}
            for sample in range(max((asks[i].n for i in ready), default=0)):
                among = [i for i in ready if asks[i].n > sample]
                for i, one in zip(among, self._write([asks[i] for i in among], sample), strict=True):
                    samples[i].append(one)
        return [reply(samples[i]) if i in samples else _too_long(ask) for i, ask in enumerate(asks)]

    def _write(self, asks: Sequence[Ask], sample: int) -> list[Written]:
        """Sample number `sample` of each: until its stop is in the text, an end is drawn or max_tokens are."""
        slots = [self._slot(ask) for ask in asks]
        for slot in slots:
            slot.rewind()
        written, draws = [Written() for _ in asks], Draws(asks, sample)
        live, token = np.flatnonzero([ask.max_tokens > 0 for ask in asks]), 0
        while len(live):
            among = live.tolist()
            self._advance([slots[i] for i in among])
            laws = Laws(np.stack([_after(slots[i]) for i in among]), np.array([asks[i].temperature for i in among]))
            symbols = laws.draw(draws.at(token, live))
            token += 1
            on = []
            for i, symbol, logp, entropy in zip(
                among, symbols.tolist(), laws.logp(symbols), laws.entropy(), strict=True
            ):
                slot, one = slots[i], written[i]
                one.tokens, one.logp, one.entropy = token, one.logp + float(logp), one.entropy + float(entropy)
                if symbol not in self.words.ends:
                    slot.ids.append(symbol)
                    one.drawn = self.words.text(slot.ids[: slot.prompt], slot.ids[slot.prompt :])
                cut = min((at for at in map(one.drawn.find, asks[i].stop) if at >= 0), default=None)
                one.text = one.drawn[:cut]
                on.append(symbol not in self.words.ends and cut is None and token < asks[i].max_tokens)
            live = live[on]
        return written

    def score(self, asks: Sequence[Ask], texts: Sequence[Sequence[str]]) -> list[F64]:
        """Log-probability of each text after its ask, as the tokenizer writes it; nan beyond the context.

        After messages, of the text and of the answer's end.
        """
        ids = [[self._listed(ask, text) for text in some] for ask, some in zip(asks, texts, strict=True)]
        scores: list[F64] = [np.full(len(some), nan) for some in texts]
        with one_thread():
            ready = self._read_prompts(asks, [max(map(len, some), default=0) for some in ids])
            for turn in range(max((len(ids[i]) for i in ready), default=0)):
                among = [i for i in ready if turn < len(ids[i])]
                found = self._trail([asks[i] for i in among], [ids[i][turn] for i in among])
                for i, value in zip(among, found, strict=True):
                    scores[i][turn] = value
        return scores

    def _listed(self, ask: Ask, text: str) -> list[int]:
        found = list(self.words.continuation(tuple(self.words.ids(ask)[-TAIL:]), text))
        return [*found, END] if ask.messages else found

    def _trail(self, asks: Sequence[Ask], texts: Sequence[list[int]]) -> list[float]:
        """Log-probability of one continuation of each."""
        slots = [self._slot(ask) for ask in asks]
        for slot, ids in zip(slots, texts, strict=True):
            slot.rewind()
            slot.ids.extend(ids[:-1])
        trails = self._advance(slots, short=True)
        found = []
        for slot, ask, ids in zip(slots, asks, texts, strict=True):
            rows = [slot.prompt_after, *trails.get(id(slot), ())]
            laws = Laws(np.stack([row for row in rows if row is not None]), np.full(len(ids), ask.temperature))
            ends = np.exp(laws.z[:, list(self.words.ends)]).sum(axis=1) if self.words.ends else np.zeros(len(ids))
            with np.errstate(divide="ignore"):
                of_end = np.log(ends / laws.total)
            known = laws.logp(np.maximum(np.array(ids), 0))
            found.append(float(np.where(np.array(ids) == END, of_end, known).sum()))
            slot.rewind()
        return found

    def activations(self, asks: Sequence[Ask]) -> NDArray[np.float32]:
        """Residual stream at the last token of each prompt: (n, layers + 1, width); nan beyond the context."""
        found: list[F32 | None] = [None] * len(asks)
        with one_thread():
            ready = self._read_prompts(asks, [0 for _ in asks])
            slots = [self._slot(asks[i]) for i in ready]
            for slot in slots:
                slot.read = len(slot.ids) - 1
            hidden: dict[int, F32] = {}
            self._advance(slots, hidden)
            for i, slot in zip(ready, slots, strict=True):
                found[i] = hidden[id(slot)]
        shape = next((states.shape for states in found if states is not None), (0, 0))
        return np.array([np.full(shape, nan) if states is None else states for states in found], np.float32)

    # --- reading --------------------------------------------------------------------------------------------

    def _slot(self, ask: Ask) -> Slot:
        return self.slots[self.names[ask.key.item, ask.key.rollout]]

    def _read_prompts(self, asks: Sequence[Ask], more: Sequence[int]) -> list[int]:
        """Read each prompt that fits with `more` tokens after it; the indices of those asks."""
        names = [(ask.key.item, ask.key.rollout) for ask in asks]
        if len(set(names)) < len(names):
            raise ValueError("two asks of one rollout in a call")
        for name in names:
            self.names.setdefault(name, len(self.names))
        if len(self.names) > self.rows:
            raise ValueError(f"{len(self.names)} rollouts in a session of {self.rows}: open another session")
        given = [self.words.ids(ask) for ask in asks]
        ready = [i for i, ids in enumerate(given) if len(ids) + more[i] <= self.context]
        slots = [self._slot(asks[i]) for i in ready]
        for i, slot in zip(ready, slots, strict=True):
            slot.give(given[i], reuse=self.reuse)
        self._advance([slot for slot in slots if slot.prompt_after is None])
        for slot in slots:
            slot.prompt_after = slot.after
        return ready

    def _advance(
        self, slots: Sequence[Slot], hidden: dict[int, F32] | None = None, *, short: bool = False
    ) -> dict[int, list[F32]]:
        """Read what the slots hold and have not read; with `short` pieces alone, the logits after each token.

        `hidden` is filled with the hidden states at each slot's last token.
        """
        trails: dict[int, list[F32]] = {}
        if isinstance(self.engine, WholeTexts):
            return self._read_whole(self.engine, slots, hidden)
        left = [slot for slot in slots if slot.read < len(slot.ids)]
        while left:
            groups: dict[tuple[int, int], list[Slot]] = {}
            for slot in left:
                size = _size(len(slot.ids) - slot.read, PIECES if short else ALL_PIECES)
                groups.setdefault((size, self.engine.end(slot.read, size)), []).append(slot)
            for (size, end), group in sorted(groups.items(), key=lambda pair: pair[0]):
                self._launch(group, size, end, trails, hidden)
            left = [slot for slot in slots if slot.read < len(slot.ids)]
        return trails

    def _launch(
        self, group: Sequence[Slot], size: int, end: int, trails: dict[int, list[F32]], hidden: dict[int, F32] | None
    ) -> None:
        """Read up to `size` tokens in each of these slots, in one launch of all slots."""
        assert isinstance(self.engine, SlotEngine)
        tokens: Ints = np.zeros((self.rows, size), np.int64)
        read: Ints = np.array([slot.read for slot in self.slots], np.int64)
        chosen = {id(slot) for slot in group}
        for row, slot in enumerate(self.slots):
            if id(slot) in chosen:
                new = slot.ids[slot.read : slot.read + size]
                tokens[row, : len(new)] = new
        seen = self.engine.launch(
            tokens, read, end, keep=1 if size in WHOLE_PIECES else size, hidden=hidden is not None
        )
        for row, slot in enumerate(self.slots):
            if id(slot) in chosen:
                count = min(size, len(slot.ids) - slot.read)
                rows = seen.logits[row, -1:] if size in WHOLE_PIECES else seen.logits[row, :count]
                trails.setdefault(id(slot), []).extend(rows)
                slot.read, slot.after = slot.read + count, rows[-1]
                if hidden is not None and seen.hidden is not None:
                    hidden[id(slot)] = seen.hidden[:, row, count - 1]

    def _read_whole(
        self, engine: WholeTexts, slots: Sequence[Slot], hidden: dict[int, F32] | None
    ) -> dict[int, list[F32]]:
        left = [slot for slot in slots if slot.read < len(slot.ids)]
        trails: dict[int, list[F32]] = {}
        for slot, seen in zip(left, engine.read([s.ids for s in left], hidden=hidden is not None), strict=True):
            trails[id(slot)] = list(seen.logits[0, slot.read :])
            slot.read, slot.after = len(slot.ids), seen.logits[0, -1]
            if hidden is not None and seen.hidden is not None:
                hidden[id(slot)] = seen.hidden[:, 0, -1]
        return trails


def _size(left: int, pieces: Sequence[int]) -> int:
    """Tokens of the next launch: the longest whole piece, else the piece that the rest fits."""
    whole = [size for size in pieces if size in WHOLE_PIECES and size <= left]
    return max(whole, default=next((size for size in PIECES if left <= size), PIECES[-1]))


def _after(slot: Slot) -> F32:
    assert slot.after is not None
    return slot.after


def _too_long(ask: Ask) -> Reply:
    return Reply(("",) * ask.n, (nan,) * ask.n, (nan,) * ask.n, 0, "context")

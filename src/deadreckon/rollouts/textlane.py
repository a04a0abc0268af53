"""The batched lane of a network: the kernel writes for all rollouts of a part at once, the world judges on arrays.

The same table as the plain loop's on the same engine, byte for byte. A rollout's transcript is kept as the loop's
session keeps it: the symbols as they were sampled, and as text what has been added since (`Transcripts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import BatchSpeaker, BatchWorld, Codes, FiniteWorld, Rows, Stop
from deadreckon.errors import BadText
from deadreckon.models.kernel.crowd import Drawn, KernelCrowd, Manner
from deadreckon.models.kernel.model import KernelModel
from deadreckon.rollouts.lane import FAULTS, NO_LAW, STOPS, Crowd, Lane, Taken
from deadreckon.rollouts.recorders import F64, Laws, kl_pq, kl_qp, right_mass, row_sum
from deadreckon.rollouts.sheet import Index, distinct
from deadreckon.rollouts.spec import RollSpec

Texts = NDArray[np.object_]
MOST_KNOWN = 1 << 16  # texts whose symbols are remembered


class Transcripts:
    """Each rollout's text: what the kernel holds, and what was added to the last prompt since."""

    def __init__(self, model: KernelModel, openings: Sequence[str]):
        """All with their openings to be read."""
        self.tokens, self.crowd = model.works.tokens, KernelCrowd(model.works, len(openings))
        self.prompt = self.crowd.length.copy()  # symbols of the last prompt
        self.drawn: Texts = np.full(len(openings), "", object)  # sampled after it
        self.tail: Texts = np.array(openings, object)  # added to it
        self._known: dict[str, list[int]] = {"": []}

    def add(self, rows: Index, texts: Texts) -> None:
        """More text."""
        self.tail[rows] += texts

    def wrote(self, rows: Index, drawn: Texts, texts: Texts) -> None:
        """The model has drawn this after its prompt, and this is what stands in the transcript."""
        self.drawn[rows], self.tail[rows] = drawn, texts

    def read(self, rows: Index, more: int) -> NDArray[np.bool_]:
        """Give each text what was added; False where that and `more` symbols do not fit the context."""
        crowd, sizes = self.crowd, np.zeros(len(rows), np.int64)
        owed = np.flatnonzero(self.tail[rows] != self.drawn[rows]).tolist()  # the others go on as they were sampled
        new = {}
        for place in owed:
            row = int(rows[place])
            new[place] = self._symbols(row, self.drawn[row], self.tail[row])
            sizes[place] = len(new[place])
        fits: NDArray[np.bool_] = crowd.length[rows] + sizes + more <= crowd.context
        for place, symbols in new.items():
            if symbols and fits[place]:
                crowd.give(int(rows[place]), symbols)
        self.prompt[rows] = crowd.length[rows]
        return fits

    def _symbols(self, row: int, drawn: str, tail: str) -> list[int]:
        """What a text must be given, put back where its last prompt goes on in another way: as a session does."""
        if tail.startswith(drawn):
            try:
                return self._encoded(tail[len(drawn) :])
            except BadText:
                pass  # a symbol may span the seam
        one = np.array([row])
        self.crowd.put_back(one, self.prompt[one])
        try:
            return self._encoded(tail)
        except BadText:
            whole = [0, *self.tokens.encode(self.crowd.held(row) + tail)]
        held = self.crowd.memory.symbols[row, : self.crowd.length[row]].tolist()
        same = next(
            (i for i, (a, b) in enumerate(zip(held, whole, strict=False)) if a != b), min(len(held), len(whole))
        )
        self.crowd.put_back(one, np.array([same]))
        return whole[same:]

    def _encoded(self, text: str) -> list[int]:
        if text not in self._known:
            if len(self._known) > MOST_KNOWN:
                self._known = {"": []}
            self._known[text] = self.tokens.encode(text)
        return self._known[text]


class TextLane(Lane):
    """A network in the plain scaffold."""

    def __init__(self, world: BatchWorld[Any, Any], model: KernelModel, spec: RollSpec, starts: Sequence[Any]):
        """The rollouts of these start states, `spec.repeats` each."""
        super().__init__(world, spec)
        openings = [text for text in map(world.opening, starts) for _ in range(spec.repeats)]
        self.model, self.transcripts = model, Transcripts(model, openings)
        self.manner = Manner(spec.seed, spec.temperature, world.width, (world.end,))
        self.finite = isinstance(world, FiniteWorld)
        self._actions: dict[str, int] = {}  # code of each text, -1: not an action
        self._written: dict[int, list[int]] = {}  # symbols of each code, its end included
        self._legal: dict[bytes, list[int]] = {}  # of each state: codes of what is allowed and not right

    # --- the transcript -------------------------------------------------------------------------------------

    def take(self, crowd: Crowd, t: int) -> list[tuple[Crowd, Taken]]:
        """The world speaks, then everyone acts."""
        states = crowd.states
        if isinstance(self.world, BatchSpeaker):
            said = self.world.batch_says(states)
        else:
            said = [self.world.says(state) for state in self.world.unpack(states)]
        self.transcripts.add(crowd.number, np.array(said, object)[crowd.which])
        return super().take(crowd, t)

    def heard(self, crowd: Crowd, taken: Taken, replaced: Codes) -> None:
        """What stands in the transcript: the model's text as it drew it, or what was put in its place."""
        some, which = taken.texts or self.written(taken.codes)
        texts = np.array([text + self.world.end for text in some], object)[which]
        other = replaced >= 0
        if other.any():
            put, place = self.written(replaced[other])
            texts[other] = np.array([text + self.world.end for text in put], object)[place]
        if taken.forced:
            self.transcripts.add(crowd.number, texts)
        else:
            self.transcripts.wrote(crowd.number, self._drawn, texts)

    # --- the model ------------------------------------------------------------------------------------------

    def ask(self, crowd: Crowd, t: int) -> list[tuple[Crowd, Taken]]:
        """What the network writes; rollouts whose context is full end here."""
        fits = self.transcripts.read(crowd.number, self.world.width - 1)
        if not fits.all():
            self._cut(crowd.at(np.flatnonzero(~fits)), t)
            crowd = crowd.at(np.flatnonzero(fits))
        if not len(crowd.number):
            return []
        text = self.transcripts.crowd
        ends = text.length[crowd.number]
        drawn = text.write(crowd.number, (crowd.hash, t, crowd.rollout), self.manner, steps=self.spec.horizon - t)
        texts, which = self._read(drawn)
        codes = np.array([self._code(one) for one in texts])
        law = {"logp": drawn.logp, "entropy": drawn.entropy}
        if self.spec.law and self.spec.temperature > 0.0:
            law |= self._listed(crowd, ends) if self.finite else self._right(crowd, ends, drawn, (codes, texts, which))
        return [(crowd, Taken(codes[which], "", law, drawn.sizes, (texts, which)))]

    def _read(self, drawn: Drawn) -> tuple[list[str], Index]:
        """The distinct actions' texts, without their end, and which each is."""
        found, which = distinct(drawn.symbols.astype(np.int64))
        tokens, end = self.model.works.texts, self.world.end
        whole = ["".join([tokens[i] for i in row]) for row in found.tolist()]
        self._drawn: Texts = np.array(whole, object)[which]
        return [text.partition(end)[0] for text in whole], which

    def _code(self, text: str) -> int:
        if text not in self._actions:
            action = self.world.parse(text)
            self._actions[text] = -1 if action is None else self.world.code(action)
        return self._actions[text]

    def _cut(self, crowd: Crowd, t: int) -> None:
        """Last rows of rollouts whose context is full."""
        n = len(crowd.number)
        none, missing = np.full(n, -1), np.full(n, np.nan)
        self.sheet.add(
            {
                "number": crowd.number,
                "t": np.full(n, t),
                "event": none,
                "true_state": none,
                "goal_open": none,
                "fix": self.world.batch_fixes(crowd.rows),
                "forced": np.zeros(n, np.int64),
                "stop": np.full(n, STOPS.index(Stop.CUT)),
                "fault_code": np.full(n, FAULTS.index("context")),
                "tokens": np.zeros(n, np.int64),
                "asks": np.ones(n, np.int64),
                **dict.fromkeys(NO_LAW, missing),
            }
        )
        self.sheet.write("state", self.world.batch_show(crowd.rows), np.arange(n))
        self.sheet.write("action", [""], np.zeros(n, np.int64))
        self.sheet.write("taken", [], none)

    # --- laws -----------------------------------------------------------------------------------------------

    def _listed(self, crowd: Crowd, ends: Index) -> dict[str, F64]:
        """Over all that is allowed: the right actions, then the others."""
        right, p = crowd.policy
        rest = self._others(crowd.states, right)
        codes = np.concatenate([right, rest], axis=1)[crowd.which]
        mass = np.concatenate([p, np.zeros(rest.shape)], axis=1)[crowd.which]
        q = self._masses(crowd.number, ends, codes)
        off = np.maximum(1.0 - row_sum(q), 0.0)
        return _columns(Laws.of(mass, q, off), off)

    def _others(self, states: Rows, right: Codes) -> Codes:
        """What is allowed and not right, in the order of `legal`: (n, most). None where what is wrong is illegal."""
        wrong = self.world.batch_wrong(states)
        first = wrong[:, 0] if wrong.shape[1] else np.full(len(states), -1, np.int64)
        allowed = self.world.batch_allows(states, first) & (first >= 0)
        some = np.flatnonzero(allowed | (self.world.batch_mend(states) >= 0))
        listed = [self._also_legal(states[i], right[i]) for i in some.tolist()]
        rest = np.full((len(states), max(map(len, listed), default=0)), -1, np.int64)
        for i, codes in zip(some.tolist(), listed, strict=True):
            rest[i, : len(codes)] = codes
        return rest

    def _also_legal(self, row: NDArray[np.int64], right: Codes) -> list[int]:
        key = row.tobytes()
        if key not in self._legal:
            if len(self._legal) > MOST_KNOWN:
                self._legal.clear()
            (state,) = self.world.unpack(row[None])
            known = set(right[right >= 0].tolist())
            legal = [self.world.code(action) for action in self.world.legal(state)]  # type: ignore[attr-defined]
            self._legal[key] = [code for code in legal if code not in known]
        return self._legal[key]

    def _right(
        self, crowd: Crowd, ends: Index, drawn: Drawn, said: tuple[Codes, Sequence[str], Index]
    ) -> dict[str, F64]:
        """The law on the right actions alone; an only right action that was just sampled has its probability."""
        right: Codes = crowd.policy[0][crowd.which]
        p: F64 = crowd.policy[1][crowd.which]
        codes, texts, which = said
        spelt = np.array(
            [c >= 0 and self.world.batch_write(codes[i : i + 1])[0] == texts[i] for i, c in enumerate(codes)]
        )
        only = (right >= 0).sum(axis=1) == 1
        first = (right >= 0).argmax(axis=1)
        known = only & spelt[which] & (right[np.arange(len(right)), first] == codes[which])
        q = np.zeros(p.shape)
        q[known, first[known]] = np.exp(drawn.logp[known])
        rest = np.flatnonzero(~known)
        if len(rest):
            q[rest] = self._masses(crowd.number[rest], ends[rest], right[rest])
        return _columns(Laws.of(p, q, np.maximum(1.0 - row_sum(q), 0.0)), np.full(len(q), np.nan))

    def _masses(self, rows: Index, ends: Index, codes: Codes) -> F64:
        """The model's probability of each action's text, 0 where there is none: (n, k) -> (n, k)."""
        real = codes >= 0
        flat = codes[real]
        some, which = np.unique(flat, return_inverse=True)
        spelt = [self._spelt(code) for code in some.tolist()]
        sizes = np.array(list(map(len, spelt)), np.int64)
        table = np.zeros((len(spelt), int(sizes.max(initial=0))), np.int32)
        for i, one in enumerate(spelt):
            table[i, : len(one)] = one
        symbols = table[which][np.arange(table.shape[1]) < sizes[which][:, None]]
        scores = self.transcripts.crowd.score(
            rows, (symbols, sizes[which], real.sum(axis=1)), ends, self.spec.temperature
        )
        q = np.zeros(codes.shape)
        q[real] = np.exp(scores)
        return q

    def _spelt(self, code: int) -> list[int]:
        if code not in self._written:
            text = self.world.batch_write(np.array([code]))[0] + self.world.end
            self._written[code] = self.model.works.tokens.encode(text)
        return self._written[code]


def _columns(laws: Laws, illegal: F64) -> dict[str, F64]:
    return {"kl_pq": kl_pq(laws), "kl_qp": kl_qp(laws), "illegal_mass": illegal, "right_mass": right_mass(laws)}

"""Answers that are paid for, by the name of their request; and what an earlier session of the run has spent."""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Sequence

from deadreckon.contracts import Journal, Json, Reply, nan
from deadreckon.models.api.terms import Purse

Tokens = tuple[int, int]


class Forgetful:
    """The journal of a run that is not stored."""

    def entries(self) -> Sequence[Json]:
        """None."""
        return ()

    def write(self, entries: Sequence[Json], *, durable: bool) -> None:
        """Keep nothing."""


class Memory:
    """Entries are ``sent`` (an attempt, written before it), ``back`` (it ended without an answer) and ``reply``.

    An attempt without either was under way when its process was killed: it may have been billed.
    """

    def __init__(self, journal: Journal, purse: Purse):
        """Counts what the journal says was spent into `purse`."""
        self.journal, self._known = journal, dict[str, Reply]()
        self._pen = threading.Lock()
        open_: dict[str, list[Tokens]] = defaultdict(list)
        for entry in journal.entries():
            key, tokens = entry["key"], (entry["in"], entry["out"])
            if entry["what"] == "sent":
                open_[key].append(tokens)
                continue
            if open_[key]:
                open_[key].pop()
            purse.add(tokens, perhaps=bool(entry.get("perhaps")))
            if entry["what"] == "reply":
                self._known[key] = _read(entry)
        for attempts in open_.values():
            for tokens in attempts:
                purse.add(tokens, perhaps=True)

    def get(self, key: str) -> Reply | None:
        """The answer, where it was paid for."""
        return self._known.get(key)

    def keep(self, answers: Sequence[tuple[str, Reply, Tokens]]) -> None:
        """Store (key, answer, tokens spent), what is stored already apart; durable when this returns."""
        answers = [answer for answer in answers if answer[0] not in self._known]
        self.journal.write([_written(*answer) for answer in answers], durable=True)
        self._known.update({key: reply for key, reply, _ in answers})

    def sent(self, key: str, tokens: Tokens | None, perhaps: bool) -> None:
        """Log an attempt before it is made."""
        self._note("sent", key, tokens, perhaps)

    def back(self, key: str, tokens: Tokens | None, perhaps: bool) -> None:
        """Log that an attempt ended without an answer, and what it may have cost."""
        self._note("back", key, tokens, perhaps)

    def _note(self, what: str, key: str, tokens: Tokens | None, perhaps: bool) -> None:
        n_in, n_out = tokens or (0, 0)
        entry = {"what": what, "key": key, "in": n_in, "out": n_out} | ({"perhaps": True} if perhaps else {})
        self.journal.write([entry], durable=False)


def _written(key: str, reply: Reply, spent: Tokens) -> Json:
    return {
        "what": "reply",
        "key": key,
        "in": spent[0],
        "out": spent[1],
        "texts": list(reply.texts),
        "logps": [None if math.isnan(x) else x for x in reply.logps],
        "tokens": reply.tokens,
    }


def _read(entry: Json) -> Reply:
    logps = tuple(nan if x is None else float(x) for x in entry["logps"])
    return Reply(tuple(entry["texts"]), logps, (nan,) * len(logps), entry["tokens"])

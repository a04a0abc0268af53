"""The transcript of an Inspect sample: its model calls, and what its events say of each."""

from __future__ import annotations

import json
from dataclasses import dataclass

from deadreckon.contracts import Event, Json, nan
from deadreckon.errors import BadLog
from deadreckon.logs.cursor import Cursor
from deadreckon.logs.inspect_scores import as_list, as_map, as_size, as_text, verdict
from deadreckon.logs.record import Step

_SCORERS = {"scorer", "scorers"}  # kinds of span in which a model grades: its calls are not steps
_OVERHEAD = 200  # bytes of memory a call takes beside its text
_WANTED = {
    "event", "span_id", "id", "parent_id", "type", "action", "name", "pending", "error", "role", "output",
    "score", "scorer", "intermediate", "result", "working_time", "function",
}  # fmt: skip


@dataclass(slots=True)
class Call:
    """One answer of the model. None: nobody can say."""

    message: str  # the id of the message it made
    text: str
    tokens: int
    seconds: float
    logp: float
    worked: bool | None = None  # its tool calls and commands
    event: Event | None = None


class Room:
    """What one sample may keep in memory."""

    def __init__(self, most: int, place: str):
        """`most`: bytes, about."""
        self.left, self._most, self._place = most, most, place

    def take(self, size: int) -> None:
        """Sets `size` bytes aside. BadLog: there are not so many left."""
        self.left -= size
        if self.left < 0:
            raise BadLog(
                f"{self._place}: its messages and calls take more than {self._most:,} bytes:"
                " read it without messages, or raise the cap on lines"
            )


class Transcript:
    """Model calls in order, collected from events. A call that failed, or one made by a grader, is none."""

    def __init__(self, wanted: str, room: Room, *, texts: bool):
        """`wanted`: the score whose intermediate values count, "" = all. `texts`: whether answers are kept."""
        self.calls: list[Call] = []
        self._room = room
        self._scores: list[tuple[int, bool | None]] = []  # intermediate ones: calls made before, verdict
        self._worked = False  # a tool's or command's end was seen after a call
        self._wanted, _, self._key = wanted.partition(".")
        self._texts = texts
        self._grading: set[str] = set()  # spans
        self._grading_steps = 0  # open scorer steps, the older form of spans

    def walk(self, pieces: Cursor) -> None:
        """The array of events at the cursor."""
        for _ in pieces.elements():
            one = pieces.whole()
            if one.kind() != "{":
                continue
            event: dict[str, Json] = {}
            for key in one.names():
                if key in _WANTED:
                    event[key] = one.value()
                elif key == "events" and one.kind() == "[":  # of a subtask, in older logs
                    self.walk(one)
            self.add(event)

    def add(self, event: dict[str, Json]) -> None:
        """One event."""
        kind = event.get("event")
        if kind == "span_begin":
            span = as_text(event.get("id"))
            if as_text(event.get("type")) in _SCORERS or as_text(event.get("parent_id")) in self._grading:
                self._grading.add(span)
                self._room.take(_OVERHEAD + len(span))
        elif kind == "step" and event.get("type") == "scorer":
            self._grading_steps += 1 if event.get("action") == "begin" else -1
        elif kind == "score" and event.get("intermediate") is True:
            self._score(event)
        elif as_text(event.get("span_id")) in self._grading or self._grading_steps > 0:
            return
        elif kind == "model":
            self._model(event)
        elif kind == "tool":
            self._tool(as_map(event.get("error")))
        elif kind == "sandbox" and event.get("action") == "exec" and isinstance(event.get("result"), int):
            self._works(event["result"] == 0)

    def turns(self, conversation: set[str]) -> list[Call]:
        """The calls that are steps. A solver that scores its own turns may ask a grader in between: where there are
        intermediate scores, calls outside the conversation (ids of its messages) are taken for a grader's."""
        inside = [call for call in self.calls if call.message in conversation] if self._scores else []
        return inside or self.calls

    def steps(self, conversation: set[str]) -> tuple[tuple[Step, ...], str]:
        """One step a turn, and what judged it; ((), "") where no event says anything."""
        turns = self.turns(conversation)
        if self._scores:
            judged = self._judged(turns)
            return tuple(_step(call, judged.get(id(call)), None) for call in turns), "intermediate score"
        if self._worked:
            return tuple(_step(call, call.worked, call.event) for call in turns), "tool error"
        return (), ""

    def _judged(self, turns: list[Call]) -> dict[int, bool | None]:
        """The verdict of the scores that follow each turn, by the turn's identity: wrong if any says wrong."""
        among = {id(call) for call in turns}
        found: dict[int, bool | None] = {}
        last, seen = 0, 0
        for before, ok in self._scores:
            for call in self.calls[seen:before]:
                last = id(call) if id(call) in among else last
            seen = before
            found[last] = ok if found.get(last) is None or ok is False else found[last]
        return found

    def _model(self, event: dict[str, Json]) -> None:
        output = as_map(event.get("output"))
        choice = as_map(next(iter(as_list(output.get("choices"))), None))
        if not choice or event.get("error") or event.get("pending") or event.get("role") == "grader":
            return
        message = as_map(choice.get("message"))
        tokens = as_size(as_map(output.get("usage")).get("output_tokens"))
        seconds = as_size(event.get("working_time"))
        text = spoken(message) if self._texts else ""
        self._room.take(_OVERHEAD + len(text))
        self.calls.append(
            Call(
                message=as_text(message.get("id")),
                text=text,
                tokens=int(tokens) if tokens < 2**53 else 0,
                seconds=seconds if seconds == seconds else as_size(output.get("time")),
                logp=_logp(choice.get("logprobs")),
            )
        )

    def _tool(self, error: dict[str, Json]) -> None:
        if error.get("type") == "limit":  # the run ended here: no word on the call
            return
        self._works(not error)
        if error.get("type") == "parsing" and self.calls:
            self.calls[-1].event = Event.UNPARSED

    def _works(self, worked: bool) -> None:
        if self.calls:
            self._worked = True
            self.calls[-1].worked = worked and self.calls[-1].worked is not False

    def _score(self, event: dict[str, Json]) -> None:
        named = as_text(event.get("scorer"))
        value = as_map(event.get("score")).get("value")
        if not self.calls or (self._wanted and named and named != self._wanted):
            return
        if isinstance(value, dict):
            value = value.get(self._key) if self._key else next(iter(value.values()), None)
        self._room.take(_OVERHEAD)
        self._scores.append((len(self.calls), verdict(value)))


def _logp(logprobs: Json) -> float:
    """Nats of the whole answer; nan where not recorded."""
    tokens = as_list(as_map(logprobs).get("content"))
    found = [as_size(-one) for token in tokens if isinstance(one := as_map(token).get("logprob"), int | float)]
    return -sum(found) if found and len(found) == len(tokens) else nan


def spoken(message: dict[str, Json]) -> str:
    """The text of a message, and its tool calls as `name({...})`, a line each. Reasoning and media are left out."""
    content = message.get("content")
    parts = [content] if isinstance(content, str) else [as_map(part).get("text") for part in as_list(content)]
    lines = [part for part in parts if isinstance(part, str) and part]
    return "\n".join([*lines, *(_called(as_map(call)) for call in as_list(message.get("tool_calls")))])


def _called(call: dict[str, Json]) -> str:
    arguments = call.get("arguments")
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return f"{as_text(call.get('function'))}({written})"


def _step(call: Call, ok: bool | None, event: Event | None) -> Step:
    return Step(ok, event, action=call.text, tokens=call.tokens, logp=call.logp)

"""One sample of an Inspect log, whole or in chunks, as a `Record`; only what a record needs is ever in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from deadreckon.contracts import Json, Stop, nan
from deadreckon.errors import BadLog
from deadreckon.logs.cursor import Cursor
from deadreckon.logs.inspect_events import Call, Room, Transcript, spoken
from deadreckon.logs.inspect_scores import as_list, as_map, as_size, as_text, listed_steps, numbers, success
from deadreckon.logs.record import Message, Options, Record

_SMALL = {
    "id", "epoch", "scores", "model_usage", "total_time", "working_time", "error", "limit", "invalidation",
    "message_refs",
}  # fmt: skip
_LISTS = {"messages", "events", "attachments"}
_REF = re.compile(r"attachment://([0-9a-f]{32})|^attachment://([0-9]{1,9})$")
_OVERHEAD = 400  # bytes of memory a message takes beside its text
_ERROR = re.compile(r"([A-Za-z_][A-Za-z0-9_.]{0,60})\(")  # "RuntimeError('no answer')"


@dataclass(frozen=True, slots=True)
class LogHead:
    """What a log says of all its samples."""

    task: str = ""
    model: str = ""
    invalidated: bool = False  # some sample was struck out by hand


class Sample:
    """Collects one sample. `whole` for one JSON object; `chunk` for each part of one stored in chunks."""

    def __init__(self, head: LogHead, options: Options, place: str):
        """`place` names the sample in errors."""
        self._head, self._options, self._place = head, options, place
        self._room = Room(options.caps.line_bytes, place)
        self._fields: dict[str, Json] = {}
        self._messages: list[tuple[str, Message]] = []  # id, message
        self._answers = 0  # messages that the model made
        self._attachments: dict[str, str] = {}
        self._count = 0  # attachments seen
        self._transcript = Transcript(options.score, self._room, texts=options.messages)
        self._seen: set[str] = set()

    def whole(self, pieces: Cursor) -> None:
        """The sample's object at the cursor."""
        for key in pieces.names():
            if key in self._seen:
                raise pieces.bad(f"{key!r} comes twice in one sample")
            if key in _SMALL:
                self._seen.add(key)
                self._fields[key] = pieces.value()
            elif key in _LISTS:
                self.chunk(key, pieces)

    def chunk(self, key: str, pieces: Cursor) -> None:
        """The messages, events or attachments at the cursor, or their next part."""
        self._seen.add(key)
        kind = pieces.kind()
        if key == "messages" and kind == "[":
            for _ in pieces.elements():
                self._message(pieces)
        elif key == "events" and kind == "[":
            self._transcript.walk(pieces)
        elif key == "attachments" and self._options.messages and kind in "{[":
            wanted = self._refs() if {"messages", "events"} <= self._seen else None
            names = pieces.names() if kind == "{" else self._numbered(pieces)
            for name in names:
                if (wanted is None or name in wanted) and pieces.kind() == '"':
                    text = pieces.value()
                    self._room.take(_OVERHEAD + len(text))
                    self._attachments[name] = text
        else:
            pieces.skip()

    def summary(self, fields: dict[str, Json]) -> None:
        """What a summary says of a sample that is not in the log itself."""
        self._fields = {key: fields[key] for key in _SMALL & fields.keys()}

    def record(self, line: int) -> Record:
        """The sample as a record; `line`: which of its log, from 1. BadLog: it has no id, or a score cannot be used."""
        fields, wanted = self._fields, self._options.score
        if as_text(fields.get("id")) == "":
            raise BadLog(f"{self._place}: a sample without an id: mend or recover the log")
        messages = self._conversation()
        ids = {name for name, _ in messages if name}
        scores = numbers(fields.get("scores"))
        steps, judged_by = self._transcript.steps(ids)
        if listed := listed_steps(fields.get("scores"), wanted, self._place):
            steps, judged_by = listed, "step list"
        turns = self._transcript.turns(ids)
        stop, code = ended(fields)
        sizes = lengths(fields, self._head.model)
        if self._seen & {"messages", "events"}:
            sizes["steps"] = float(len(turns) or self._answers)
        return Record(
            item=as_text(fields["id"]),
            repeat=as_text(fields.get("epoch", 1)),
            model=self._head.model,
            task=self._head.task,
            messages=tuple(self._timed(messages, turns)) if self._options.messages else (),
            steps=tuple(replace(step, action=self._resolved(step.action)) for step in steps),
            judged_by=judged_by,
            success=success(scores, wanted, self._place),
            scores=scores,
            stop=stop,
            fault_code=code,
            lengths=sizes,
            line=line,
        )

    def _message(self, pieces: Cursor) -> None:
        if pieces.kind() != "{":
            return
        if self._options.messages:
            found = as_map(pieces.value())
        else:
            found = {key: pieces.value() for key in pieces.names() if key in ("id", "role", "source")}
        role = as_text(found.get("role"))
        self._answers += role == "assistant" and found.get("source") != "input"
        called = [as_text(as_map(call).get("function")) for call in as_list(found.get("tool_calls"))]
        text = spoken(found)
        error = as_text(as_map(found.get("error")).get("message"))
        self._room.take(_OVERHEAD + len(text) + len(error))
        tool = as_text(found.get("function")) if role == "tool" else ",".join(called)
        self._messages.append((as_text(found.get("id")), Message(role, text, error, tool)))

    def _numbered(self, pieces: Cursor) -> Iterator[str]:
        """The names of attachments stored as a list: their places in it, through all its parts."""
        for _ in pieces.elements():
            name = str(self._count)
            self._count += 1
            yield name

    def _conversation(self) -> list[tuple[str, Message]]:
        """The final conversation: all messages, or those that the sample picks from a pool of them."""
        if "message_refs" not in self._fields:
            return self._messages
        found: list[tuple[str, Message]] = []
        for ref in as_list(self._fields["message_refs"]):
            first, end = (as_size(one) for one in (ref if isinstance(ref, list) and len(ref) == 2 else (nan, nan)))
            if not 0 <= first <= end <= len(self._messages):
                raise BadLog(f"{self._place}: message_refs names messages that are not there: copy the log again")
            self._room.take(_OVERHEAD * int(end - first))
            found += self._messages[int(first) : int(end)]
        return found

    def _timed(self, messages: list[tuple[str, Message]], turns: list[Call]) -> Iterator[Message]:
        """The messages with the cost of the calls that made them."""
        calls = {call.message: call for call in turns if call.message}
        for name, message in messages:
            call = calls.get(name)
            text = self._resolved(message.text)
            if call and message.role == "assistant":
                yield replace(message, text=text, tokens=call.tokens, seconds=call.seconds, logp=call.logp)
            else:
                yield replace(message, text=text)

    def _refs(self) -> set[str]:
        """Names of the attachments that messages and answers point to."""
        texts = [message.text for _, message in self._messages] + [call.text for call in self._transcript.calls]
        return {ref[1] or ref[2] for text in texts if "attachment://" in text for ref in _REF.finditer(text)}

    def _resolved(self, text: str) -> str:
        """The text with its attachments put in."""
        if "attachment://" not in text:
            return text
        self._room.take(sum(len(self._attachments.get(ref[1] or ref[2], "")) for ref in _REF.finditer(text)))
        return _REF.sub(lambda ref: self._attachments.get(ref[1] or ref[2], ref[0]), text)


def ended(fields: dict[str, Json]) -> tuple[Stop, str]:
    """Why a sample ended, and the code of its fault or limit. An error, or an invalidation by hand, is a fault."""
    if fields.get("invalidation"):
        return Stop.FAULT, "invalidated"
    if error := fields.get("error"):
        name = _ERROR.match(as_text(as_map(error).get("message") if isinstance(error, dict) else error))
        return Stop.FAULT, name[1] if name else "error"
    if limit := fields.get("limit"):
        return Stop.CUT, (as_text(as_map(limit).get("type") if isinstance(limit, dict) else limit) or "limit")[:60]
    return Stop.DONE, ""


def lengths(fields: dict[str, Json], model: str) -> dict[str, float]:
    """tokens sampled by the model, and seconds at work (in all, where the log does not tell)."""
    used = {name: as_map(usage) for name, usage in as_map(fields.get("model_usage")).items()}
    own = [used[model]] if model in used else list(used.values())
    seconds = as_size(fields.get("working_time"))
    found = {
        "tokens": sum(as_size(usage.get("output_tokens")) for usage in own) if own else nan,
        "seconds": seconds if seconds == seconds else as_size(fields.get("total_time")),
    }
    return {unit: size for unit, size in found.items() if size == size}

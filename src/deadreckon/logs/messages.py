"""Chat messages in the shape of OpenAI's API, which most tools write, as `Message`s; what failed is found in them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from deadreckon.contracts import Json
from deadreckon.errors import BadLog
from deadreckon.logs.fields import as_object, count, inner, objects, shown, text
from deadreckon.logs.lines import parse_json
from deadreckon.logs.record import Message

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
FAILURES = (  # how the answer of a failed tool begins
    "Error:",
    "ERROR:",
    "error:",
    "Error executing ",
    "Unknown action ",
    "Exception:",
    "Traceback (most recent call last):",
)
SMALL = 4096  # characters of JSON that are parsed without weighing them first
LARGE = 1 << 20  # characters of JSON within JSON beyond which it is not looked into
MOST_CALLS = 10_000  # of one message
SHOWN = 200  # characters of an error that are kept
NEAR = 2000  # characters at either end of a tool's answer in which its error is looked for


def chat_messages(rows: Json, place: str, *, prompt: bool = False) -> tuple[Message, ...]:
    """The messages of a list, in order; a missing list is no message. The list is used up: its entries become None.

    prompt: the list was given to the model, so an assistant's message in it is an example, no step of the run: it
    becomes the user's. BadLog: an entry is no message, or has a role nobody knows.
    """
    if rows is None:
        return ()
    if not isinstance(rows, list):
        raise BadLog(f"{place}: the messages should be a list, not {shown(rows)}: check the format of the file")
    names: dict[str, str] = {}  # of the tools called, by the id of the call
    found: list[Message] = []
    for i, row in enumerate(rows):
        rows[i] = None  # freed as it is read: a run may be nearly as large as memory allows
        row = as_object(row, f"{place}: message {i}", "a message")
        if objects(row.get("tool_messages")):  # tau2 packs the answers to parallel calls into one message
            found += chat_messages(row["tool_messages"], f"{place}: message {i}")
            continue
        found.append(chat_message(row, names, f"{place}: message {i}"))
    if prompt:
        return tuple(Message("user", m.text, m.error) if m.role == "assistant" else m for m in found)
    return tuple(found)


def chat_message(row: Mapping[str, Json], names: dict[str, str], place: str) -> Message:
    """One message; `names` learns the names of the calls it makes and gives those of the calls it answers."""
    role = ROLES.get(text(row.get("role")))
    if role is None:
        raise BadLog(f"{place}: its role is {shown(row.get('role'))}: use one of {', '.join(ROLES)}")
    content = row.get("content")
    said = content if isinstance(content, str) else content_text(content)
    if role == "assistant":
        return _spoken(row, said, names, place)
    if role == "tool":
        tool = text(row.get("name")) or names.get(text(row.get("tool_call_id")) or text(row.get("id")), "")
        return Message(role, said, tool_error(row, said), tool)
    return Message(role, said)


def _spoken(row: Mapping[str, Json], said: str, names: dict[str, str], place: str) -> Message:
    """A message of the model: its text and the calls it makes, written as name(arguments)."""
    tokens = count(inner(row, "usage").get("completion_tokens")) if "usage" in row else 0
    calls = row.get("tool_calls")
    if not calls:
        return Message("assistant", said, "", "", tokens)
    parts, called, error = [said] if said else [], [], ""
    for call in _calls(calls, place):
        name, given = _call(call)
        names[text(call.get("id"))] = name
        called.append(name)
        parts.append(f"{name}({given})")
        if not error and _malformed(call, given):
            error = f"the arguments of the call to {name} are no JSON object"
    return Message("assistant", "\n".join(parts), error, ",".join(called), tokens)


def content_text(content: Json) -> str:
    """The text of a message's content: a string, or typed parts, of which those without text are named."""
    if isinstance(content, list):
        return "\n".join(
            part if isinstance(part, str) else text(part.get("text")) or f"[{text(part.get('type'))}]"
            for part in content
            if isinstance(part, (str, dict))
        )
    return content if isinstance(content, str) else "" if content is None else json.dumps(content, ensure_ascii=False)


def tool_error(row: Mapping[str, Json], said: str) -> str:
    """What a tool's answer says of its failure, "" where it says none: a flag (`is_error`, `error`, `status`), a
    text that begins like an error, or a JSON object with an `error` or with `success` false."""
    first = said.lstrip()
    if row.get("is_error") is True or row.get("error") is True or row.get("status") == "error":
        return _short(first) or "error"
    if stated := text(row.get("error")):
        return _short(stated)
    if first.startswith(FAILURES):
        return _short(first)
    if (
        first.startswith("{")
        and len(first) < LARGE
        and ('"error"' in first or '"success"' in first or '"status"' in first)
    ):
        try:
            answer = parse_json(first, "")
        except BadLog:
            return ""
        stated = answer.get("error")
        if stated or answer.get("success") is False or answer.get("status") == "error":
            return _short(stated if isinstance(stated, str) else first)
    return ""


def _calls(value: Json, place: str) -> list[Mapping[str, Json]]:
    """The tool calls of a message; verifiers v0 writes each one as a text of JSON."""
    if not isinstance(value, list):
        return []
    if len(value) > MOST_CALLS:
        raise BadLog(f"{place}: {len(value):,} tool calls, more than {MOST_CALLS:,}: check that it is a chat log")
    read = [parse_json(call, place) if isinstance(call, str) else call for call in value]
    return [as_object(call, place, "a tool call") for call in read]


def _call(call: Mapping[str, Json]) -> tuple[str, str]:
    """(name, arguments) of a tool call, in OpenAI's shape or a flat one."""
    asked = inner(call, "function") or call
    given = asked.get("arguments", asked.get("args"))
    written = given if isinstance(given, str) else "" if given is None else json.dumps(given, ensure_ascii=False)
    return text(asked.get("name")), written


def _malformed(call: Mapping[str, Json], arguments: str) -> bool:
    if call.get("type") == "custom" or len(arguments) > LARGE or not arguments.strip():
        return False
    try:
        return not isinstance(json.loads(arguments) if len(arguments) < SMALL else parse_json(arguments, ""), dict)
    except (BadLog, ValueError, RecursionError):
        return True


def _short(said: str) -> str:
    near = (said[-NEAR:] if said.startswith("Traceback") else said[:NEAR]).strip()
    _, _, last = near.rpartition("\n")
    return (last if said.startswith("Traceback") else near.partition("\n")[0]).strip()[:SHOWN]

"""A chat server that plays a script: it keeps a running total, and slips, stops or fails where the task says so.

Speaks as much of OpenAI's chat completions API as the tools in this folder need, whole and streamed. Standard library
alone, so that any tool's own environment can import it. The first user message holds "start S"; S says what happens:

    10 right throughout   20 wrong from the third reply on   30 right, for longer than the turn limit
    40 an HTTP error at the second reply   50 cut off for length at the third reply
    60 calls the tool with an argument it refuses   70 calls it with arguments that are no JSON
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

MODEL = "scripted"


def text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def reply(messages: list[dict[str, Any]], tools: bool) -> tuple[str, str, list[dict[str, Any]]]:
    """(text, finish reason, tool calls) of the next message; raises LookupError for the planned HTTP error."""
    asked = [text_of(m) for m in messages if m["role"] == "user"]
    start = int(re.search(r"start (\d+)", asked[0])[1])  # type: ignore[index]
    turn = sum(m["role"] == "assistant" for m in messages)
    if start == 40 and turn == 1:
        raise LookupError("the provider refuses")
    if tools and start in (60, 70) and turn == 0:
        given = '{"a": -1, "b": 2}' if start == 60 else '{"a": 1, '
        return "", "tool_calls", [{"id": "call_1", "type": "function", "function": {"name": "add", "arguments": given}}]
    total = start + sum(int(n) for said in asked for n in re.findall(r"add (\d+)", said))
    wrong = start == 20 and turn >= 2
    return f"total {total + wrong}", "length" if start == 50 and turn == 2 else "stop", []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.send(200, json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            said, reason, calls = reply(body["messages"], bool(body.get("tools")))
        except LookupError as error:
            self.send(400, json.dumps({"error": {"message": str(error), "type": "invalid_request_error"}}).encode())
            return
        message: dict[str, Any] = {"role": "assistant", "content": said or None} | (
            {"tool_calls": calls} if calls else {}
        )
        base = {"id": "chatcmpl-1", "created": 1, "model": MODEL}
        words = len(said.split()) + 3 * len(calls)
        usage = {"prompt_tokens": 8 * len(body["messages"]), "completion_tokens": words}
        usage["total_tokens"] = sum(usage.values())
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason}
            done = {**base, "object": "chat.completion", "choices": [choice], "usage": usage}
            self.send(200, json.dumps(done).encode())
            return
        delta = message | ({"tool_calls": [{**c, "index": i} for i, c in enumerate(calls)]} if calls else {})
        chunks = [
            {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
            {"choices": [], "usage": usage},
        ]
        lines = [json.dumps({**base, "object": "chat.completion.chunk", **chunk}) for chunk in chunks]
        self.send(200, "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode(), "text/event-stream")

    def send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving() -> Iterator[str]:
    """The server's base URL, while it runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()

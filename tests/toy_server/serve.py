"""The server itself: HTTP/1.1 on loopback, one thread a connection, faults drawn for each request."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from toy_server.answers import Refusal, answer
from toy_server.engine import Body, Engine, Manners
from toy_server.laws import Law, rng_of

FAULTS = (
    "429", "429_date", "500", "503", "502_html", "stall", "drop", "cut_body", "cut_json", "html_200", "error_200",
    "empty_200", "no_choices", "null_content", "wrong_model", "wrong_n", "no_finish", "no_usage", "bad_usage",
    "array_200", "no_logprobs", "nan_logprobs", "slow_bytes",
)  # fmt: skip
MODEL = "toy"


class ToyServer:
    """A server on a free port of loopback; a context manager. `url` ends in /v1."""

    def __init__(
        self,
        law: Law,
        manners: Manners | None = None,
        *,
        faults: float = 0.0,
        kinds: tuple[str, ...] = FAULTS,
        key: str = "",
        port: int = 0,
    ):
        """`faults`: the share of requests that one of `kinds` befalls; `key`: what Authorization must bear."""
        self.manners = manners or Manners()
        self.engine, self.faults, self.kinds, self.key = Engine(law, self.manners), faults, kinds, key
        self.stall_s, self.retry_after = 1.5, "0"
        self.requests, self.answered = 0, 0
        self.bodies: Counter[str] = Counter()  # answered requests, by body
        self.faulted: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = 0
        self.after = -1  # answer only so many requests, then refuse all
        self.plan: dict[int, str] = {}  # what befalls which request, by its number
        self.pause_s = 0.0  # before each answer
        self.tokens = 0  # prompt and completion tokens of what was answered
        self.watch: Callable[[Body], bool] = lambda _body: False
        self.watched = 0  # requests, answered or not, that `watch` picks
        self._lock = threading.Lock()
        toy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # 40 ms a request otherwise

            def do_GET(self) -> None:
                toy.get(self)

            def do_POST(self) -> None:
                toy.post(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away is none."""

        self.server = Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def __enter__(self) -> ToyServer:
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.shutdown()
        self.server.server_close()

    # --- Requests ---------------------------------------------------------------------------------------

    def get(self, http: BaseHTTPRequestHandler) -> None:
        """/v1/models."""
        if not self._may(http):
            return
        if http.path == "/v1/models":
            send(http, 200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})
        else:
            send(http, 404, {"error": {"message": f"no {http.path}"}})

    def post(self, http: BaseHTTPRequestHandler) -> None:
        """/v1/chat/completions and /v1/completions."""
        raw = http.rfile.read(int(http.headers.get("Content-Length", 0)))
        if not self._may(http):
            return
        with self._lock:
            number, self.requests = self.requests, self.requests + 1
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            crowd = self.in_flight
            self.watched += self.watch(json.loads(raw))
        try:
            self._post(http, raw, number, crowd)
        finally:
            with self._lock:
                self.in_flight -= 1

    def _post(self, http: BaseHTTPRequestHandler, raw: bytes, number: int, crowd: int) -> None:
        rng = rng_of("fault", number)
        kind = rng.choice(self.kinds) if rng.random() < self.faults else ""
        kind = "503" if 0 <= self.after <= number else self.plan.get(number, kind)
        if kind:
            with self._lock:
                self.faulted[kind] += 1
            if refuse(self, http, kind):
                return None
        chat = http.path == "/v1/chat/completions"
        if not chat and (http.path != "/v1/completions" or not self.manners.completions):
            return send(http, 404, {"error": {"message": f"no {http.path}"}})
        time.sleep(0.01 if self.manners.bad("batch_drift") else self.pause_s)
        try:
            body: Body = json.loads(raw)
            reply = answer(self.engine, MODEL, body, crowd, chat=chat)
        except Refusal as refusal:
            status = 200 if self.manners.bad("errors_with_200") else refusal.status
            return send(http, status, refusal.body)
        with self._lock:
            self.tokens += sum(reply.get("usage", {}).get(k, 0) for k in ("prompt_tokens", "completion_tokens"))
            if not kind:
                self.answered += 1
                self.bodies[raw.decode()] += 1
        if body.get("stream"):
            return stream(http, reply, cut=kind in ("cut_body", "cut_json"))
        return spoil(self, http, kind, reply)

    def _may(self, http: BaseHTTPRequestHandler) -> bool:
        given = http.headers.get("Authorization", "")
        if self.key and given != f"Bearer {self.key}":
            send(http, 401, {"error": {"message": f"Incorrect API key provided: {given}", "type": "auth"}})
            return False
        return True


def send(http: BaseHTTPRequestHandler, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    """JSON, or text as HTML."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    http.send_response(status)
    http.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json")
    http.send_header("Content-Length", str(len(data)))
    for name, value in (headers or {}).items():
        http.send_header(name, value)
    http.end_headers()
    http.wfile.write(data)


def refuse(toy: ToyServer, http: BaseHTTPRequestHandler, kind: str) -> bool:
    """Faults before any answer is made; False: this kind spoils an answer."""
    error = {"error": {"message": f"planted: {kind}", "type": "server_error"}}
    if kind == "429":
        send(http, 429, error, {"Retry-After": toy.retry_after})
    elif kind == "429_date":
        send(http, 429, error, {"Retry-After": http.date_time_string()})
    elif kind in ("500", "503"):
        send(http, int(kind), error)
    elif kind == "502_html":
        send(http, 502, "<html><h1>Bad Gateway</h1></html>")
    elif kind == "stall":
        time.sleep(toy.stall_s)
        http.close_connection = True
    elif kind == "drop":
        http.close_connection = True
    else:
        return False
    return True


def spoil(toy: ToyServer, http: BaseHTTPRequestHandler, kind: str, reply: Body) -> None:
    """Send the answer, spoilt where `kind` says so."""
    data = json.dumps(reply).encode()
    if kind in ("cut_body", "cut_json", "slow_bytes"):
        half = data[: len(data) // 2]
        http.send_response(200)
        http.send_header("Content-Type", "application/json")
        http.send_header("Content-Length", str(len(half) if kind == "cut_json" else len(data)))
        http.send_header("Connection", "close")
        http.end_headers()
        http.wfile.write(half)
        if kind == "slow_bytes":
            http.wfile.flush()
            time.sleep(toy.stall_s)
        http.close_connection = True
        return
    send(http, 200, _spoilt(kind, reply))


def _spoilt(kind: str, reply: Body) -> Any:
    choices = reply["choices"]
    if kind == "null_content":
        choices = [c | ({"message": {"role": "assistant", "content": None}} if "message" in c else {"text": None})
                   for c in choices]  # fmt: skip
    elif kind == "no_finish":
        choices = [c | {"finish_reason": None} for c in choices]
    elif kind == "no_logprobs":
        choices = [c | {"logprobs": None} for c in choices]
    elif kind == "nan_logprobs":
        choices = [c | {"logprobs": {"content": [{"token": "?", "logprob": float("nan")}]}} for c in choices]
    elif kind == "wrong_n":
        choices = choices + choices[:1]
    usage = dict(reply.get("usage", {}))
    whole = {
        "": reply,
        "html_200": "<html><h1>Welcome</h1></html>",
        "error_200": {"error": {"message": "planted: overloaded", "type": "server_error"}},
        "empty_200": {},
        "array_200": [],
        "no_choices": reply | {"choices": []},
        "wrong_model": reply | {"model": "other-model"},
        "no_usage": {key: value for key, value in reply.items() if key != "usage"},
        "bad_usage": reply | {"usage": usage | {"completion_tokens": 10**6}},
    }
    return whole.get(kind, reply | {"choices": choices})


def stream(http: BaseHTTPRequestHandler, reply: Body, *, cut: bool) -> None:
    """The answer as server-sent events, one token each where there are log-probabilities, else one chunk."""
    http.send_response(200)
    http.send_header("Content-Type", "text/event-stream")
    http.send_header("Connection", "close")
    http.end_headers()
    http.close_connection = True
    for event in _events(reply)[: 1 if cut else None]:
        http.wfile.write(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode())


def _events(reply: Body) -> list[Body | str]:
    events: list[Body | str] = []
    for choice in reply["choices"]:
        chat = "message" in choice
        text = choice["message"]["content"] if chat else choice["text"]
        for piece in [*text, None]:
            part = {"index": choice["index"], "finish_reason": choice["finish_reason"] if piece is None else None}
            delta = {} if piece is None else {"content": piece}
            part |= {"delta": delta} if chat else {"text": piece or ""}
            events.append({key: reply[key] for key in ("id", "model", "created")} | {"choices": [part]})
    return [*events, "[DONE]"]

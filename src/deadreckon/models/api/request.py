"""What is asked of a server: one request, and its body on either endpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite, nan
from types import MappingProxyType
from typing import Literal

from deadreckon.contracts import Json
from deadreckon.errors import BadOption

Endpoint = Literal["chat", "completions"]
Message = tuple[str, str]  # role, content

OURS = {"model", "messages", "prompt", "max_tokens", "temperature", "top_p", "n", "stop", "seed", "logprobs",
        "top_logprobs", "echo", "stream"}  # fmt: skip
PATHS: dict[Endpoint, str] = {"chat": "/chat/completions", "completions": "/completions"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `messages` for chat, `prompt` for completions; None: the parameter is not sent."""

    model: str
    endpoint: Endpoint
    messages: tuple[Message, ...] = ()
    prompt: str = ""
    max_tokens: int = 16
    temperature: float = 1.0
    n: int = 1
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logprobs: int | None = None  # how many of the most likely tokens; 0: the chosen one alone
    echo: bool = False

    @property
    def path(self) -> str:
        """Where it is posted, after the base URL."""
        return PATHS[self.endpoint]

    def body(self) -> dict[str, Json]:
        """As JSON. `top_p` is sent as 1, so that a server's own default cannot truncate the law."""
        body: dict[str, Json] = {"model": self.model}
        if self.endpoint == "chat":
            body["messages"] = [{"role": role, "content": content} for role, content in self.messages]
        else:
            body["prompt"] = self.prompt
        body |= {"max_tokens": self.max_tokens, "temperature": self.temperature, "top_p": 1.0}
        if self.n != 1:
            body["n"] = self.n
        if self.stop:
            body["stop"] = list(self.stop)
        if self.seed is not None:
            body["seed"] = self.seed
        if self.logprobs is not None and self.endpoint == "chat":
            body |= {"logprobs": True, "top_logprobs": self.logprobs}
        elif self.logprobs is not None:
            body["logprobs"] = self.logprobs
        if self.echo:
            body["echo"] = True
        return body

    def data(self, also: Mapping[str, float] = MappingProxyType({})) -> bytes:
        """The body as sent, with these fields too."""
        return json.dumps(self.body() | dict(also), ensure_ascii=False).encode()

    def key(self, *place: int) -> str:
        """The name of its answer at this place (item, rollout, step ...), for the journal."""
        return sha256(json.dumps([self.path, self.body(), place], sort_keys=True).encode()).hexdigest()[:32]

    def most_tokens(self) -> tuple[int, int]:
        """Bounds on the prompt's tokens (UTF-8 bytes, and 16 for each message) and on those written."""
        texts = [content for _, content in self.messages] or [self.prompt]
        return sum(len(text.encode()) for text in texts) + 16 * (1 + len(self.messages)), self.n * self.max_tokens


def read_also(text: str) -> dict[str, float]:
    """Numbers to send with every request, "top_k:0+min_p:0": what turns a server's own sampling off. BadOption."""
    found: dict[str, float] = {}
    for part in text.split("+") if text else ():
        name, _, number = part.partition(":")
        try:
            value = float(number)
        except ValueError:
            value = nan
        if not name.isidentifier() or name in OURS or not isfinite(value):
            raise BadOption(f"also={text!r}: write NAME:NUMBER+NAME:NUMBER, as in top_k:0+min_p:0, none of them ours")
        found[name] = int(value) if value.is_integer() else value
    return found

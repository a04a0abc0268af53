"""What carries a request to a model and its reply back, and what a refusal means."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import quote

from deadreckon.errors import ServerRefused
from deadreckon.models.api.reply import Heard, Spoilt
from deadreckon.models.api.request import Request

MOST_WAIT_S = 300.0  # what a server may ask us to wait before a run stops instead
AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529}
CONTROL = re.compile(r"[^\x20-\x7e]+")


class Exchange(Protocol):
    """A way to a model: HTTP of our own (`Wire`), or a provider of Inspect (`Provider`)."""

    url: str  # its name in messages
    may_drop: Mapping[str, str]  # checks whose failure is an honest no on this way, and the reason

    def exchange(self, request: Request, *, strict: bool) -> Heard:
        """The reply to one attempt at a request, checked (see `reply.read`). Spoilt, ServerRefused."""
        ...

    def models(self) -> list[str]:
        """The models it lists; empty where it lists none. Spoilt, ServerRefused."""
        ...

    def doctor(self, model: str) -> str:
        """The command that makes every check of it."""
        ...

    def close(self) -> None:
        """Let go of its connections."""
        ...


def refusal(where: str, status: int, said: str, *, wait: float, key: str) -> Spoilt | ServerRefused:
    """What a status other than 200 means: this request alone, a moment to wait, or the end of the run.

    `said`: the reason given, already clean; `wait`: seconds asked for; `key`: what to do about a key that is refused.
    """
    if status == 429 and ("insufficient_quota" in said or "billing" in said):
        return ServerRefused(f"{where} says the quota is used up: {said}")
    if status in AGAIN:
        if wait > MOST_WAIT_S:
            return ServerRefused(f"{where} asks to wait {wait:.0f} s: run the same command again after that")
        return Spoilt(f"http_{status}", billed=False, wait=wait)
    if status in (401, 402, 403):
        return ServerRefused(f"{where} refuses with status {status}: {said or 'no reason given'}: {key}")
    if status == 404:
        return ServerRefused(f"{where} answers 404: {said or 'no such path'}: check url and model")
    if "context" in said and ("length" in said or "window" in said or "maximum" in said):
        return Spoilt("context", again=False, billed=False)
    return Spoilt(f"http_{status}", again=False, billed=False)


def asked_wait(headers: Mapping[str, str]) -> float:
    """Seconds that Retry-After asks for, as a number or a date; 0 where it asks for nothing."""
    with suppress(ValueError):
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000.0)
    asked = headers.get("retry-after", "")
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, TypeError, IndexError):
        return 0.0


def forms(key: str) -> list[str]:
    """A key as it may come back: plain, in base64, quoted for a URL."""
    if not key:
        return []
    coded = [base64.b64encode(k.encode()).decode().rstrip("=") for k in (key, f":{key}", f"Bearer {key}")]
    return [key, quote(key, safe=""), *coded]


def cleaned(text: str, secrets: list[str]) -> str:
    """What a server says, made fit to be shown: one line, short, and without the key in any form."""
    for secret in secrets:
        text = text.replace(secret, "[key]")
    return CONTROL.sub(" ", text)[:200].strip()

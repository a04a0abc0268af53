"""One HTTP exchange with a server, bounded in time and size; the one place that holds a key.

The key comes from the environment, goes into one header, and is taken out of whatever a server says back.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from urllib.parse import urlsplit

import httpx2

from deadreckon.errors import BadOption, ServerRefused
from deadreckon.models.api.exchange import asked_wait, cleaned, forms, refusal
from deadreckon.models.api.reply import Heard, Spoilt, read, read_object
from deadreckon.models.api.request import Request, read_also

MOST_BYTES = 16 << 20  # of a reply
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
OPENAI = "https://api.openai.com/v1"


def base_url(url: str) -> str:
    """The URL without a final slash. BadOption: not http(s), or with a name, password or query in it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise BadOption("url cannot be read: give http://HOST:PORT/v1") from None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BadOption("url holds a name, password or query: give the key in an environment variable, key=ITS_NAME")
    if parts.scheme not in ("http", "https") or not host:
        raise BadOption(f"url={url!r}: give http://HOST:PORT/v1")
    return url.rstrip("/")


def key_name(url: str, given: str = "") -> str:
    """The environment variable that may hold the key: the one given, else OPENAI_API_KEY for OpenAI's own server."""
    return given or ("OPENAI_API_KEY" if url == OPENAI else "DEADRECKON_API_KEY")


class Wire:
    """A connection pool to one base URL."""

    may_drop: Mapping[str, str] = MappingProxyType({})  # what a server takes, it has to do

    def __init__(self, url: str, name: str = "", *, timeout: float = 120.0, most: int = 32, also: str = ""):
        """`name` of the key's environment variable; `timeout` seconds for a whole reply; `also`: see `read_also`.

        BadOption.
        """
        self.url, self.timeout = base_url(url), timeout
        self._also, self._said_also = read_also(also), f" --also {also}" if also else ""
        self.key_name = key_name(self.url, name)
        key = os.environ.get(self.key_name, "")
        if name and not key:
            raise BadOption(
                "key= names an environment variable that is not set: give its name, not the key, and export it"
            )
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise BadOption(f"{self.key_name} holds characters that no key has: check how it was set")
        host = urlsplit(self.url).hostname or ""
        local = host in LOOPBACK
        if key and not local and self.url.startswith("http:"):
            raise BadOption(f"url={self.url}: {self.key_name} would be sent in clear text, use https or unset it")
        self._secrets = forms(key)
        headers = {"Accept-Encoding": "identity", "User-Agent": "deadreckon"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        limits = httpx2.Limits(max_connections=most + 4, max_keepalive_connections=most + 4)
        times = httpx2.Timeout(timeout, connect=min(timeout, 10.0), pool=None)
        self._client = httpx2.Client(headers=headers, timeout=times, limits=limits, trust_env=not local)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def exchange(self, request: Request, *, strict: bool) -> Heard:
        """See `Exchange`."""
        return read(request, read_object(self.post(request.path, request.data(self._also))), strict=strict)

    def doctor(self, model: str) -> str:
        """See `Exchange`."""
        return f"deadreckon doctor {self.url} --model {model}{self._said_also}"

    def post(self, path: str, data: bytes) -> bytes:
        """The body of a reply with status 200. Spoilt, ServerRefused."""
        status, headers, body = self._exchange("POST", path, data)
        if status == 200:
            if "json" not in headers.get("content-type", ""):
                raise Spoilt("content_type")
            return body
        raise self._refusal(status, headers, body)

    def models(self) -> list[str]:
        """The models it lists; empty where it lists none. Spoilt, ServerRefused."""
        status, _, body = self._exchange("GET", "/models", None)
        if status in (401, 403):
            raise self._refusal(status, {}, body)
        if status != 200:
            return []
        with suppress(Spoilt, TypeError, KeyError):
            return [str(model["id"]) for model in read_object(body)["data"]]
        return []

    def _exchange(self, method: str, path: str, data: bytes | None) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body). Spoilt: no reply, or only part of one."""
        end = time.monotonic() + self.timeout
        headers = {"Content-Type": "application/json"} if data is not None else {}
        body = bytearray()
        try:
            with self._client.stream(method, self.url + path, content=data, headers=headers) as reply:
                for piece in reply.iter_raw():
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise Spoilt("too_large", again=False)
                    if time.monotonic() > end:
                        raise Spoilt("timeout")
                return reply.status_code, dict(reply.headers), bytes(body)
        except httpx2.ConnectError:
            raise Spoilt("connection", billed=False) from None
        except httpx2.TimeoutException:
            raise Spoilt("timeout") from None
        except httpx2.TransportError:
            raise Spoilt("cut_off") from None

    def _refusal(self, status: int, headers: dict[str, str], body: bytes) -> Spoilt | ServerRefused:
        has = f"is the key in {self.key_name} right?" if self._secrets else f"set the key in {self.key_name}"
        said = cleaned(_message(body), self._secrets)
        return refusal(self.url, status, said, wait=asked_wait(headers), key=has)


def _message(body: bytes) -> str:
    """The reason in an error's body: its message and code."""
    try:
        reason = read_object(body).get("error", "")
    except Spoilt:
        return ""
    if isinstance(reason, dict):
        return f"{reason.get('message') or ''} {reason.get('code') or ''}".strip()
    return str(reason)

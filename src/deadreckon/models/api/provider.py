"""Any provider of Inspect AI as an exchange: an attempt is one `generate`, put into the shape of a chat reply.

Inspect's own retries, cache and limits on connections are off, and so are those of the provider's client where it says
how many it makes: every attempt is counted and every reply checked here. What a provider does not say stays missing.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from inspect_ai.log import transcript
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    ModelOutput,
)
from inspect_ai.model import Model as InspectModel

from deadreckon.contracts import Json
from deadreckon.errors import BadOption, ServerRefused
from deadreckon.models.api.exchange import asked_wait, cleaned, forms, refusal
from deadreckon.models.api.reply import Heard, Spoilt, read
from deadreckon.models.api.request import Request

T = TypeVar("T")

ROLES: dict[str, Callable[[str], ChatMessage]] = {
    "system": lambda text: ChatMessageSystem(content=text),
    "user": lambda text: ChatMessageUser(content=text),
    "assistant": lambda text: ChatMessageAssistant(content=text),
}
FINISH = {"stop": "stop", "max_tokens": "length", "content_filter": "content_filter"}  # anything else is not finished
UNBOUND = 1024  # connections: how many are open is decided by `Throttle`
HERE = {"mockllm", "hf", "transformer_lens", "nnterp", "none"}  # providers that ask nobody
MOST_CAUSES = 8
MARKUP = re.compile(r"\[/?[a-z ]*\]")  # of Inspect's messages, for a terminal


class Provider:
    """One model of one provider, on an event loop of its own."""

    may_drop: Mapping[str, str] = MappingProxyType(
        {
            "logprobs": "none come through Inspect from this provider",
            "seed": "through Inspect, this provider's draws do not follow a seed",
            "n": "one sample a request comes through Inspect from this provider",
        }
    )

    def __init__(self, name: str, make: Callable[[], InspectModel], *, timeout: float = 120.0, top_p: bool = True):
        """`name`: "inspect:PROVIDER/MODEL", in messages; `timeout`: seconds for a whole reply. BadOption."""
        self.url, self.timeout, self.top_p = name, timeout, top_p
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="deadreckon-inspect")
        self._thread.start()
        self._secrets: list[str] = []
        made = self._run(_made(make))
        if isinstance(made, BaseException):
            self._stop()
            raise BadOption(f"{name}: Inspect has no such model here: {cleaned(MARKUP.sub('', str(made)), [])}")
        self._model: InspectModel = made
        self._secrets = forms(made.api.api_key or "")
        self.retries = "none" if self._no_retries() else "unknown"

    def exchange(self, request: Request, *, strict: bool) -> Heard:
        """See `Exchange`."""
        found = self._run(self._generate(request))
        if isinstance(found, BaseException):
            raise self._fault(found) from None
        return read(request, as_reply(*found), strict=strict)

    def models(self) -> list[str]:
        """None: Inspect lists no models."""
        return []

    def doctor(self, model: str) -> str:
        """See `Exchange`."""
        return f"deadreckon doctor {self.url}"

    def close(self) -> None:
        """See `Exchange`."""
        self._run(self._model.api.aclose())
        self._stop()

    # --- Inspect --------------------------------------------------------------------------------------------

    async def _generate(self, request: Request) -> tuple[ModelOutput, Mapping[str, Json]]:
        """The output, and the provider's own reply where Inspect kept it."""
        messages = [ROLES[role](content) for role, content in request.messages]
        config = GenerateConfig(
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            top_p=1.0 if self.top_p else None,
            stop_seqs=list(request.stop) or None,
            num_choices=request.n if request.n > 1 else None,
            seed=request.seed,
            logprobs=None if request.logprobs is None else True,
            top_logprobs=request.logprobs,
            max_retries=0,
            max_connections=UNBOUND,
            adaptive_connections=False,
        )
        async with asyncio.timeout(self.timeout):
            output = await self._model.generate(messages, config=config, cache=False)
        events = transcript().events  # of this task alone
        call = getattr(events[-1], "call", None) if events else None
        return output, (call.response if call else None) or {}

    def _no_retries(self) -> bool:
        """Whether the provider's client tries once alone: told to, where it takes that."""
        client = getattr(self._model.api, "client", None)
        if isinstance(getattr(client, "max_retries", None), int):
            client.max_retries = 0  # type: ignore[union-attr]
            return True
        return self.url.partition(":")[2].partition("/")[0] in HERE

    def _fault(self, error: BaseException) -> Spoilt | ServerRefused:
        """What an exception of Inspect, a provider or its client means."""
        chain = list(causes(error))
        names = [type(one).__name__ for one in chain]
        told = next((one for one in chain if isinstance(getattr(one, "status_code", None), int)), None)
        if told is not None:
            headers = getattr(getattr(told, "response", None), "headers", {})
            said = cleaned(str(getattr(told, "message", "")), self._secrets)
            key = "is the key of this provider right?"
            return refusal(self.url, told.status_code, said, wait=asked_wait(headers), key=key)  # type: ignore[attr-defined]
        if any("Timeout" in name for name in names):
            return Spoilt("timeout")
        if any(name in ("ConnectError", "ConnectionRefusedError") for name in names):
            return Spoilt("connection", billed=False)
        if any("Connect" in name for name in names):
            return Spoilt("cut_off")
        return Spoilt("json" if names[-1] == "JSONDecodeError" else f"provider_{names[-1]}")

    def _run(self, work: Coroutine[Any, Any, T]) -> T | BaseException:
        """Its result, or what it raised: providers raise anything."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        error = future.exception()
        return future.result() if error is None else error

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _made(make: Callable[[], InspectModel]) -> InspectModel:
    return make()


def causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it came from, outermost first."""
    one: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if one is None:
            return
        yield one
        one = one.__cause__


def as_reply(output: ModelOutput, raw: Mapping[str, Json]) -> Mapping[str, Json]:
    """An output as the JSON of a chat reply; `raw` is the provider's own, which tells a null text from an empty one.

    Spoilt: a conversation that is too long, and an error that Inspect has put in the place of an answer.
    """
    if not output.empty and output.stop_reason == "model_length":
        raise Spoilt("context", again=False, billed=False)
    value: dict[str, Json] = {
        "model": output.model,
        "choices": [_choice(output, i, null=null) for i, null in enumerate(_nulls(output, raw))],
        "system_fingerprint": raw.get("system_fingerprint"),
    }
    if output.usage is not None:
        usage = output.usage
        cached = (usage.input_tokens_cache_read or 0) + (usage.input_tokens_cache_write or 0)
        value["usage"] = {
            "prompt_tokens": usage.input_tokens + cached,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
        }
    if output.error and not (not output.empty and output.stop_reason == "content_filter"):
        value["error"] = output.error
    return value


def _nulls(output: ModelOutput, raw: Mapping[str, Json]) -> list[bool]:
    """Of each choice, whether the provider gave null for its text."""
    told = raw.get("choices")
    if not isinstance(told, list) or len(told) != len(output.choices):
        return [False] * len(output.choices)
    return [isinstance(c, dict) and (c.get("message") or {}).get("content", "") is None for c in told]


def _choice(output: ModelOutput, i: int, *, null: bool) -> Json:
    choice = output.choices[i]
    logprobs = choice.logprobs and {
        "content": [
            {
                "token": token.token,
                "logprob": token.logprob,
                "top_logprobs": [{"token": t.token, "logprob": t.logprob} for t in token.top_logprobs or ()],
            }
            for token in choice.logprobs.content
        ]
    }
    text = None if null and not choice.message.text else choice.message.text
    finish = FINISH.get(choice.stop_reason)
    return {"index": i, "message": {"content": text}, "logprobs": logprobs, "finish_reason": finish}

"""A reply counts only if status, type, schema, model, finish reasons, usage and log-probabilities all check.

Whatever does not is a `Spoilt` with a code. Nothing of the reply's text is put into a message.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from deadreckon.contracts import Json
from deadreckon.models.api.request import Request

FINISHED = {"stop": "stop", "length": "length", "eos": "stop", "eos_token": "stop", "stop_sequence": "stop"}
SLACK = 1e-3  # of a sum of probabilities: servers round
DATED = re.compile(r"([-@:](\d[\d.-]*|latest))?", re.A)


class Spoilt(Exception):
    """A reply that does not count. `wait`: seconds the server asked for; `spent`: tokens it says it used."""

    def __init__(
        self,
        code: str,
        *,
        again: bool = True,
        billed: bool = True,
        wait: float = 0.0,
        spent: tuple[int, int] | None = None,
    ):
        """`again`: another attempt may help; `billed`: it may have been paid for."""
        super().__init__(code)
        self.code, self.again, self.billed, self.wait, self.spent = code, again, billed, wait, spent


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a sample: its log-probability and the most likely ones at its place, nats."""

    text: str
    logp: float  # nan for the first token of an echoed prompt
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One choice."""

    index: int
    text: str
    finish: str  # "stop" or "length"
    tokens: tuple[Token, ...] = ()

    @property
    def joined(self) -> str:
        """The texts of its tokens."""
        return "".join(token.text for token in self.tokens)


@dataclass(frozen=True, slots=True)
class Heard:
    """A reply, whole."""

    model: str
    samples: tuple[Sample, ...]
    prompt_tokens: int
    tokens: int  # written
    fingerprint: str = ""
    total: int = -1  # prompt and written, as the server adds them


def same_model(asked: str, said: str) -> bool:
    """Whether a server that says so means the model asked for: its name, a dated or tagged form, or its last part."""
    return (
        said == asked
        or said.rpartition("/")[2] == asked.rpartition("/")[2]
        or (said.startswith(asked) and DATED.fullmatch(said[len(asked) :]) is not None)
    )


def read_object(data: bytes) -> Mapping[str, Json]:
    """The JSON object in a body. Spoilt."""
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Spoilt("json") from None
    if not isinstance(value, dict):
        raise Spoilt("schema")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def read(request: Request, value: Mapping[str, Json], *, strict: bool = True) -> Heard:
    """The reply to `request` in the JSON object of a body of status 200. Spoilt.

    Not strict: the shape alone must check, so that the contract's own checks can look at a reply that lies.
    """
    if value.get("error"):
        raise Spoilt("error_with_200")
    usage, spent = _usage(value.get("usage"))
    try:
        choices = value["choices"]
        if not isinstance(choices, list):
            raise Spoilt("schema", spent=spent)
        samples = tuple(sorted((_sample(request, choice, strict=strict) for choice in choices), key=lambda s: s.index))
        model, mark = _text(value.get("model", "")), _text(value.get("system_fingerprint") or "")
        heard = Heard(model, samples, usage[0], usage[1], mark, _total(value.get("usage")))
    except (KeyError, TypeError, AttributeError, ValueError):
        raise Spoilt("schema", spent=spent) from None
    except Spoilt as spoilt:
        spoilt.spent = spent
        raise
    if not samples:
        raise Spoilt("no_choices", spent=spent)
    if strict:
        _check(request, heard, spent)
    return heard


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _usage(usage: Json) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """(prompt, written) tokens, -1 where not told; and as what was spent, None where it cannot be right."""
    if not isinstance(usage, dict):
        return (-1, -1), None
    found = tuple(usage.get(name) for name in ("prompt_tokens", "completion_tokens"))
    both = tuple(n if isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 10**9 else -1 for n in found)
    return (both[0], both[1]), None if min(both) < 0 else (both[0], both[1])


def _total(usage: Json) -> int:
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) else -1


def _sample(request: Request, choice: Mapping[str, Json], *, strict: bool) -> Sample:
    text = choice["message"]["content"] if request.endpoint == "chat" else choice["text"]
    finish = choice.get("finish_reason")
    if finish == "content_filter":
        raise Spoilt("content_filter", again=False)
    if text is None:
        raise Spoilt("null_content")
    if strict and finish not in FINISHED:
        raise Spoilt("finish_reason")
    tokens = () if request.logprobs is None else _tokens(request, choice.get("logprobs"), strict=strict)
    return Sample(
        int(choice["index"]), _text(text), FINISHED.get(finish, "") if isinstance(finish, str) else "", tokens
    )


def _tokens(request: Request, logprobs: Json, *, strict: bool) -> tuple[Token, ...]:
    if logprobs is None:
        if strict:
            raise Spoilt("no_logprobs")
        return ()
    if request.endpoint == "chat":
        return tuple(
            Token(_text(t["token"]), _number(t["logprob"]), _pairs(t.get("top_logprobs")))
            for t in logprobs["content"] or ()
        )
    texts, logps = logprobs["tokens"], logprobs["token_logprobs"]
    tops = logprobs.get("top_logprobs") or [None] * len(texts)
    return tuple(
        Token(_text(text), math.nan if logp is None else _number(logp), _pairs(top))
        for text, logp, top in zip(texts, logps, tops, strict=strict)
    )


def _pairs(top: Json) -> tuple[tuple[str, float], ...]:
    """The most likely tokens, as a list of objects (chat) or a mapping by text (completions)."""
    if not top:
        return ()
    if isinstance(top, dict):
        return tuple((text, _number(logp)) for text, logp in top.items())
    return tuple((_text(t["token"]), _number(t["logprob"])) for t in top)


def _number(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    return float(value)


def _check(request: Request, heard: Heard, spent: tuple[int, int] | None) -> None:
    """What the shape alone does not tell. Spoilt."""
    for code, wrong in (
        ("n", len(heard.samples) != request.n or [s.index for s in heard.samples] != list(range(request.n))),
        ("model", not heard.model),
        ("usage", spent is None or heard.tokens > request.n * request.max_tokens),
        ("stop", any(stop in s.text for s in heard.samples for stop in request.stop) and not request.echo),
        ("usage", heard.tokens == 0 and any(s.text for s in heard.samples) and not request.echo),
        ("logprobs", request.logprobs is not None and not all(_sound(s, echo=request.echo) for s in heard.samples)),
    ):
        if wrong:
            raise Spoilt(code, spent=spent)


def _sound(sample: Sample, *, echo: bool) -> bool:
    """Log-probabilities that can be: one for each token of the text, none above 0, lists that sum to at most 1."""
    for i, token in enumerate(sample.tokens):
        if not token.logp <= SLACK and not (echo and i == 0 and math.isnan(token.logp)):
            return False
        if sum(math.exp(min(logp, 1.0)) for _, logp in token.top) > 1.0 + SLACK:
            return False
    return covers(sample)


def covers(sample: Sample) -> bool:
    """Whether the tokens' texts hold the sample's text; not judged where a token is a piece of a character."""
    pieces = any("\ufffd" in t.text or t.text.startswith("bytes:") for t in sample.tokens)
    return pieces or sample.joined.strip().startswith(sample.text.strip())

"""Replies in the shapes of the two endpoints, and the defects of shape."""

from __future__ import annotations

from collections.abc import Sequence

from toy_server.engine import Body, Drawn, Engine
from toy_server.laws import BEGIN, Probs, told


class Refusal(Exception):
    """A request the server says no to, with a status and a reason."""

    def __init__(self, status: int, message: str, kind: str = "invalid_request_error", code: str | None = None):
        """As OpenAI-compatible servers write it."""
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "code": code}}


def answer(engine: Engine, model: str, body: Body, crowd: int, *, chat: bool) -> Body:
    """The whole reply to one request. Refusal."""
    manners, bad = engine.manners, engine.manners.bad
    n = int(body.get("n", 1))
    if body.get("model") != model:
        raise Refusal(404, f"The model {body.get('model')!r} does not exist", code="model_not_found")
    if n > 1 and not manners.many:
        raise Refusal(400, "n > 1 is not supported")
    if "seed" in body and not manners.seeds:
        raise Refusal(400, "seed is not supported")
    k = _asked(engine, body, chat=chat)
    if chat:
        prompt = told(body["messages"], engine.law.end)
        context = engine.template(body["messages"])
    else:
        prompt, context = _prompt(engine, body)
    n = 1 if bad("n_ignored") else n
    samples = [engine.sample(prompt, context, body, i, crowd) for i in range(n)]
    shape = _chat_choice if chat else _choice
    choices = [shape(engine, context, drawn, body, k, i) for i, drawn in enumerate(samples)]
    if bad("index_always_0"):
        choices = [choice | {"index": 0} for choice in choices]
    reply = {
        "id": "toy-1",
        "object": "chat.completion" if chat else "text_completion",
        "created": 1,
        "model": "toy-mini" if bad("other_model") else manners.alias or model,
        "choices": choices,
        "usage": _usage(engine, context, samples),
    }
    if bad("usage_missing"):
        del reply["usage"]
    if bad("finish_missing"):
        reply["choices"] = [choice | {"finish_reason": None} for choice in choices]
    return reply


def _prompt(engine: Engine, body: Body) -> tuple[str, list[int]]:
    given, vocabulary = body["prompt"], engine.law.vocabulary
    if isinstance(given, list) and len(given) == 1 and not isinstance(given[0], int):
        given = given[0]
    if isinstance(given, list):
        if not all(isinstance(i, int) for i in given):
            raise Refusal(400, "one prompt a request")
        return "".join(map(vocabulary.text, given)), [BEGIN, *given]
    text = engine.heard(str(given))
    return text, [BEGIN, *([BEGIN] if engine.manners.bad("begin_twice") else []), *vocabulary.encode(text)]


def _asked(engine: Engine, body: Body, *, chat: bool) -> int | None:
    """How many top log-probabilities are asked for; None: none at all."""
    asked = body.get("logprobs")
    k: int | None = (int(body.get("top_logprobs", 0)) if asked else None) if chat else asked
    if k is None:
        return None
    if not engine.manners.logprobs:
        raise Refusal(400, "logprobs are not supported")
    if k > engine.manners.most_top:
        raise Refusal(400, f"top_logprobs={k}: at most {engine.manners.most_top}")
    if body.get("echo") and not engine.manners.echo:
        raise Refusal(400, "echo with logprobs is not supported")
    return None if engine.manners.bad("logprobs_ignored") else k


def _usage(engine: Engine, context: Sequence[int], samples: Sequence[Drawn]) -> Body:
    bad = engine.manners.bad
    written = sum(len(drawn.laws) for drawn in samples)
    prompt = len(context)
    if bad("usage_of_characters"):
        written = sum(len(drawn.text) for drawn in samples) * 4
    if bad("usage_zero"):
        written = 0
    if bad("usage_total_wrong"):
        return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt}
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def _reported(engine: Engine, drawn: Drawn) -> list[float]:
    values = [engine.logp(law, i) for i, law in zip(drawn.ids, drawn.laws, strict=True)]
    if engine.manners.bad("logprobs_shifted"):
        return [values[-1], *values[:-1]]
    if engine.manners.bad("logprobs_zero"):
        return [0.0] * len(values)
    return values[:-1] if engine.manners.bad("logprobs_one_short") and len(values) > 1 else values


def _chat_choice(engine: Engine, _context: Sequence[int], drawn: Drawn, _body: Body, k: int | None, i: int) -> Body:
    text = engine.law.vocabulary.text
    content = [
        {
            "token": text(token),
            "logprob": value,
            "bytes": list(text(token).encode()),
            "top_logprobs": [
                {"token": text(t), "logprob": lp, "bytes": list(text(t).encode())} for t, lp in engine.top(law, k or 0)
            ],
        }
        for token, law, value in zip(drawn.ids, drawn.laws, _reported(engine, drawn), strict=False)
    ]
    return {
        "index": i,
        "message": {"role": "assistant", "content": drawn.text},
        "logprobs": None if k is None else {"content": content},
        "finish_reason": drawn.finish,
    }


def _choice(engine: Engine, context: Sequence[int], drawn: Drawn, body: Body, k: int | None, i: int) -> Body:
    ids, values, laws = list(drawn.ids), list(_reported(engine, drawn)), list(drawn.laws)
    text, before = drawn.text, [t for t in context if t != BEGIN]
    if body.get("echo") and not engine.manners.bad("echo_ignored"):
        text = "".join(map(engine.law.vocabulary.text, before)) + text
        told = _echoed(engine, before)
        ids, values, laws = before + ids, told + values, [None, *engine.echo_laws(before)[1:], *laws]  # type: ignore[list-item]
    choice = {"index": i, "text": text, "logprobs": None, "finish_reason": drawn.finish}
    return choice if k is None else choice | {"logprobs": _lists(engine, ids, values, laws, k, body)}


def _echoed(engine: Engine, ids: Sequence[int]) -> list[float | None]:
    bad, laws = engine.manners.bad, engine.echo_laws(ids)
    told = [None if law is None else engine.logp(law, i) for i, law in zip(ids, laws, strict=True)]
    if bad("echo_shifted") and ids:  # the law after token j, at token j
        laws = [*laws[1:], engine.law.next("".join(map(engine.law.vocabulary.text, ids)), [BEGIN, *ids], "")]
        return [None, *(engine.logp(law or {}, i) for i, law in zip(ids[1:], laws[1:], strict=True))]
    return [None, *([-0.5] * (len(ids) - 1))] if bad("echo_constant") else told


def _lists(
    engine: Engine, ids: Sequence[int], values: Sequence[float | None], laws: Sequence[Probs | None], k: int, body: Body
) -> Body:
    vocabulary, offsets, at = engine.law.vocabulary, [], 0
    as_ids = bool(body.get("return_tokens_as_token_ids"))
    for i in ids:
        offsets.append(at)
        at += 0 if i < 5 else len(vocabulary.text(i))
    piece = engine.manners.bad("top_by_text")  # pieces of characters all have one text, and a dict keeps the last

    def name(i: int) -> str:
        if as_ids:
            return f"token_id:{i}"
        return f"bytes:{i}" if vocabulary.text(i) == "\ufffd" and not piece else vocabulary.text(i)

    tops: list[dict[str, float] | None] = [
        None if law is None else {name(i): lp for i, lp in engine.top(law, k)} for law in laws
    ]
    return {
        "tokens": [name(i) for i in ids],
        "token_logprobs": list(values),
        "top_logprobs": tops if k else None,
        "text_offset": offsets,
    }

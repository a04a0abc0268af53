"""The contract probe: does a server do what an instrument takes for granted?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from deadreckon.errors import BrokenContract, ServerRefused
from deadreckon.models.api import checks_of_draws as draws
from deadreckon.models.api import checks_of_logprobs as laws
from deadreckon.models.api import checks_of_replies as replies
from deadreckon.models.api.contract import CORE, DRAWS, LAWS, Contract, Seen, Status, fail, no, relied_on
from deadreckon.models.api.probe import WHOLE, Probe
from deadreckon.models.api.reply import Spoilt
from deadreckon.models.api.request import Endpoint
from deadreckon.models.api.sender import Sender

Check = Callable[[Probe], Seen]

REPLIES: dict[str, Check] = {
    "model": replies.model,
    "errors": replies.errors,
    "max_tokens": replies.max_tokens,
    "finish reason": replies.finish_reason,
    "stop": replies.stop,
    "every stop": replies.every_stop,
    "usage": replies.usage,
    "whole prompt": replies.whole_prompt,
    "whole text": replies.whole_text,
    "characters": replies.characters,
    "spaces": replies.spaces,
}
ENDPOINT: dict[Endpoint, dict[str, Check]] = {
    "chat": {"template": replies.template, "system": replies.system, "turns": replies.turns},
    "completions": {"begin": replies.begin},
}
DRAWN: dict[str, Check] = {
    "draws differ": draws.draws_differ,
    "fresh draws": draws.fresh_draws,
    "temperature": draws.temperature,
    "greedy": draws.greedy,
    "seed": draws.seed,
    "n": draws.several,
    "n differ": draws.several_differ,
    "same in a crowd": draws.in_a_crowd,
}
LOGPROBS: dict[str, Check] = {
    "logprobs": laws.logprobs,
    "a logprob a token": laws.a_token,
    "chosen token": laws.chosen,
    "best token": laws.best,
    "no penalty": laws.no_penalty,
    "mass": laws.total,
    "top count": laws.count,
    "top order": laws.order,
    "same at any count": laws.any_count,
    "meaning": laws.meaning,
    "draws follow logprobs": partial(draws.follows, temperature=1.0),
}
ECHO: dict[str, Check] = {"echo": laws.echo, "echo aligned": laws.echo_aligned}

TRIES = 3
ONCE = {"draws differ", "fresh draws", "temperature", "greedy", "seed", "same in a crowd", "draws follow logprobs"}


def checks_for(endpoint: Endpoint) -> dict[str, Check]:
    """Every check of an endpoint."""
    return REPLIES | ENDPOINT[endpoint] | DRAWN | LOGPROBS | ECHO


def examine(sender: Sender, model: str, endpoint: Endpoint, checks: dict[str, Check]) -> Contract:
    """Make these checks. ServerRefused.

    A reply's own fields may be spoilt in passing: a check of them fails where it fails `TRIES` times, on new replies.
    """
    sender.models = frozenset()
    with ThreadPoolExecutor(8) as pool:
        probe = Probe(sender, model, endpoint, pool)
        seen: dict[str, Seen] = {}
        for name, check in checks.items():
            if name in LOGPROBS | ECHO and name != "logprobs" and probe.told is None:
                continue
            seen[name] = _made(check, probe)
            for _ in range(TRIES - 1):
                if seen[name].status is not Status.FAIL or name in ONCE:
                    break
                probe = Probe(sender, model, endpoint, pool)
                seen[name] = _made(check, probe)
            if seen[name].status is Status.FAIL and name in sender.wire.may_drop:
                seen[name] = no(sender.wire.may_drop[name])
    return Contract(sender.wire.url, model, endpoint, seen, _facts(probe, seen))


def _made(check: Check, probe: Probe) -> Seen:
    try:
        return check(probe)
    except Spoilt as spoilt:
        return fail(f"no usable reply ({spoilt.code})")
    except IndexError:
        return fail("a reply without samples or tokens")


def _facts(probe: Probe, seen: dict[str, Seen]) -> dict[str, str]:
    """What a run takes from the contract."""
    told = probe.told
    whole = told is not None and probe.listed >= WHOLE
    top = "no log-probabilities" if told is None else "the whole law" if whole else f"top-{told}"
    meaning = seen["meaning"].saw if "meaning" in seen and seen["meaning"].status is Status.OK else ""
    return {
        "says": probe.greedy.model,
        "seed": "taken" if probe.seeds else "refused",
        "top": top,
        "logprobs": meaning,
        "fingerprint": probe.greedy.fingerprint,
    }


def endpoints(sender: Sender, model: str) -> list[Endpoint]:
    """The endpoints that answer for this model. ServerRefused: none does."""
    known: Sequence[Endpoint] = ("chat", "completions")
    with ThreadPoolExecutor(1) as pool:
        found: list[Endpoint] = [one for one in known if Probe(sender, model, one, pool).exists]
    if not found:
        listed = ", ".join(sender.wire.models()[:20]) or "none it tells of"
        raise ServerRefused(f"{sender.wire.url} does not answer for {model!r}: its models are {listed}")
    return found


def doctor(sender: Sender, model: str, only: Sequence[Endpoint] = ()) -> list[Contract]:
    """Every check on each endpoint that answers. ServerRefused."""
    return [examine(sender, model, one, checks_for(one)) for one in only or endpoints(sender, model)]


def settle(sender: Sender, model: str, endpoint: Endpoint, temperature: float, *, score: bool) -> Contract:
    """What a run needs before it begins. BrokenContract, ServerRefused."""
    needed = relied_on([*CORE, *(DRAWS if temperature > 0.0 else ())], endpoint)
    names = [*needed, "seed", "n", *LOGPROBS, *(ECHO if score else ())]
    checks = {name: check for name, check in checks_for(endpoint).items() if name in names}
    if "temperature" in checks:
        checks["temperature"] = partial(draws.temperature, asked=temperature)
    found = examine(sender, model, endpoint, checks)
    broken = found.failed(needed)
    if score:
        broken += found.failed((*LAWS, *ECHO), (Status.FAIL, Status.NO)) or ([] if found.passed(*ECHO) else ["echo"])
    if broken:
        saw = found.checks[broken[0]].saw if broken[0] in found.checks else "no log-probabilities"
        raise BrokenContract(
            f"{sender.wire.url} fails {broken[0]!r} ({saw}), which this run takes for granted:"
            f" see {sender.wire.doctor(model)}"
        )
    return found

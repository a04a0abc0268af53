"""Checks of log-probabilities: complete, aligned, in nats, and of the law that is drawn from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from deadreckon.models.api.contract import Seen, fail, judged, no, ok, unknown
from deadreckon.models.api.probe import OTHER, PIECE, PROMPT, WHOLE, Probe, by_text, gap, mass
from deadreckon.models.api.reply import Spoilt, Token, covers

NEAR = 0.05  # nats: rounding, and batches in low precision
MOST = 1.001  # of a sum of probabilities


def logprobs(probe: Probe) -> Seen:
    """Asked for, they are there."""
    if probe.top is None:
        return no("log-probabilities are refused")
    return judged(probe.told is not None, "", "log-probabilities are asked for, taken, and not given")


def a_token(probe: Probe) -> Seen:
    """One log-probability a token, and the tokens make up the text."""
    for sample in (probe.greedy.samples[0], *probe.draws):
        if not covers(sample):
            return fail("the tokens with log-probabilities do not make up the text")
    heard = probe.greedy
    count = len(heard.samples[0].tokens)
    short = heard.samples[0].finish == "length" and 0 < count < min(heard.tokens, 24)
    return judged(not short, "", f"{count} log-probabilities for {heard.tokens} tokens")


def chosen(probe: Probe) -> Seen:
    """A chosen token's log-probability is the one it has among the most likely."""
    for sample in (probe.greedy.samples[0], *probe.draws):
        for token in sample.tokens:
            listed = [logp for text, logp in token.top if text == token.text]
            if listed and PIECE not in token.text and min(abs(logp - token.logp) for logp in listed) > NEAR:
                return fail(f"a token has {token.logp:.3f} by itself and {listed[0]:.3f} among the most likely")
    return ok()


def best(probe: Probe) -> Seen:
    """At temperature 0 the most likely token is taken, and it is in the list."""
    for token in probe.greedy.samples[0].tokens:
        if token.top and max(logp for _, logp in token.top) < token.logp - NEAR:
            return fail("the most likely token is not among the most likely")
        if token.top and max(logp for _, logp in token.top) > token.logp + NEAR:
            return fail("at temperature 0 a token is taken that is not the most likely")
        if token.top and token.text not in dict(token.top) and not token.text.startswith("<"):
            return fail("the token taken is not in the list of the most likely")
    return ok()


def no_penalty(probe: Probe) -> Seen:
    """Tokens are drawn from the law that is listed: at temperature 0, no token is passed over for a less likely one.

    A penalty on repeats that a server adds by itself changes the model that is measured, at any temperature.
    """
    listed = 0
    for token in probe.greedy.samples[0].tokens:
        law = by_text(token.top)
        if PIECE in token.text or token.text not in law:
            continue
        listed += 1
        above = max(law.values()) - law[token.text]
        if above > NEAR:
            return fail(f"at temperature 0 a token is taken that is {above:.2f} nats below the most likely")
    return ok(f"{listed} tokens") if listed else unknown("no list to tell by")


def total(probe: Probe) -> Seen:
    """Probabilities sum to at most 1."""
    sums = [mass(logp for _, logp in t.top) for s in (probe.greedy.samples[0], *probe.draws) for t in s.tokens]
    most = max([mass(probe.law.values()), *sums])
    return judged(most <= MOST, "", f"the probabilities listed sum to {most:.3f}")


def count(probe: Probe) -> Seen:
    """As many are listed as asked for, unless there are no more."""
    asked = probe.told or 0
    if asked == 0:
        return no("the chosen token's alone")
    top, held = probe.top_list, probe.listed
    short = len(top) < asked and held < WHOLE
    return judged(
        not short, f"{len(top)} of mass {held:.3f}", f"{asked} asked for, {len(top)} listed, of mass {held:.2f}"
    )


def order(probe: Probe) -> Seen:
    """The most likely come first."""
    for token in probe.greedy.samples[0].tokens:
        values = [logp for _, logp in token.top]
        if any(b > a + 1e-6 for a, b in pairwise(values)) and probe.endpoint == "chat":
            return fail("the list is not in order")
    return ok()


def any_count(probe: Probe) -> Seen:
    """A log-probability does not depend on how many are asked for."""
    if (probe.told or 0) < 2:
        return unknown("no list to compare")
    few = by_text(probe.ask(probe.request(max_tokens=1, temperature=1.0, logprobs=2)).samples[0].tokens[0].top)
    apart = gap(few, probe.law)
    return judged(not apart > NEAR, "", f"2 asked for and {probe.told} asked for differ by {apart:.2f} nats")


def meaning(probe: Probe) -> Seen:
    """Before or after temperature: the law reported at temperature 2 is the one at 1, or its square root."""
    cold, hot = probe.law, probe.first_law(temperature=2.0)
    if len(cold.keys() & hot.keys()) < 2:
        return unknown("no list to compare")
    if gap(cold, hot) < NEAR:
        return ok("before temperature")
    base = max(cold.keys() & hot.keys(), key=lambda t: cold[t])
    ratios = {t: hot[t] - hot[base] - (cold[t] - cold[base]) / 2.0 for t in cold.keys() & hot.keys() if cold[t] > -30.0}
    worst = max(map(abs, ratios.values()))
    return judged(worst < 2 * NEAR, "after temperature", "neither before nor after temperature")


def echo(probe: Probe) -> Seen:
    """Completions: the prompt comes back, with log-probabilities of its tokens."""
    if probe.endpoint == "chat":
        return no("a chat endpoint has no echo")
    if probe.told is None:
        return no("no log-probabilities")
    try:
        sample = probe.ask(probe.request(max_tokens=1, logprobs=1, echo=True)).samples[0]
    except Spoilt:
        return no("echo with log-probabilities is refused")
    if not sample.text.startswith(PROMPT):
        return fail("echo is asked for, taken, and not given")
    numbers = [token.logp for token in sample.tokens[1:-1]]
    known = len(numbers) > 1 and all(map(math.isfinite, numbers))
    return judged(known, f"{len(numbers) + 1} tokens", "the prompt's tokens have no log-probabilities")


def echo_aligned(probe: Probe) -> Seen:
    """A token has the same log-probability written by the model and echoed to it, and another after another prompt."""
    if echo(probe).status.value != "ok":
        return no("no echo")
    for text, written in _written(probe):
        told = _echoed(probe, PROMPT + text)[-len(written) :]
        if [t.text for t in told] == [t.text for t in written]:
            break
    else:
        return unknown("texts are cut into other tokens when they are echoed")
    apart = max(abs(a.logp - b.logp) for a, b in zip(written, told, strict=True))
    if not apart <= NEAR:
        return fail(f"the same tokens differ by {apart:.2f} nats when echoed: shifted, or of another law")
    other = [t.logp for t in _echoed(probe, OTHER + text)[-len(written) :]]
    same = other == [t.logp for t in told]
    return judged(not same, f"{len(written)} tokens agree", "echoed log-probabilities do not depend on the prompt")


def _written(probe: Probe) -> Iterator[tuple[str, tuple[Token, ...]]]:
    """Some short texts of the model's own after the prompt."""
    few = probe.request(max_tokens=4, logprobs=1)
    for i in range(-1, 8):
        drawn = few if i < 0 else replace(few, temperature=1.0, seed=probe.seed(200 + i))
        tokens = probe.ask(drawn).samples[0].tokens
        if tokens and not any(PIECE in t.text or t.text.startswith("<") for t in tokens):
            yield "".join(t.text for t in tokens), tokens


def _echoed(probe: Probe, text: str) -> tuple[Token, ...]:
    """The text's tokens, echoed."""
    return probe.ask(probe.request(text, max_tokens=1, logprobs=1, echo=True)).samples[0].tokens[:-1]

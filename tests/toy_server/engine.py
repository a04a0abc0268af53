"""Generation as servers do it: temperature, top_p, stop strings, log-probabilities, and the ways to get them wrong."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from toy_server.laws import ASSISTANT, BEGIN, END, SYSTEM, USER, Law, Probs, rng_of

Body = dict[str, Any]


@dataclass(frozen=True)
class Manners:
    """How an honest server may differ from another, and the defects of a dishonest one."""

    semantics: str = "pre"  # log-probabilities before or after temperature
    most_top: int = 10_000  # more is refused with status 400
    logprobs: bool = True  # False: refused with status 400
    echo: bool = True
    seeds: bool = True
    many: bool = True  # n > 1
    stop_in_logprobs: bool = True
    completions: bool = True
    alias: str = ""  # a longer name that the server gives the model: "toy" is echoed as "toy-2026-01-01"
    defects: frozenset[str] = frozenset()

    def bad(self, name: str) -> bool:
        """Whether it has this defect."""
        return name in self.defects


@dataclass
class Drawn:
    """One sample."""

    ids: list[int] = field(default_factory=list)
    laws: list[Probs] = field(default_factory=list)  # as reported
    text: str = ""
    finish: str = "length"


def heated(law: Probs, temperature: float) -> Probs:
    """p^(1/T), normalised; T = 0 is the limit, the first of the most likely."""
    if temperature == 1.0:
        return law
    if temperature <= 0.0:
        best = max(law, key=lambda i: law[i])
        return {i: float(i == best) for i in law}
    logs = {i: math.log(p) / temperature for i, p in law.items() if p > 0.0}
    top = max(logs.values())
    weights = {i: math.exp(value - top) for i, value in logs.items()}
    total = sum(weights.values())
    return {i: w / total for i, w in weights.items()}


def truncated(law: Probs, top_p: float, top_k: int) -> Probs:
    """The nucleus of mass top_p among the top_k most likely, normalised."""
    if top_p >= 1.0 and top_k <= 0:
        return law
    ranked = sorted(law, key=lambda i: -law[i])[: top_k if top_k > 0 else None]
    kept, mass = [], 0.0
    for i in ranked:
        kept.append(i)
        mass += law[i]
        if mass >= top_p:
            break
    total = sum(law[i] for i in kept)
    return {i: law[i] / total for i in law if i in kept}


class Engine:
    """A law behind the parameters of a request."""

    def __init__(self, law: Law, manners: Manners):
        """No state is kept between requests."""
        self.law, self.manners = law, manners

    def template(self, messages: Sequence[Body]) -> list[int]:
        """The chat as tokens, ended by the assistant's mark."""
        bad = self.manners.bad
        ids: list[int] = [BEGIN, BEGIN] if bad("begin_twice") else [BEGIN]
        if bad("last_message_only"):
            messages = messages[-1:]
        for message in messages:
            role = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}[message["role"]]
            if role == SYSTEM and bad("system_dropped"):
                continue
            ids += [role, *self.law.vocabulary.encode(self.heard(message["content"])), END]
        if bad("template_twice"):
            shown = "".join(map(self.law.vocabulary.text, ids))
            ids = [BEGIN, USER, *self.law.vocabulary.encode(shown), END]
        return [*ids, ASSISTANT]

    def heard(self, text: str) -> str:
        """The prompt as it reaches the model."""
        bad = self.manners.bad
        if bad("prompt_stripped"):
            text = text.strip()
        if bad("not_ascii_lost"):
            text = text.encode("ascii", "replace").decode()
        return text

    def sample(self, prompt: str, context: Sequence[int], body: Body, index: int, crowd: int) -> Drawn:
        """One sample. `crowd`: requests in flight, this one included."""
        bad, vocabulary = self.manners.bad, self.law.vocabulary
        temperature = self._temperature(float(body.get("temperature", 1.0)))
        top_p, top_k = float(body.get("top_p", 1.0)), int(body.get("top_k", 0))
        most = int(body.get("max_tokens", 16))
        most = {True: most + 1, False: most}[bad("one_token_more")]
        most = max(most, 8) if bad("max_tokens_ignored") else most
        rng = self._rng(prompt, context, body, index)
        out, stops = Drawn(), self._stops(body)
        context = list(context)[-60:] if bad("prompt_truncated") else list(context)
        for _ in range(most):
            law = self.law.next(prompt, [*context, *out.ids], out.text)
            if bad("batch_drift") and crowd > 1:
                drift = {i: p * (1.0 + 0.5 * rng.random()) for i, p in law.items()}
                law = {i: p / sum(drift.values()) for i, p in drift.items()}
            asked = law
            if bad("repeats_penalised"):
                lower = {i: p * (0.2 if i in (*context, *out.ids) else 1.0) for i, p in law.items()}
                asked = {i: p / sum(lower.values()) for i, p in lower.items()}
            hot = heated(asked, temperature)
            cut = truncated(hot, 0.5 if bad("top_p_forced") else top_p, top_k)
            token = rng.choices(list(cut), list(cut.values()))[0]
            reported = hot if self.manners.semantics == "post" and temperature > 0.0 else law
            out.laws.append(truncated(reported, 0.8, 0) if bad("logprobs_truncated") else reported)
            out.ids.append(token)
            if token == END:
                out.finish = "stop"
                break
            out.text += vocabulary.text(token)
            found = [out.text.find(s) + (len(s) if bad("stop_kept") else 0) for s in stops if s in out.text]
            if found:
                out.text, out.finish = out.text[: min(found)], "stop"
                break
        return self._tell(out)

    def _temperature(self, asked: float) -> float:
        bad = self.manners.bad
        if bad("temperature_ignored"):
            return 0.0
        if bad("temperature_always_1"):
            return 1.0
        return asked / 2.0 if bad("temperature_halved") else asked

    def _rng(self, prompt: str, context: Sequence[int], body: Body, index: int) -> random.Random:
        bad, seed = self.manners.bad, body.get("seed")
        place = (tuple(context), index)
        if bad("one_seed"):
            return rng_of(1234, index)
        if bad("same_samples"):
            return rng_of(seed, tuple(context))
        if bad("replies_cached") and seed is None:
            return rng_of(place)
        return random.Random() if seed is None or bad("seed_ignored") else rng_of(seed, place)

    def _stops(self, body: Body) -> list[str]:
        bad, stops = self.manners.bad, body.get("stop") or []
        stops = [stops] if isinstance(stops, str) else list(stops)
        if bad("stop_ignored"):
            return []
        return stops[:1] if bad("first_stop_alone") else stops

    def _tell(self, out: Drawn) -> Drawn:
        bad = self.manners.bad
        if bad("text_stripped"):
            out.text = out.text.strip()
        if bad("always_stop"):
            out.finish = "stop"
        if bad("always_length"):
            out.finish = "length"
        if not self.manners.stop_in_logprobs and out.finish == "stop":
            kept = len(out.text)
            while out.ids and len("".join(self.law.vocabulary.text(i) for i in out.ids if i != END)) > kept:
                out.ids.pop(), out.laws.pop()
            if out.ids and out.ids[-1] == END:
                out.ids.pop(), out.laws.pop()
        return out

    # --- Log-probabilities ------------------------------------------------------------------------------

    def logp(self, law: Probs, token: int) -> float:
        """Nats, in the server's manner."""
        bad, p = self.manners.bad, max(law.get(token, 0.0), 1e-30)
        if bad("logprobs_base_2"):
            return math.log2(p)
        if bad("logprobs_base_10"):
            return math.log10(p)
        if bad("probabilities"):
            return p
        if bad("logprobs_unnormalised"):
            return math.log(p) + 1.5
        return math.log(p)

    def top(self, law: Probs, k: int) -> list[tuple[int, float]]:
        """The k most likely tokens."""
        bad = self.manners.bad
        if bad("top_few"):
            k = min(k, 5)
        if bad("logprobs_by_count"):
            law = truncated(law, 1.0, max(k, 1)) if k else law
        ranked = sorted(law, key=lambda i: -law[i])[:k]
        if bad("top_unsorted"):
            ranked = ranked[1:] + ranked[:1]
        if bad("top_without_best"):
            ranked = sorted(law, key=lambda i: -law[i])[1 : k + 1]
        return [(i, self.logp(law, i)) for i in ranked]

    def echo_laws(self, ids: Sequence[int]) -> list[Probs | None]:
        """The law before each token of a prompt, None before the first."""
        text, laws = "", [None]  # type: tuple[str, list[Probs | None]]
        for j in range(1, len(ids)):
            text += self.law.vocabulary.text(ids[j - 1])
            laws.append(self.law.next(text, [BEGIN, *ids[:j]], ""))
        return laws

"""Checks of sampling: that draws are draws, from the law and at the temperature asked for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from deadreckon.models.api.contract import Seen, Status, fail, judged, no, ok, unknown
from deadreckon.models.api.probe import Probe, entropy, heated, log_likelihood, mass, nucleus

DECIDED = 8.0  # nats: under an honest server a rival is so much likelier with probability e^-8 at most
DRAWS, MOST_DRAWS = 64, 256
LEAST_ENTROPY = 0.3  # nats of the first token, to tell laws apart by
RIVALS = (0.25, 0.5, math.log(2), 1 / math.log(2), 2.0, 4.0)  # times the temperature asked for
LUCK = 1e-3  # chance that a server which ignores seeds seems to honour them
SEEDS = (6, 12, 24, 48, 96, 192)  # asked twice, round by round
ONE_TEXT = 24  # draws before they are called one text: all are one of probability 0.75 once in 1,000
NUCLEI = (0.5, 0.8, 0.9)


def draws_differ(probe: Probe) -> Seen:
    """Draws at temperature 1 with different seeds are not all one text."""
    texts = [sample.text for sample in probe.draws]
    if len(set(texts)) == 1:
        texts = [sample.text for sample in probe.drawn(ONE_TEXT)]
    told = f"{len(set(texts))} texts in {len(texts)}"
    return judged(len(set(texts)) > 1, told, f"{ONE_TEXT} draws at temperature 1 with {ONE_TEXT} seeds are one text")


def fresh_draws(probe: Probe) -> Seen:
    """The same request without a seed is drawn anew."""
    anew = probe.request(temperature=1.0, seed=None)
    texts: set[str] = set()
    for count in (4, ONE_TEXT - 4):
        texts |= {heard.samples[0].text for heard in probe.ask_all([anew] * count)}
        if len(texts) > 1:
            return ok()
    return fail(f"{ONE_TEXT} draws of one request without a seed are one text: a cache, or a fixed seed")


def greedy(probe: Probe) -> Seen:
    """Temperature 0 gives one text."""
    again = [probe.ask(probe.request(seed=probe.seed(i))).samples[0].text for i in range(4)]
    differ = sum(text != probe.greedy.samples[0].text for text in again)
    return judged(not differ, "", f"{differ} of 4 repeats at temperature 0 are another text")


def seed(probe: Probe) -> Seen:
    """The same seed gives the same draw, for so many seeds that a server which ignores them would hardly do so.

    Each seed is asked twice, in rounds that double their number, until two draws of one seed differ or chance is out.
    """
    if not probe.seeds:
        return no("seeds are refused")
    first: list[str] = []
    for count in SEEDS:
        new, again = probe.drawn(count)[len(first) :], probe.seeded(range(len(first), count))
        differ = sum(now.text != before.text for now, before in zip(again, new, strict=True))
        if differ:
            return fail(f"{differ} of {len(new)} seeds give another draw when they are asked again")
        first += [sample.text for sample in new]
        if alike_by_chance(first) <= LUCK / len(SEEDS):
            return ok(f"{count} seeds give the same draws when they are asked again")
        if len(set(first)) == 1 and count >= ONE_TEXT:
            break
    return unknown("draws of different seeds are too much alike to tell by")


def alike_by_chance(texts: Sequence[str]) -> float:
    """The chance that these texts, each drawn twice from one law, meet their likes when they are paired at random.

    Exact whatever the law, given which texts came: of the (2n - 1)!! ways to pair 2n draws, the product over the texts
    of (2k - 1)!! pair only likes, k the times a text is given.
    """
    return math.exp(sum(map(_log_pairings, Counter(texts).values())) - _log_pairings(len(texts)))


def _log_pairings(n: int) -> float:
    """ln (2n - 1)!!: of the ways to pair 2n."""
    return math.lgamma(2 * n + 1) - math.lgamma(n + 1) - n * math.log(2)


def several(probe: Probe) -> Seen:
    """n = 4 gives four samples, numbered."""
    request = probe.request(temperature=1.0, n=4)
    if not probe.takes(request):
        return no("n > 1 is refused")
    numbers = [sample.index for sample in probe.ask(request).samples]
    if len(numbers) != 4:
        return fail(f"4 samples asked for, {len(numbers)} given")
    return judged(numbers == [0, 1, 2, 3], "", f"samples numbered {numbers}")


def several_differ(probe: Probe) -> Seen:
    """The samples of one request are drawn apart."""
    if several(probe).status is not Status.OK:
        return unknown("n > 1 does not work")
    for i in range(ONE_TEXT // 4):
        heard = probe.ask(probe.request(temperature=1.0, n=4, seed=probe.seed(300 + i)))
        if len({sample.text for sample in heard.samples}) > 1:
            return ok()
    return fail(f"the 4 samples of a request are one text, in {ONE_TEXT // 4} requests")


def in_a_crowd(probe: Probe) -> Seen:
    """The greedy text does not depend on what else the server is doing."""
    if greedy(probe).status is not Status.OK:
        return unknown("temperature 0 alone gives several texts")
    heard = probe.ask_all([probe.request()] * 8)
    differ = sum(h.samples[0].text != probe.greedy.samples[0].text for h in heard)
    return judged(not differ, "", f"{differ} of 8 greedy texts differ when asked at once")


def follows(probe: Probe, temperature: float) -> Seen:
    """First tokens are drawn from the reported law at this temperature, rather than from a rival law.

    Rivals: other temperatures (a log-probability to base 2 looks like one) and nuclei. For draws x from the law p and
    any rival q, P(sum log q(x) - log p(x) ever > c) <= e^-c (Ville's inequality), so that one may look after every
    `DRAWS` draws; c = 8 decides. It ends early once the law is ahead of half and twice the temperature by as much.
    """
    law = probe.law
    if not law or mass(law.values()) < 0.5:
        return unknown("too little of the law is reported to tell by")
    asked = heated(law, temperature)
    if entropy(asked) < LEAST_ENTROPY:
        return unknown(f"the first token's law has {entropy(asked):.2f} nats: too sure of itself to tell by")
    rivals = {f"temperature {temperature * x:.2g}": heated(law, temperature * x) for x in RIVALS}
    near = [rivals[f"temperature {temperature * x:.2g}"] for x in (0.5, 2.0)]
    rivals |= {f"top_p {p:g}": nucleus(asked, p) for p in NUCLEI if mass(law.values()) > 0.999 or p <= 0.5}
    for count in range(DRAWS, MOST_DRAWS + 1, DRAWS):
        drawn = [sample.tokens[0] for sample in probe.first_tokens(temperature, count) if sample.tokens]
        impossible = sum(token.logp < -20.0 for token in drawn)
        if impossible > count // 32:
            return fail(f"{impossible} of {len(drawn)} draws have a reported probability below 2e-9: truncated")
        texts = [token.text for token in drawn if token.text in law]
        if len(texts) < count // 8:
            return unknown("most draws are not among the tokens reported")
        own = log_likelihood(asked, texts)
        name = max(rivals, key=lambda r: log_likelihood(rivals[r], texts))
        lead = log_likelihood(rivals[name], texts) - own
        if lead > DECIDED:
            return fail(f"{len(texts)} draws are e^{lead:.0f} times likelier at {name}")
        if all(own - log_likelihood(rival, texts) > DECIDED for rival in near):
            break
    return ok(f"{len(texts)} draws")


def temperature(probe: Probe, asked: float = 2.0) -> Seen:
    """A temperature other than 1 is honoured."""
    differ = draws_differ(probe)
    if differ.status is not Status.OK:
        return differ
    return ok("draws differ; no log-probabilities to tell more by") if probe.told is None else follows(probe, asked)

"""Ways of running a model. A scaffold is a generator of a few lines: it yields Asks and returns a Turn.

It never sees a state, a world or a model, so it can be tested with strings alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from dataclasses import replace

from deadreckon.contracts import Ask, Reply, Scaffold, Turn, View
from deadreckon.errors import BadOption, UnknownName
from deadreckon.specs import parse_spec, read_options

Steps = Generator[Ask, Reply, Turn]


def _act(view: View, text: str, *, ask: int = 0, n: int = 1) -> Ask:
    key = replace(view.key, ask=ask) if ask else view.key
    return Ask(text, key, n, view.width, view.temperature, (view.end,))


def plain(view: View) -> Steps:
    """The next action, nothing else."""
    reply = yield _act(view, view.text)
    return Turn(reply.texts[0], logp=reply.logps[0], entropy=reply.entropies[0])


def monologue(view: View) -> Steps:
    """Write the tracked state, then act on it."""
    thinking = Ask(view.text, view.key, 1, view.belief_width, view.temperature, (view.belief_end,), "think")
    belief = yield thinking
    thought = belief.texts[0] + view.belief_end
    reply = yield _act(view, view.text + thought, ask=1)
    return Turn(
        reply.texts[0],
        thought,
        belief.texts[0],
        logp=reply.logps[0],
        entropy=reply.entropies[0],
        thought_logp=belief.logps[0],
    )


def filler(view: View) -> Steps:
    """As many symbols as a monologue that carry nothing: the control that separates state from mere length."""
    reply = yield _act(view, view.text + view.filler, ask=1)
    return Turn(reply.texts[0], view.filler, logp=reply.logps[0], entropy=reply.entropies[0], written=view.belief_width)


def vote(k: int) -> Scaffold:
    """The most frequent of k samples (ties: the one drawn first); confidence = its share of the votes."""

    def scaffold(view: View) -> Steps:
        reply = yield _act(view, view.text, n=k)
        votes = Counter(reply.texts)
        action, most = votes.most_common(1)[0]
        return Turn(action, confidence=most / k)

    return scaffold


SIMPLE: dict[str, Scaffold] = {"plain": plain, "monologue": monologue, "filler": filler}


def scaffold_lines() -> dict[str, str]:
    """The names `load_scaffold` knows, with a line about each."""
    known = {**SIMPLE, "vote": vote}
    return {name: (scaffold.__doc__ or "").partition("\n")[0] for name, scaffold in known.items()}


def load_scaffold(spec: str) -> Scaffold:
    """`plain`, `monologue`, `filler` or `vote:k=5`. UnknownName, BadOption."""
    name, options = parse_spec(spec)
    if name in SIMPLE:
        read_options(name, options, {})
        return SIMPLE[name]
    if name != "vote":
        raise UnknownName("scaffold", name, scaffold_lines())
    k = read_options("vote", options, {"k": int}).get("k", 5)
    if not 1 <= k <= 1000:
        raise BadOption(f"vote k={k}: give 1 to 1000 samples")
    return vote(k)

"""Checks of what a reply says of itself, and of what reaches the model."""

from __future__ import annotations

from deadreckon.errors import ServerRefused
from deadreckon.models.api.contract import Seen, fail, judged, no, ok, suspect, unknown
from deadreckon.models.api.probe import OTHER, PIECE, PROMPT, TOKENS, Probe, gap
from deadreckon.models.api.reply import Sample, Spoilt, same_model

ABSENT = "\u2603\u2603"  # a stop string that will not be written
FAR = "Attend to the word that comes first. " + "Then the list goes on, and on, and on, with nothing new in it. " * 12


def model(probe: Probe) -> Seen:
    """The reply names the model that was asked for."""
    said = probe.greedy.model
    return judged(same_model(probe.model, said), said, f"asked {probe.model!r}, the reply is of {said!r}")


def errors(probe: Probe) -> Seen:
    """A request it cannot answer has an error's status."""
    try:
        probe.ask(probe.request(model="no-such-model-7c1", max_tokens=1))
    except ServerRefused:
        return ok("an unknown model is refused")
    except Spoilt as spoilt:
        wrong = spoilt.code == "error_with_200"
        return fail("an error with status 200") if wrong else ok("an unknown model is refused")
    return no("answers to any model's name")


def max_tokens(probe: Probe) -> Seen:
    """One token asked for is one token; more is a longer text that begins the same."""
    one = probe.ask(probe.request(max_tokens=1, logprobs=probe.few))
    sample, whole = one.samples[0], probe.greedy.samples[0].text
    count = max(len(sample.tokens), one.tokens)
    if count > 1:
        return fail(f"1 token asked for, {count} given")
    return judged(
        len(sample.text) < len(whole) or len(whole) <= 1, "", f"1 token asked for, {len(sample.text)} characters given"
    )


def finish_reason(probe: Probe) -> Seen:
    """`length` where max_tokens ended the text, `stop` where a stop string did."""
    cut = probe.ask(probe.request(max_tokens=2)).samples[0]
    if cut.finish != "length":
        return fail(f"'length' is due after 2 of 2 tokens, it says {cut.finish or 'nothing'!r}")
    stop = _stop(probe)
    if stop is None:
        return unknown("the greedy text is too short")
    ended = probe.ask(probe.request(stop=(stop,))).samples[0]
    return judged(ended.finish == "stop", "", f"'stop' is due at a stop string, it says {ended.finish or 'nothing'!r}")


def _stop(probe: Probe) -> str | None:
    """A piece from within the greedy text."""
    text = probe.greedy.samples[0].text
    pieces = (text[i : i + 2] for i in range(len(text) // 3, len(text) - 2))
    return next((p for p in pieces if p.isascii() and p.isprintable() and p.strip() == p and text.find(p) > 0), None)


def stop(probe: Probe, before: tuple[str, ...] = ()) -> Seen:
    """The text ends before the stop string."""
    piece, text = _stop(probe), probe.greedy.samples[0].text
    if piece is None:
        return unknown("the greedy text is too short")
    got = probe.ask(probe.request(stop=(*before, piece))).samples[0].text
    if piece in got:
        return fail(f"the stop string {'ends' if got.endswith(piece) else 'is in'} the text")
    due = text[: text.find(piece)]
    same = got.rstrip() == due.rstrip()
    return ok() if same else suspect("the text before the stop string is another than without it")


def every_stop(probe: Probe) -> Seen:
    """The second of two stop strings ends the text too."""
    return stop(probe, (ABSENT,))


def usage(probe: Probe) -> Seen:
    """Tokens written are counted, as many as there are log-probabilities or as max_tokens allow."""
    heard = probe.greedy
    if min(heard.tokens, heard.prompt_tokens) < 0:
        return fail("no usage")
    counts = {len(s.tokens) for s in heard.samples if s.tokens}
    due = {TOKENS} if heard.samples[0].finish == "length" else counts | {n + 1 for n in counts}
    if due and heard.tokens not in due:
        return fail(f"{heard.tokens} tokens written by usage, {max(due)} in fact")
    if heard.tokens == 0 and heard.samples[0].text:
        return fail("0 tokens written by usage, with a text")
    if heard.total >= 0 and heard.total != heard.tokens + heard.prompt_tokens:
        return fail(f"total {heard.total}, prompt {heard.prompt_tokens} + written {heard.tokens}")
    return ok(f"{heard.prompt_tokens} + {heard.tokens} tokens")


def _reaches(probe: Probe, a: str, b: str, lost: str) -> Seen:
    """Two prompts that differ must give laws that differ."""
    if probe.told is None:
        return unknown("no log-probabilities to tell by")
    apart = gap(probe.first_law(a), probe.first_law(b))
    return fail(lost) if apart < 1e-9 else ok()


def whole_prompt(probe: Probe) -> Seen:
    """The beginning of a long prompt makes a difference."""
    return _reaches(probe, "river " + FAR, "stone " + FAR, f"the beginning of {len(FAR) // 6} words is cut off")


def characters(probe: Probe) -> Seen:
    """Characters outside ASCII reach the model."""
    return _reaches(
        probe, f"na\u00efve \u6f22\u5b57 {PROMPT}", f"na?ve ?? {PROMPT}", "characters outside ASCII are replaced"
    )


def spaces(probe: Probe) -> Seen:
    """A newline at the prompt's end reaches the model; chat templates often drop it."""
    seen = _reaches(probe, f"{PROMPT}\n", PROMPT, "space at the ends of the prompt is dropped")
    return no(seen.saw) if probe.endpoint == "chat" and seen.status.value == "fail" else seen


def whole_text(probe: Probe) -> Seen:
    """Space at the ends of a text is kept: the text is what its tokens say."""
    if probe.told is None:
        return unknown("no log-probabilities to tell by")
    for sample in (*probe.draws, *_spaced(probe)):
        pieces = any(PIECE in t.text or t.text.startswith("bytes:") for t in sample.tokens)
        text, told = sample.text, sample.joined
        if not pieces and text != told and text.strip() == told.strip() and not _special(sample.tokens[-1].text):
            return fail("space at the ends of the text is dropped")
    return ok()


def _special(text: str) -> bool:
    return text.startswith("<") and text.endswith(">")


def _spaced(probe: Probe) -> list[Sample]:
    """The greedy text and the draws, cut after a token that ends in space."""
    some = []
    for i, sample in enumerate([probe.greedy.samples[0], *(probe.draws if probe.seeds else ())]):
        heat, seed = (0.0, probe.seed(0)) if i == 0 else (1.0, probe.seed(i - 1))
        ends = [j for j, token in enumerate(sample.tokens) if token.text and token.text[-1].isspace()][:1]
        some += [probe.request(max_tokens=j + 1, temperature=heat, seed=seed, logprobs=probe.few) for j in ends]
    return [heard.samples[0] for heard in probe.ask_all(some)]


def begin(probe: Probe) -> Seen:
    """Completions: at most one token is put before the prompt (usage of a text and of the text twice)."""
    line = "river stone lamp\n"
    once, twice = (probe.ask(probe.request(line * n, max_tokens=1)).prompt_tokens for n in (8, 16))
    if min(once, twice) < 0:
        return unknown("no usage")
    extra = 2 * once - twice
    return judged(
        extra <= 1, f"{extra} before the prompt", f"{extra} tokens before the prompt: the begin token is there twice"
    )


def template(probe: Probe) -> Seen:
    """Chat: the template is applied once: its tokens are no more than those of one more turn account for."""
    turn = (("user", "a"), ("assistant", "a"))
    sizes = [probe.ask(probe.request(messages=(*turn * n, turn[0]), max_tokens=1)).prompt_tokens for n in (0, 1)]
    if min(sizes) < 0:
        return unknown("no usage")
    told = [("system", "a"), *turn[:1]]
    with_system = probe.ask(probe.request(messages=tuple(told), max_tokens=1)).prompt_tokens
    a_turn = sizes[1] - sizes[0]  # two messages of one token
    extra = min(sizes[0] + 1 - a_turn, with_system + 1 - a_turn - a_turn // 2) - 1
    if extra <= 0:
        return ok(f"{a_turn - 2} tokens a turn")
    return suspect(f"{extra} tokens that no message accounts for: a system prompt of its own, or the template twice")


def system(probe: Probe) -> Seen:
    """Chat: a system message reaches the model."""
    return _longer(probe, (("system", OTHER), ("user", PROMPT)), "the system message is dropped")


def turns(probe: Probe) -> Seen:
    """Chat: earlier turns reach the model."""
    return _longer(probe, (("user", OTHER), ("assistant", "Brest"), ("user", PROMPT)), "earlier turns are dropped")


def _longer(probe: Probe, messages: tuple[tuple[str, str], ...], lost: str) -> Seen:
    a, b = (probe.ask(probe.request(messages=m, max_tokens=1)) for m in (messages, messages[-1:]))
    if min(a.prompt_tokens, b.prompt_tokens) < 0:
        return unknown("no usage")
    return judged(a.prompt_tokens > b.prompt_tokens, "", lost)

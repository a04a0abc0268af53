"""Exact mode: a rollout's bits depend on its own asks, never on its neighbours, its slot or the batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from deadreckon.contracts import Ask, Key, Reply
from deadreckon.errors import BadText, BadWeights
from deadreckon.models import engine
from deadreckon.models.decode import GPTModel, GPTSession
from deadreckon.models.gpt import GPT, GPTConfig
from deadreckon.models.tokens import BEGIN, Tokenizer
from deadreckon.seeds import Purpose, blocks, hash64, pick

DIGITS = [*"0123456789+=", "\n", "12", "12\n"]
SHAPES = {
    "64 wide": GPTConfig(16, 96, 2, 64, 32),
    "96 wide": GPTConfig(16, 96, 3, 96, 32),
    "128 wide": GPTConfig(16, 96, 5, 128, 32),
    "128 wide, heads of 64": GPTConfig(16, 96, 2, 128, 64),
}


@pytest.fixture(params=["onednn", "blas"])
def products(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of the engine's ways to multiply, whichever it takes here."""
    if request.param == "onednn" and not engine.has_onednn():
        pytest.skip("this build of torch is without oneDNN")
    monkeypatch.setattr(engine, "ONEDNN", request.param == "onednn")


def make_model(config: GPTConfig = SHAPES["64 wide"], rows: int = 64) -> GPTModel:
    """Weights as large as trained ones: every part of the network matters to the logits."""
    network = GPT(config, seed=1)
    source = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for w in network.parameters():
            if w.ndim == 2:
                w.normal_(0, 0.15, generator=source)
            else:
                w.uniform_(0.5, 3.0, generator=source)
    return GPTModel(network, Tokenizer(DIGITS), name="test", weights="0", rows=rows)


def ask(i: int, prompt: str, step: int = 0, **rest: object) -> Ask:
    return replace(Ask(prompt, Key(7, hash64("item", i), i % 3, step), max_tokens=6), **rest)


def prompts(n: int) -> list[str]:
    """Prompts of 1 to 38 characters."""
    words = blocks(3, [hash64("p", i) for i in range(n)], 0, 0, Purpose.TEXT)
    return [f"{int(a * 10 ** int(1 + 16 * b))}+{int(c * 10 ** int(1 + 18 * d))}=" for a, b, c, d in words]


def play(session: GPTSession, who: list[int], steps: int = 4) -> dict[int, list[tuple[bytes, Reply]]]:
    """Several steps of each rollout: bits of the logits after each prompt, and the reply."""
    texts = dict(zip(range(64), prompts(64), strict=True))
    seen: dict[int, list[tuple[bytes, Reply]]] = {i: [] for i in who}
    for step in range(steps):
        replies = session.complete([ask(i, texts[i], step, n=1 + (step == 2)) for i in who])
        rows = [session.slots[hash64("item", i), i % 3] for i in who]
        for i, row, reply in zip(who, rows, replies, strict=True):
            seen[i].append((session.prompt_logits[row].tobytes(), reply))
            texts[i] += reply.texts[0] + "\n" + "3=" * (i % 4)
    return seen


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("shape", SHAPES)
def test_bits_do_not_depend_on_batch_order_or_slot(shape: str) -> None:
    model = make_model(SHAPES[shape])
    whole = play(model.session(), list(range(64)))
    assert len({bits for steps in whole.values() for bits, _ in steps}) > 200
    for who in (list(range(63, -1, -1)), [5], [63], [9, 50, 3, 20, 41, 5, 0]):
        part = play(model.session(), who)
        assert part == {i: whole[i] for i in who}


def test_a_cache_that_is_used_again_changes_no_bit() -> None:
    model = make_model()
    first = play(model.session(), [3, 5])
    play(model.session(), list(range(64)))
    assert len(model.spare) == 1
    assert play(model.session(), [5, 3]) == first


def test_logits_that_are_not_finite_are_bad_weights_and_their_cache_is_not_used_again() -> None:
    model = make_model()
    with torch.no_grad():
        model.network.head.weight.fill_(3e38)
    with pytest.raises(BadWeights, match="not finite"):
        model.session().complete([ask(0, "1+1=")])
    assert not model.spare


def test_bits_do_not_depend_on_the_threads_set_outside() -> None:
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(play(make_model(SHAPES["128 wide"]).session(), list(range(7))))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert found[0] == found[1]


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("shape", SHAPES)
def test_logits_agree_with_the_network_read_in_one_go(shape: str) -> None:
    model = make_model(SHAPES[shape])
    session = model.session()
    texts = prompts(64)
    for step in range(3):
        replies = session.complete([ask(i, text, step) for i, text in enumerate(texts)])
        for i in range(0, 64, 9):
            row = session.slots[hash64("item", i), i % 3]
            ids = session.tokens[row, : session.prompt_length[row]]
            with torch.no_grad():
                expected = model.network(torch.from_numpy(ids)[None])[0, -1].numpy()
            assert np.abs(session.prompt_logits[row, 1:] - expected[1:]).max() < 1e-4
        texts = [text + reply.texts[0] + "\n7+" for text, reply in zip(texts, replies, strict=True)]


def _written(session: GPTSession, ask: Ask) -> str:
    """All that was sampled after the ask's prompt, stop included."""
    return session.text[session.slots[ask.key.item, ask.key.rollout]][len(ask.prompt) :]


def test_score_is_the_log_probability_of_what_complete_writes() -> None:
    session = make_model().session()
    asks = [replace(a, temperature=0.5 + i / 8) for i, a in enumerate(map(ask, range(8), prompts(8)))]
    replies = session.complete(asks)
    written = [_written(session, a) for a in asks]
    ids = [session.vocabulary.encode(text) for text in written]
    same = [i for i, a in enumerate(asks) if len(ids[i]) == replies[i].tokens]  # no "1", "2" for "12"
    assert len(same) > 3
    scores = session.score(asks, [[text, text[:1], ""] for text in written])
    for i in same:
        assert scores[i][0] == pytest.approx(replies[i].logps[0], abs=1e-12)
        assert scores[i][1] >= scores[i][0]
        assert scores[i][2] == 0.0


def test_scores_over_the_whole_alphabet_sum_to_one() -> None:
    session = make_model().session()
    (scores,) = session.score([ask(0, "1+2=", temperature=0.7)], [DIGITS])
    assert np.exp(scores).sum() == pytest.approx(1.0, abs=1e-12)


def test_scoring_first_changes_no_reply() -> None:
    model = make_model()
    plain, scored = model.session(), model.session()
    texts = prompts(16)
    for step in range(3):
        asks = [ask(i, text, step) for i, text in enumerate(texts)]
        scored.score(asks, [["12\n", "7", "1+2=3\n"]] * 16)
        replies = plain.complete(asks)
        assert scored.complete(asks) == replies
        assert plain.complete(asks) == replies  # asking again rewinds to the prompt
        texts = [text + reply.texts[0] + "\n=" for text, reply in zip(texts, replies, strict=True)]


def test_a_rewound_slot_answers_as_a_fresh_one_within_rounding() -> None:
    model = make_model()
    session = model.session()
    session.complete([ask(0, "11+22+33+44=")])
    session.complete([ask(0, "11+29+5=")])
    fresh = model.session()
    fresh.complete([ask(0, "11+29+5=")])
    assert np.abs(session.prompt_logits[0, 1:] - fresh.prompt_logits[0, 1:]).max() < 1e-4
    session.complete([ask(0, "11+29")])  # a prefix of what was read
    fresh = model.session()
    fresh.complete([ask(0, "11+29")])
    assert np.abs(session.prompt_logits[0, 1:] - fresh.prompt_logits[0, 1:]).max() < 1e-4


def test_a_reply_is_the_inverse_cdf_draw_at_its_key() -> None:
    model = make_model()
    key = Key(11, hash64("x"), 2, 5, 1)
    (reply,) = model.session().complete([Ask("1+2=", key, n=2, max_tokens=9, temperature=0.8, stop=())])
    for sample in range(2):
        ids = [BEGIN, *model.tokens.encode("1+2=")]
        logp = 0.0
        for token in range(9):
            with torch.no_grad():
                z = model.network(torch.tensor([ids]))[0, -1].double().numpy() / 0.8
            p = np.exp(z - z.max())
            u = blocks(11, [key.item], 5, 2, Purpose.ACT, 1, sample, token // 4)[:, token % 4]
            ids.append(int(pick(np.cumsum(p)[None], u)[0]))
            logp += float(np.log(p[ids[-1]] / p.sum()))
        assert model.tokens.decode(ids) == "1+2=" + reply.texts[sample]
        assert reply.logps[sample] == pytest.approx(logp, abs=1e-4)
    assert reply.texts[0] != reply.texts[1]
    assert reply.tokens == 18


def test_temperature_zero_is_the_highest_logit_and_certain() -> None:
    model = make_model()
    (reply,) = model.session().complete([ask(0, "1+2=", temperature=0.0, stop=())])
    ids = [BEGIN, *model.tokens.encode("1+2=")]
    for _ in range(6):
        with torch.no_grad():
            ids.append(int(model.network(torch.tensor([ids]))[0, -1].argmax()))
    assert reply.texts == (model.tokens.decode(ids)[4:],)
    assert reply.logps == reply.entropies == (0.0,)


def test_a_text_is_cut_before_its_first_stop_string() -> None:
    model = make_model()
    asks = [ask(i, p, max_tokens=30, stop=("\n", "=")) for i, p in enumerate(prompts(64))]
    free = model.session().complete([replace(a, stop=()) for a in asks])
    cut = model.session().complete(asks)
    ended = 0
    for whole, part in zip(free, cut, strict=True):
        ends = [at for at in map(whole.texts[0].find, ("\n", "=")) if at >= 0]
        assert part.texts[0] == whole.texts[0][: min(ends, default=None)]
        ended += bool(ends)
    assert ended > 30
    long = model.session().complete([replace(a, stop=("=2", "7\n")) for a in asks])
    for whole, part in zip(free, long, strict=True):
        ends = [at for at in map(whole.texts[0].find, ("=2", "7\n")) if at >= 0]
        assert part.texts[0] == whole.texts[0][: min(ends, default=None)]


def test_beyond_the_context_is_a_fault_of_that_ask_alone() -> None:
    session = make_model().session()
    fits, not_fits = ask(0, "1" * 94, max_tokens=2), ask(1, "1" * 94, max_tokens=3)
    replies = session.complete([not_fits, fits])
    assert [r.fault for r in replies] == ["context", ""]
    assert replies[1].texts != ("",)
    assert np.isnan(session.score([not_fits], [["1+2"]])[0]).all()


def test_a_symbol_outside_the_alphabet_is_bad_text_and_leaves_the_session_sound() -> None:
    model = make_model()
    session = model.session()
    session.complete([ask(0, "1=")])
    with pytest.raises(BadText, match="'x'"):
        session.complete([ask(0, "1=2\n4="), ask(1, "1x")])
    whole = model.session()
    whole.complete([ask(0, "1=")])
    assert session.complete([ask(0, "1=2\n4=")]) == whole.complete([ask(0, "1=2\n4=")])


def test_a_session_refuses_more_rollouts_than_it_has_rows() -> None:
    with pytest.raises(ValueError, match="3 rollouts in a session of 2"):
        make_model(rows=2).session().complete([ask(i, "1=") for i in range(3)])
    with pytest.raises(ValueError, match="two asks"):
        make_model().session().complete([ask(0, "1="), ask(0, "1=")])

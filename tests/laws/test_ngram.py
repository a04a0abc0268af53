"""The n-gram's law, and that what it writes follows it."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from deadreckon.contracts import Ask, Key
from deadreckon.errors import BadOption, BadText, UnknownName
from deadreckon.models import load_model
from deadreckon.models.ngram import NGramModel, fit_ngram
from deadreckon.models.tokens import Tokenizer
from deadreckon.seeds import hash64
from deadreckon.worlds import load_world

TOKENS = Tokenizer([*"ab\n"])


def small(order: int = 2) -> NGramModel:
    return NGramModel("test", order, TOKENS, [TOKENS.encode("abab\n"), TOKENS.encode("abb\n")], seed=0)


def asks(n: int, prompt: str = "ab") -> list[Ask]:
    return [Ask(prompt, Key(3, hash64("item", i), i % 2, 1), max_tokens=5) for i in range(n)]


def test_the_law_is_witten_bell_worked_by_hand() -> None:
    # after nothing: a 3, b 4, end 2 of 9 symbols, 3 kinds; uniform 1/3 below it
    zero = np.array([0, 3 + 1, 4 + 1, 2 + 1]) / 12
    # after b: a 1, b 1, end 2 of 4, 3 kinds
    one = (np.array([0, 1, 1, 2]) + 3 * zero) / 7
    # after ab: a 1, b 1, end 1 of 3, 3 kinds
    two = (np.array([0, 1, 1, 1]) + 3 * one) / 6
    assert small(2).law((0, 2, 1, 2)) == pytest.approx(np.array(two), abs=1e-15)
    assert small(1).law((1, 2)) == pytest.approx(np.array(one), abs=1e-15)
    assert small(0).law((1, 2)) == pytest.approx(np.array(zero), abs=1e-15)


def test_an_unseen_context_has_the_law_of_a_shorter_one() -> None:
    assert (small(3).law((3, 3, 1)) == small(3).law((1,))).all()


@pytest.mark.parametrize("order", [0, 1, 3])
def test_every_law_sums_to_one_and_never_begins(order: int) -> None:
    model = small(order)
    for context in [(), (0,), (0, 1), (1, 2, 1), (3, 3, 3)]:
        assert model.law(context).sum() == pytest.approx(1.0, abs=1e-14)
        assert model.law(context)[0] == 0.0


def test_replies_follow_the_law() -> None:
    model = small()
    law = model.law(tuple(TOKENS.encode("ab")))
    replies = model.session().complete([replace(a, max_tokens=1, stop=()) for a in asks(4000)])
    seen = Counter(r.texts[0] for r in replies)
    for symbol, i in TOKENS.ids.items():
        assert seen[symbol] / 4000 == pytest.approx(law[i], abs=4 * np.sqrt(law[i] * (1 - law[i]) / 4000))


def test_score_is_the_log_probability_of_what_complete_writes() -> None:
    session = small().session()
    some = [replace(a, n=2, stop=()) for a in asks(20)]
    replies = session.complete(some)
    scores = session.score(some, [r.texts for r in replies])
    for reply, found in zip(replies, scores, strict=True):
        assert found == pytest.approx(np.array(reply.logps), abs=1e-12)
    assert any(r.texts[0] != r.texts[1] for r in replies)


def test_replies_do_not_depend_on_the_batch() -> None:
    some = asks(30)
    whole = small().session().complete(some)
    assert small().session().complete(some[::-1]) == whole[::-1]
    assert [small().session().complete([ask])[0] for ask in some] == whole


def test_a_trigram_knows_a_world_better_than_a_unigram() -> None:
    world = load_world("sums")
    text = world.opening(world.start(1, np.random.default_rng(0)))
    ask = replace(asks(1)[0], prompt="")
    scores = [fit_ngram(world, 1, k, transcripts=200).session().score([ask], [[text]])[0][0] for k in (0, 2)]
    assert scores[1] > scores[0] + 1.0


def test_a_spec_fits_the_same_model_again() -> None:
    spec = "ngram:world=sums+k=8,level=1,order=2,transcripts=20,seed=4"
    first, second = load_model(spec), load_model(spec)
    assert first.name == spec
    assert first.identity == second.identity
    assert first.identity != load_model(spec.replace("seed=4", "seed=5")).identity


def test_bad_specs_are_one_clear_line() -> None:
    for spec, error, words in [
        ("ngram:level=1", BadOption, "names no world"),
        ("ngram", BadOption, "does not say which"),
        ("ngram:world=sum", UnknownName, "did you mean 'sums'"),
        ("ngram:world=sums,order=x", BadOption, "integer"),
        ("ngram:world=sums,order=-1", BadOption, "order=-1"),
        ("ngram:world=sums,transcripts=0", BadOption, "transcripts=0"),
    ]:
        with pytest.raises(error, match=words):
            load_model(spec)
    with pytest.raises(BadText, match="'x'"):
        small().session().complete(asks(1, "abx"))

"""Laws of the scaffolds, with strings alone: no world, no state, no model."""

from math import isnan, nan

import pytest

from deadreckon.contracts import Ask, Key, Reply, Scaffold, Turn, View
from deadreckon.errors import BadOption, UnknownName
from deadreckon.scaffolds import load_scaffold, scaffold_lines

KEY = Key(seed=1, item=2, rollout=3, step=4)
VIEW = View("text so far;", KEY, end="\n", width=3, belief_end="] ", belief_width=5, filler="aaaa] ", temperature=0.7)


def say(*texts: str, logp: float = -0.5) -> Reply:
    return Reply(texts, (logp,) * len(texts), (0.25,) * len(texts), len(texts))


def drive(scaffold: Scaffold, *replies: Reply) -> tuple[list[Ask], Turn]:
    """What it asked, and what it decided; it must ask exactly as often as there are replies."""
    turn = scaffold(VIEW)
    asks = [next(turn)]
    for i, reply in enumerate(replies):
        try:
            asks.append(turn.send(reply))
        except StopIteration as end:
            assert i == len(replies) - 1
            decided: Turn = end.value
            return asks, decided
    raise AssertionError("it asks for more")


def test_plain_asks_once_for_the_next_action() -> None:
    (ask,), turn = drive(load_scaffold("plain"), say("12", logp=-1.5))
    assert ask == Ask(VIEW.text, KEY, 1, VIEW.width, 0.7, ("\n",))
    assert turn == Turn("12", logp=-1.5, entropy=0.25, confidence=turn.confidence, thought_logp=turn.thought_logp)
    assert isnan(turn.confidence)


def test_monologue_acts_on_the_state_it_wrote_and_draws_elsewhere() -> None:
    (think, act), turn = drive(load_scaffold("monologue"), say("s7", logp=-3.0), say("12", logp=-1.0))
    assert (think.purpose, think.stop, think.max_tokens, think.prompt) == ("think", ("] ",), 5, VIEW.text)
    assert (act.purpose, act.stop, act.max_tokens, act.prompt) == ("act", ("\n",), 3, VIEW.text + "s7] ")
    assert think.key != act.key
    assert (turn.thought, turn.belief, turn.action) == ("s7] ", "s7", "12")
    assert (turn.thought_logp, turn.logp, turn.written) == (-3.0, -1.0, 0)


def test_filler_puts_in_the_length_of_a_belief_and_pays_for_it() -> None:
    (act,), turn = drive(load_scaffold("filler"), say("12"))
    _, thinking = drive(load_scaffold("monologue"), say("s7"), say("12"))
    assert act.prompt == VIEW.text + VIEW.filler
    assert act.key.ask == 1  # the draw of a monologue's action
    assert (turn.thought, turn.belief, turn.written) == (VIEW.filler, "", VIEW.belief_width)
    assert thinking.belief


@pytest.mark.parametrize(
    ("texts", "action", "share"),
    [
        (("1", "2", "2"), "2", 2 / 3),
        (("b", "a", "a", "b"), "b", 0.5),  # a tie: the one drawn first
        (("??", "??", "1"), "??", 2 / 3),  # it cannot tell an action from what is none
        (("1",), "1", 1.0),
    ],
)
def test_vote_takes_the_most_frequent_and_says_its_share(texts: tuple[str, ...], action: str, share: float) -> None:
    (ask,), turn = drive(load_scaffold(f"vote:k={len(texts)}"), say(*texts))
    assert ask.n == len(texts)
    assert (turn.action, turn.confidence) == (action, share)
    assert isnan(turn.logp)


def test_what_a_model_cannot_say_stays_missing() -> None:
    _, turn = drive(load_scaffold("plain"), say("12", logp=nan))
    assert isnan(turn.logp)


@pytest.mark.parametrize("spec", ["vote:k=0", "vote:k=1001", "vote:k=x", "vote:n=3", "plain:k=2", "filler:"])
def test_an_option_out_of_range_is_refused(spec: str) -> None:
    with pytest.raises(BadOption):
        load_scaffold(spec)


def test_every_scaffold_has_a_line_and_loads() -> None:
    for name, line in scaffold_lines().items():
        assert line.endswith(".")
        assert callable(load_scaffold(name))
    with pytest.raises(UnknownName, match="did you mean 'plain'"):
        load_scaffold("plane")

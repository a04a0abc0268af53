"""The contract probe finds every planted lie, and raises nothing on servers that differ but do not lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_server import Manners, ToyLaw, ToyServer

from deadreckon.errors import BrokenContract
from deadreckon.models.api.contract import Contract, Status
from deadreckon.models.api.doctor import doctor, settle
from deadreckon.models.api.request import Endpoint
from deadreckon.models.api.sender import Sender
from deadreckon.models.api.terms import Terms
from deadreckon.models.api.wire import Wire

LIES = {  # a planted defect: the check that is to find it
    "always_length": "finish reason",
    "always_stop": "finish reason",
    "batch_drift": "same in a crowd",
    "begin_twice": "begin",
    "echo_constant": "echo aligned",
    "echo_ignored": "echo",
    "echo_shifted": "echo aligned",
    "errors_with_200": "errors",
    "finish_missing": "finish reason",
    "first_stop_alone": "every stop",
    "index_always_0": "n",
    "last_message_only": "turns",
    "logprobs_base_10": "mass",
    "logprobs_base_2": "top count",
    "logprobs_by_count": "same at any count",
    "logprobs_ignored": "logprobs",
    "logprobs_one_short": "a logprob a token",
    "logprobs_shifted": "chosen token",
    "logprobs_truncated": "temperature",
    "logprobs_unnormalised": "mass",
    "logprobs_zero": "chosen token",
    "max_tokens_ignored": "max_tokens",
    "n_ignored": "n",
    "not_ascii_lost": "characters",
    "one_seed": "draws differ",
    "one_token_more": "max_tokens",
    "other_model": "model",
    "probabilities": "mass",
    "prompt_stripped": "spaces",
    "prompt_truncated": "whole prompt",
    "repeats_penalised": "no penalty",
    "replies_cached": "fresh draws",
    "same_samples": "n differ",
    "seed_ignored": "seed",
    "stop_ignored": "stop",
    "stop_kept": "stop",
    "system_dropped": "system",
    "temperature_always_1": "temperature",
    "temperature_halved": "temperature",
    "temperature_ignored": "draws differ",
    "template_twice": "template",
    "text_stripped": "whole text",
    "top_by_text": "top count",
    "top_few": "top count",
    "top_p_forced": "draws follow logprobs",
    "top_unsorted": "top order",
    "top_without_best": "best token",
    "usage_missing": "usage",
    "usage_of_characters": "usage",
    "usage_total_wrong": "usage",
    "usage_zero": "usage",
}
ON_COMPLETIONS = {"begin_twice", "echo_constant", "echo_ignored", "echo_shifted", "prompt_stripped", "top_by_text"}
HONEST = {
    "all there is": Manners(),
    "after temperature, a dated name": Manners(semantics="post", alias="toy-2026-01-01"),
    "no log-probabilities": Manners(logprobs=False, completions=False),
    "top 20, no echo, no n": Manners(most_top=20, echo=False, many=False, stop_in_logprobs=False),
    "no seeds, top 5": Manners(seeds=False, most_top=5),
}
BAD = (Status.FAIL, Status.SUSPECT)


def examined(manners: Manners, only: tuple[Endpoint, ...] = (), law: int = 0) -> list[Contract]:
    with ToyServer(ToyLaw(law), manners) as server:
        sender = Sender(Wire(server.url), Terms(attempts=1, timeout=10.0))
        found = doctor(sender, "toy", only)
        sender.wire.close()
        return found


def test_every_defect_of_the_test_server_is_planted_here() -> None:
    text = "".join(path.read_text() for path in (Path(__file__).parents[1] / "toy_server").glob("*.py"))
    asked = {piece.partition('"')[0] for piece in text.split('bad("')[1:]}
    assert asked == set(LIES)
    assert len(LIES) >= 24


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found_by_its_check(lie: str) -> None:
    only: Endpoint = "completions" if lie in ON_COMPLETIONS else "chat"
    (contract,) = examined(Manners(defects=frozenset([lie])), (only,))
    assert LIES[lie] in contract.failed(list(contract.checks), BAD), contract.json()["checks"]


@pytest.mark.parametrize("law", range(2))
@pytest.mark.parametrize("name", HONEST)
def test_an_honest_server_raises_nothing(name: str, law: int) -> None:
    for contract in examined(HONEST[name], law=law):
        bad = {check: contract.checks[check].saw for check in contract.failed(list(contract.checks), BAD)}
        assert bad == {}, contract.endpoint


def test_each_instrument_has_a_verdict_with_its_reason() -> None:
    chat, completions = examined(HONEST["top 20, no echo, no n"])
    verdicts = {v.instrument: v for v in completions.verdicts()}
    assert verdicts["logp, calibration"].usable
    assert not verdicts["KL, right mass"].usable
    assert verdicts["KL, right mass"].why.startswith("top-20 only")
    assert {v.instrument for v in chat.verdicts() if not v.usable} == {"KL, right mass"}
    (plain,) = examined(HONEST["no log-probabilities"])
    assert {v.instrument for v in plain.verdicts() if not v.usable} == {"logp, calibration", "KL, right mass"}


@pytest.mark.parametrize(
    ("lie", "temperature", "score"),
    [
        ("temperature_ignored", 1.0, False),
        ("usage_missing", 0.0, False),
        ("echo_shifted", 1.0, True),
        ("repeats_penalised", 1.0, False),
        ("repeats_penalised", 0.0, False),
    ],
)
def test_a_run_is_refused_where_what_it_needs_fails(lie: str, temperature: float, score: bool) -> None:
    with ToyServer(ToyLaw(), Manners(defects=frozenset([lie]))) as server:
        sender = Sender(Wire(server.url), Terms(attempts=1))
        with pytest.raises(BrokenContract, match=r"see deadreckon doctor http"):
            settle(sender, "toy", "completions", temperature, score=score)


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_stop_strings_are_needed_where_they_are_sent(endpoint: Endpoint) -> None:
    with ToyServer(ToyLaw(), Manners(defects=frozenset(["stop_kept"]))) as server:
        sender = Sender(Wire(server.url), Terms(attempts=1))
        if endpoint == "completions":
            with pytest.raises(BrokenContract, match="fails 'stop'"):
                settle(sender, "toy", endpoint, 1.0, score=False)
        else:
            settle(sender, "toy", endpoint, 1.0, score=False)
        (contract,) = doctor(sender, "toy", (endpoint,))
        verdicts = {v.instrument: v.usable for v in contract.verdicts()}
        assert verdicts["greedy rollouts"] == (endpoint == "chat")
        assert "stop" in contract.failed(list(contract.checks))


def test_a_greedy_run_does_not_need_a_temperature() -> None:
    with ToyServer(ToyLaw(), Manners(defects=frozenset(["temperature_ignored"]))) as server:
        sender = Sender(Wire(server.url), Terms(attempts=1))
        assert settle(sender, "toy", "chat", 0.0, score=False).passed("max_tokens")

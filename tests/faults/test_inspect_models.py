"""Models through Inspect's providers: the rollouts, the checks, the faults and the caps of a server of one's own."""

from __future__ import annotations

import json
import logging
import math
import threading
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("inspect_ai", reason="needs the extra inspect")

from inspect_ai.model import GenerateConfig, Logprobs, ModelOutput, ModelUsage, get_model
from toy_server import FAULTS, Manners, ToyLaw, ToyServer, WorldLaw
from toy_server.answers import answer
from toy_server.engine import Body, Engine

from deadreckon.contracts import Privileged
from deadreckon.errors import BadOption, BrokenContract, CapReached, ServerRefused
from deadreckon.models import load_model
from deadreckon.models.api.provider import Provider
from deadreckon.models.api.reply import Spoilt
from deadreckon.models.api.request import Request
from deadreckon.models.api.sender import DOWN, Sender
from deadreckon.models.api.terms import Terms
from deadreckon.models.inspect import InspectModel, visit_inspect
from deadreckon.rollouts import run as running
from deadreckon.rollouts.run import Bench, roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.rollouts.store import read_spec
from deadreckon.worlds import load_world

pytestmark = pytest.mark.filterwarnings("ignore:The 'initial' parameter:DeprecationWarning")  # Inspect's of tenacity
QUICK = "timeout=0.5,backoff=0.01"
ITEMS, HORIZON = 4, 6
RULES = load_world("sums").rules()[:40]


def law() -> WorldLaw:
    policy = load_model("noisy-oracle:slip=0.1")
    assert isinstance(policy, Privileged)
    return WorldLaw(load_world("sums"), policy, 1, ITEMS)


def spec(model: str, **fields: object) -> RollSpec:
    asked = {"items": ITEMS, "horizon": HORIZON, "prompt": "chat:shots=0", "law": False} | fields
    return RollSpec("sums", 1, model, **asked)  # type: ignore[arg-type]


def through(server: ToyServer, name: str = "toy") -> str:
    return f"inspect:openai-api/toy/{name},url={server.url},key=TOY_KEY"


def facts(table: pl.DataFrame) -> pl.DataFrame:
    return table.drop("run", "model")


def is_step(body: Body) -> bool:
    return RULES in body["messages"][0]["content"]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_KEY", "sk-canary+7/Qz=xw9")


@pytest.fixture(scope="module")
def clean() -> pl.DataFrame:
    with ToyServer(law()) as server:
        return facts(roll(spec(f"openai:toy,url={server.url}")))


class Mock:
    """The toy law as a function for Inspect's mockllm, with what is asked of it."""

    def __init__(self, manners: Manners | None = None):
        self.engine = Engine(law(), manners or Manners())
        self.asked: list[Body] = []
        self.lock = threading.Lock()

    def body(self, messages: list, config: GenerateConfig) -> Body:
        body: Body = {"model": "toy", "messages": [{"role": m.role, "content": m.text} for m in messages]}
        same = ("max_tokens", "temperature", "top_p", "seed", "logprobs", "top_logprobs")
        asked = {name: getattr(config, name) for name in same} | {"stop": config.stop_seqs, "n": config.num_choices}
        return body | {name: value for name, value in asked.items() if value is not None}

    def __call__(self, messages: list, _tools: list, _choice: object, config: GenerateConfig) -> ModelOutput:
        body = self.body(messages, config)
        with self.lock:
            self.asked.append(body)
        reply = answer(self.engine, "toy", body, 1, chat=True)
        return self.told(reply)

    def told(self, reply: Body) -> ModelOutput:
        usage = reply["usage"]
        choices = [
            {
                "message": {"role": "assistant", "content": c["message"]["content"]},
                "stop_reason": {"length": "max_tokens"}.get(c["finish_reason"], c["finish_reason"]),
                "logprobs": c["logprobs"] and Logprobs(**c["logprobs"]),
            }
            for c in reply["choices"]
        ]
        used = ModelUsage(input_tokens=usage["prompt_tokens"], output_tokens=usage["completion_tokens"],
                          total_tokens=usage["total_tokens"])  # fmt: skip
        return ModelOutput(model=reply["model"], choices=choices, usage=used)  # type: ignore[arg-type]


def mocked(mock: Mock) -> InspectModel:
    make = lambda: get_model("mockllm/toy", custom_outputs=mock, memoize=False)  # noqa: E731
    return InspectModel("inspect:mockllm/toy", "mockllm/toy", make)


def rolled(monkeypatch: pytest.MonkeyPatch, mock: Mock, out: Path | None = None, terms: str = "", **fields: object):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(running, "load_model", lambda _spec: mocked(mock))
    return roll(spec("inspect:mockllm/toy", **fields), out, terms=terms)


# --- The same rollouts ------------------------------------------------------------------------------------------


def test_rollouts_through_a_provider_are_those_of_the_server_and_show_no_key(
    clean: pl.DataFrame, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with ToyServer(law(), key="sk-canary+7/Qz=xw9") as server:
        server.watch = is_step
        assert facts(roll(spec(through(server)))).equals(clean)
        assert server.watched == clean.height
    assert caplog.text
    assert "sk-canary" not in caplog.text + "".join(capfd.readouterr())
    assert clean["logp"].null_count() == 0


def test_rollouts_of_mockllm_are_those_of_the_server(monkeypatch: pytest.MonkeyPatch, clean: pl.DataFrame) -> None:
    assert facts(rolled(monkeypatch, Mock())).equals(clean)


def test_votes_come_with_n_or_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"scaffold": "vote:k=3", "items": 2}
    with ToyServer(law()) as server:
        served = facts(roll(spec(f"openai:toy,url={server.url}", **fields)))
    assert facts(rolled(monkeypatch, Mock(), **fields)).equals(served)
    one_each = rolled(monkeypatch, Mock(Manners(defects=frozenset(["n_ignored"]))), **fields)
    assert one_each.height == served.height


def test_a_faulty_server_gives_the_same_rollouts(clean: pl.DataFrame) -> None:
    with ToyServer(law(), faults=0.2) as server:
        server.stall_s, server.watch = 0.7, is_step
        table = facts(roll(spec(through(server)), terms=QUICK))
        assert sum(server.faulted.values()) > 20
        assert server.watched <= 2 * clean.height
    assert table.equals(clean)


# --- Faults -----------------------------------------------------------------------------------------------------

CODES = {
    "429": "http_429", "429_date": "http_429", "500": "http_500", "503": "http_503", "502_html": "http_502",
    "stall": "timeout", "slow_bytes": "timeout", "drop": "cut_off", "cut_body": "cut_off", "cut_json": "json",
    "html_200": "provider_OpenAIResponseError", "error_200": "provider_TypeError", "empty_200": "provider_TypeError",
    "array_200": "provider_OpenAIResponseError", "no_choices": "no_choices", "null_content": "null_content",
    "wrong_model": "model", "wrong_n": "n", "no_finish": "finish_reason", "no_usage": "usage", "bad_usage": "usage",
    "no_logprobs": "no_logprobs", "nan_logprobs": "logprobs",
}  # fmt: skip


def test_each_fault_has_its_code_and_inspect_asks_once_an_attempt() -> None:
    request = Request("toy", "chat", (("user", "a"),), logprobs=1, seed=1)
    with ToyServer(ToyLaw()) as server:
        server.stall_s = 0.4
        make = lambda: get_model("openai-api/toy/toy", base_url=server.url, api_key="x", memoize=False)  # noqa: E731
        way = Provider("inspect:openai-api/toy/toy", make, timeout=0.2)
        sender = Sender(way, Terms(attempts=2, backoff=0.0))
        sender.models = frozenset(["toy"])
        assert sender.send(request).samples[0].tokens  # the client is warm
        found: dict[str, str] = {}
        for kind in FAULTS:
            first = server.requests
            server.plan = {first: kind, first + 1: kind}
            with pytest.raises(Spoilt) as error:
                sender.send(request)
            found[kind] = error.value.code
            asked = server.requests - first
            assert asked == 2 + CODES[kind].startswith(DOWN), kind  # where all fails, it asks for the least
            server.plan = {}
        way.close()
    assert found == CODES


def test_what_stays_ends_the_rollout_with_its_code_and_too_long_is_a_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bad(Mock):
        def __call__(self, messages, tools, choice, config):  # type: ignore[no-untyped-def]
            output = super().__call__(messages, tools, choice, config)
            if is_step(self.asked[-1]) and len(messages) == 5:
                if sum(messages[0].text.encode()) % 2:
                    output.choices[0].stop_reason = "model_length"
                else:
                    raise ZeroDivisionError("from within a provider")
            return output

    last = rolled(monkeypatch, Bad(), terms="attempts=2,backoff=0").filter(pl.col("stop").is_not_null())
    ends = set(last.select("stop", "fault_code").rows())
    assert ends <= {("cut", "context"), ("fault", "provider_ZeroDivisionError")}
    assert len(ends) == 2
    assert set(last["t"]) == {2}


# --- Caps, resuming ---------------------------------------------------------------------------------------------


def test_a_cap_is_kept_and_a_higher_one_pays_for_no_answer_twice(clean: pl.DataFrame, tmp_path: Path) -> None:
    with ToyServer(law()) as server:
        roll(spec(through(server), items=1, horizon=1))
        contract = server.tokens
        cap, server.tokens = contract + 3000, 0
        server.bodies.clear()
        with pytest.raises(CapReached, match="a higher cap resumes"):
            roll(spec(through(server)), tmp_path, terms=f"cap_tokens={cap}")
        assert contract < server.tokens <= cap
        table = roll(spec(through(server)), tmp_path, terms="cap_tokens=1000000")
        steps: Counter[str] = Counter()
        for body, n in server.bodies.items():
            steps[body] += n * is_step(json.loads(body))
    assert facts(table).equals(clean)
    assert sum(steps.values()) == clean.height
    assert b"sk-canary" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_cap_is_refused_where_the_client_may_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deadreckon.models.api.provider.HERE", frozenset())
    with pytest.raises(BadOption, match="no cap can be kept"):
        rolled(monkeypatch, Mock(), terms="cap_tokens=100000")


# --- What is not told -------------------------------------------------------------------------------------------


class Silent(Mock):
    """Tells less than it could."""

    def __init__(self, *hidden: str):
        super().__init__()
        self.hidden = hidden

    def told(self, reply: Body) -> ModelOutput:
        output = super().told(reply)
        for choice in output.choices:
            if "logprobs" in self.hidden:
                choice.logprobs = None
            if "finish" in self.hidden:
                choice.stop_reason = "unknown"
        if "usage" in self.hidden:
            output.usage = ModelUsage()  # mockllm fills in what is None
        return output


def test_without_logprobs_what_needs_them_is_refused_and_the_rest_runs(
    monkeypatch: pytest.MonkeyPatch, clean: pl.DataFrame, tmp_path: Path
) -> None:
    table = facts(rolled(monkeypatch, Silent("logprobs"), tmp_path))
    assert table.drop("logp").equals(clean.drop("logp"))
    assert table["logp"].null_count() == table.height
    identity = read_spec(tmp_path)["identity"]
    assert identity["logprobs"] == "none: logprobs"
    assert {name: identity[name] for name in ("engine", "served", "client_retries")} == {
        "engine": "inspect", "served": "mockllm/toy", "client_retries": "none",
    }  # fmt: skip
    contract = json.loads((tmp_path / "contract.json").read_text())
    assert contract["checks"]["logprobs"] == {"status": "no", "saw": "none come through Inspect from this provider"}
    assert contract["verdicts"]["logp, calibration"]["usable"] is False


@pytest.mark.parametrize(("hidden", "check"), [("usage", "usage"), ("finish", "finish reason")])
def test_without_what_every_run_needs_it_is_refused(monkeypatch: pytest.MonkeyPatch, hidden: str, check: str) -> None:
    with pytest.raises(BrokenContract, match=f"fails '{check}'.*see deadreckon doctor inspect:mockllm/toy"):
        rolled(monkeypatch, Silent(hidden))


# --- Specs and doctor -------------------------------------------------------------------------------------------


def test_doctor_finds_through_inspect_what_it_finds_without() -> None:
    for defect, check in {"temperature_ignored": "draws differ", "logprobs_shifted": "chosen token"}.items():
        with ToyServer(ToyLaw(), Manners(defects=frozenset([defect]))) as server:
            (contract,) = visit_inspect(through(server).partition(":")[2])
        assert contract.failed(list(contract.checks))[:1] == [check]
    with ToyServer(ToyLaw()) as server:
        (contract,) = visit_inspect(through(server).partition(":")[2])
    assert contract.failed(list(contract.checks)) == []
    assert "errors" not in contract.checks
    assert contract.passed("seed", "n", "logprobs", "meaning", "draws follow logprobs", "greedy", "usage")


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("gpt-4o", "does not name a model"),
        ("no-such-provider/m", "Inspect has no such model here"),
        ("openai-api/toy/m,key=NO_SUCH", "names an environment variable that is not set"),
        ("openai-api/toy/m,url=http://u:p@h/v1", "holds a name, password or query"),
        ("openai-api/toy/m,url=http://127.0.0.1:9/v1", "no such model here.*TOY_API_KEY"),
        ("openai-api/toy/m,top=1", "has no option 'top'"),
        ("openai-api/toy/m,url=http://127.0.0.1:9/v1,key=TOY_KEY", "has not answered|no usable reply"),
    ],
)
def test_a_spec_that_cannot_be_is_one_clear_line(rest: str, says: str) -> None:
    with pytest.raises((BadOption, ServerRefused, BrokenContract), match=says) as error:
        roll(spec(f"inspect:{rest}", items=1, horizon=1), terms="attempts=1,timeout=2")
    assert "\n" not in str(error.value)
    assert "[bold]" not in str(error.value)
    assert "sk-canary" not in str(error.value)


def test_a_key_that_is_refused_is_named_and_not_shown() -> None:
    with ToyServer(law(), key="another") as server, pytest.raises(ServerRefused, match="status 401") as error:
        roll(spec(through(server)))
    assert "canary" not in str(error.value)


def test_terms_are_those_of_a_served_model() -> None:
    bench = Bench.load(spec("inspect:mockllm/model"))
    assert math.isinf(bench.model.context)  # type: ignore[attr-defined]
    with pytest.raises(BadOption, match="workers=2"):
        roll(spec("inspect:mockllm/model"), workers=2)

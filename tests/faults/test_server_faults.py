"""Faults of a server are never answers: they are asked again, or end a rollout with a code; nothing is paid twice."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from toy_server import FAULTS, Manners, ToyLaw, ToyServer, WorldLaw
from toy_server.engine import Body

from deadreckon.contracts import Privileged
from deadreckon.errors import BadOption, CapReached, ServerRefused, StoreError
from deadreckon.models import load_model
from deadreckon.models.api.reply import Spoilt
from deadreckon.models.api.request import Request
from deadreckon.models.api.sender import DOWN, Sender
from deadreckon.models.api.terms import Purse, Terms
from deadreckon.models.api.throttle import Throttle
from deadreckon.models.api.wire import Wire
from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.rollouts.store import read_run
from deadreckon.worlds import load_world

WORLD = "markov:kind=ergodic"
PLAIN = re.compile(r"[A-Za-z ]+")  # a transcript of that world; the contract's own prompts hold commas
QUICK = "timeout=0.5,backoff=0.01"


def law(items: int) -> WorldLaw:
    model = load_model("noisy-oracle:slip=0.05")
    assert isinstance(model, Privileged)
    return WorldLaw(load_world(WORLD), model, 1, items)


def is_step(body: Body) -> bool:
    return PLAIN.fullmatch(str(body.get("prompt"))) is not None


def spec(server: ToyServer, **fields: object) -> RollSpec:
    asked = {"items": 10, "horizon": 50, "law": False} | fields
    return RollSpec(WORLD, 1, f"openai:toy,url={server.url},endpoint=completions", **asked)  # type: ignore[arg-type]


def facts(table: pl.DataFrame) -> pl.DataFrame:
    return table.drop("run", "model")


@pytest.fixture(scope="module")
def clean() -> pl.DataFrame:
    with ToyServer(law(10)) as server:
        return facts(roll(spec(server)))


@pytest.mark.parametrize(("rate", "most"), [(0.05, 1.10), (0.2, 1.35)])
def test_a_faulty_server_gives_the_same_rollouts_at_little_cost(rate: float, most: float, clean: pl.DataFrame) -> None:
    with ToyServer(law(10), faults=rate) as server:
        server.stall_s, server.watch = 0.7, is_step
        table = roll(spec(server), terms=QUICK)
        planted = sum(server.faulted.values())
    assert planted >= rate * 300
    assert facts(table).equals(clean)
    assert server.watched <= most * 500


CODES = {
    "429": "http_429", "429_date": "http_429", "500": "http_500", "503": "http_503", "502_html": "http_502",
    "stall": "timeout", "slow_bytes": "timeout", "drop": "cut_off", "cut_body": "cut_off", "cut_json": "json",
    "html_200": "content_type", "error_200": "error_with_200", "empty_200": "schema", "array_200": "schema",
    "no_choices": "no_choices", "null_content": "null_content", "wrong_model": "model", "wrong_n": "n",
    "no_finish": "finish_reason", "no_usage": "usage", "bad_usage": "usage", "no_logprobs": "no_logprobs",
    "nan_logprobs": "json",
}  # fmt: skip


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_has_its_code_and_is_no_answer(kind: str, endpoint: str) -> None:
    chat = endpoint == "chat"
    request = Request("toy", endpoint, (("user", "a"),) if chat else (), "" if chat else "a", logprobs=1, seed=1)  # type: ignore[arg-type]
    with ToyServer(ToyLaw()) as server:
        server.plan, server.stall_s = {0: kind, 1: kind}, 0.4
        sender = Sender(Wire(server.url, timeout=0.2), Terms(attempts=2, backoff=0.0))
        sender.models = frozenset(["toy"])
        with pytest.raises(Spoilt) as error:
            sender.send(request)
        assert error.value.code == CODES[kind]
        assert server.requests == 2 + CODES[kind].startswith(DOWN)  # where all fails, it asks for the least
        assert sender.send(request).samples[0].tokens


def test_a_fault_that_stays_ends_the_rollout_with_its_code() -> None:
    with ToyServer(law(4)) as server:
        fields = spec(server, items=4, horizon=6)
        whole = roll(fields)
        first = server.requests
        roll(fields)
        probe = server.requests - first - 24
        server.plan = {2 * first + probe + 4 + i: "null_content" for i in range(3)}
        table = roll(fields, terms="attempts=3,backoff=0,concurrency=1")
    ended = table.filter(pl.col("stop") == "fault")
    assert ended["fault_code"].to_list() == ["null_content"]
    assert ended["event"].to_list() == [None]
    fault = pl.col("item") == ended["item"][0]
    assert facts(table).filter(~fault).equals(facts(whole).filter(~fault))


def test_a_server_that_goes_away_stops_the_run_and_loses_nothing(tmp_path: Path) -> None:
    with ToyServer(law(10)) as server:
        server.after = 400
        with pytest.raises(ServerRefused, match=r"has not answered 3 attempts .*the same command resumes"):
            roll(spec(server), tmp_path, terms="attempts=3,backoff=0.01")
        answered = server.answered
        server.after = -1
        table = roll(spec(server), tmp_path)
        assert table.filter(pl.col("stop") == "fault").height == 0
        steps = sum(n for body, n in server.bodies.items() if is_step(json.loads(body)))
    assert answered < 400 + 64
    assert steps == 500


def test_the_limit_halves_once_for_one_moment_and_grows_by_ones() -> None:
    throttle = Throttle(32)
    for _ in range(8):
        throttle.well()
    assert 8.5 < throttle.limit <= 9.0
    before = time.monotonic()
    for _ in range(5):
        throttle.too_much(before, 0.0)
    assert throttle.cuts == 1
    assert 4.0 < throttle.limit <= 4.5


def test_retry_after_holds_everyone_back() -> None:
    with ToyServer(ToyLaw()) as server:
        server.plan, server.retry_after = {0: "429"}, "0.4"
        sender = Sender(Wire(server.url), Terms(backoff=0.0))
        begun = time.monotonic()
        threads = [threading.Thread(target=sender.send, args=(Request("toy", "chat", (("user", "a"),)),))]
        threads[0].start()
        while not sender.throttle.cuts:
            time.sleep(0.001)
        sender.send(Request("toy", "chat", (("user", "b"),)))
        assert time.monotonic() - begun >= 0.4
        threads[0].join()


@pytest.mark.parametrize("faults", [0.0, 0.2])
@pytest.mark.parametrize("cap", [10_000, 20_000])
def test_a_cap_is_never_passed_and_a_higher_one_resumes(cap: int, faults: float, tmp_path: Path) -> None:
    with ToyServer(law(10), faults=faults) as server:
        server.stall_s = 0.7
        with pytest.raises(CapReached, match=r"a higher cap resumes"):
            roll(spec(server), tmp_path, terms=f"{QUICK},cap_tokens={cap}")
        assert 0 < server.tokens <= cap


def test_money_is_capped_before_it_is_spent() -> None:
    purse = Purse(Terms.of("price_in=1,price_out=2,cap_cost=0.001"))
    held = purse.hold((500, 250))
    purse.settle(held, (500, 250))
    with pytest.raises(CapReached, match=r"cap_cost=0\.001"):
        purse.hold((1, 0))
    with pytest.raises(BadOption, match="without prices"):
        Terms.of("cap_cost=1")


CHILD = """
import sys
from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec
roll(RollSpec({world!r}, 1, {model!r}, items=10, horizon=50, law=False), {out!r}, terms="timeout=5")
"""


@pytest.mark.kill
def test_a_killed_run_pays_for_no_answer_twice(tmp_path: Path, clean: pl.DataFrame) -> None:
    rng, kills = random.Random(1), 0
    with ToyServer(law(10)) as server:
        server.pause_s = 0.002
        model = f"openai:toy,url={server.url},endpoint=completions"
        code = CHILD.format(world=WORLD, model=model, out=str(tmp_path))
        for _ in range(3):
            child = subprocess.Popen([sys.executable, "-c", code])
            journal, size = tmp_path / "answers.jsonl", len(_entries(tmp_path))
            while child.poll() is None and len(_entries(tmp_path)) < size + 150:
                time.sleep(0.01)
            time.sleep(rng.random() * 0.05)
            if child.poll() is None:
                os.kill(child.pid, signal.SIGKILL)
                kills += 1
            child.wait()
        assert journal.exists()
        table = roll(spec(server), tmp_path)
        twice = Counter(n for body, n in server.bodies.items() if is_step(json.loads(body)))
        in_flight = server.most_in_flight
    assert kills >= 2
    assert facts(table).equals(clean)
    assert sum((n - 1) * count for n, count in twice.items()) <= kills * in_flight
    answered: set[str] = set()
    for entry in _entries(tmp_path):
        if entry["what"] == "sent":
            assert entry["key"] not in answered
        elif entry["what"] == "reply":
            assert entry["key"] not in answered
            answered.add(entry["key"])
    assert len(answered) == 500


def _entries(folder: Path) -> list[Body]:
    path = folder / "answers.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line.partition(b" ")[2]) for line in lines]


def test_a_torn_line_is_cut_off_and_damage_is_refused(tmp_path: Path) -> None:
    with ToyServer(law(2)) as server:
        fields = spec(server, items=2, horizon=4)
        whole = roll(fields, tmp_path)
        path = tmp_path / "answers.jsonl"
        data = path.read_bytes()
        path.write_bytes(data + b'0123456789abcdef {"what":"rep')
        assert roll(fields, tmp_path).equals(whole)
        assert path.read_bytes().startswith(data)
        path.write_bytes(data.replace(b'"what":"reply"', b'"what":"rePly"', 1))
        with pytest.raises(StoreError, match=r"answers\.jsonl line \d+ is damaged"):
            roll(fields, tmp_path)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("", r"127\.0\.0\.1:9/v1"),
        (",url=http://user:pw@h/v1", "holds a name, password or query"),
        (",url=http://h/v1?key=x", "holds a name, password or query"),
        (",url=ftp://h", "give http://HOST:PORT/v1"),
        (",key=NO_SUCH_VARIABLE", "names an environment variable that is not set"),
        (",endpoint=responses", "choose from chat, completions"),
        (",score=yes", "add endpoint=completions"),
        (",top=5", "has no option 'top'"),
        (",also=top_k", "write NAME:NUMBER"),
        (",also=seed:1", "none of them ours"),
        (",also=min_p:nan", "write NAME:NUMBER"),
    ],
)
def test_a_spec_that_cannot_be_is_one_clear_line(options: str, says: str) -> None:
    url = "" if "url" in options else ",url=http://127.0.0.1:9/v1"
    model = f"openai:toy{url}{options}"
    with pytest.raises((BadOption, ServerRefused), match=says) as error:
        roll(RollSpec(WORLD, 1, model, items=1, horizon=1, prompt="chat"), terms="attempts=1,timeout=1")
    assert "pw" not in str(error.value)


def test_a_key_is_not_sent_in_clear_text_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEADRECKON_API_KEY", "canary")
    with pytest.raises(BadOption, match="clear text"):
        Wire("http://192.0.2.1/v1")


def test_an_answer_cut_by_the_context_is_a_cut_and_no_fault() -> None:
    class Short(ToyServer):
        def _post(self, http, raw, number, crowd):  # type: ignore[no-untyped-def]
            body = json.loads(raw)
            if is_step(body) and len(body["prompt"]) > 12:
                from toy_server.serve import send

                message = "This model's maximum context length is 4 tokens"
                return send(http, 400, {"error": {"message": message, "code": "context_length_exceeded"}})
            return super()._post(http, raw, number, crowd)

    with Short(law(2), Manners()) as server:
        last = roll(spec(server, items=2)).filter(pl.col("stop").is_not_null())
    assert set(last["stop"]) == {"cut"}
    assert set(last["fault_code"]) == {"context"}


def test_read_run_reads_a_served_run(tmp_path: Path) -> None:
    with ToyServer(law(2)) as server:
        table = roll(spec(server, items=2, horizon=3), tmp_path)
    assert read_run(tmp_path)[1].equals(table)

"""A key is in one header and nowhere else: not in output, logs, errors or files, in no form, over every command."""

from __future__ import annotations

import base64
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from toy_server import Manners, ToyServer, WorldLaw

from deadreckon import bench, cli, studies
from deadreckon.contracts import Privileged
from deadreckon.models import load_model
from deadreckon.models.config import GPTConfig
from deadreckon.studies.study import StudyResult
from deadreckon.train import card
from deadreckon.worlds import load_world

CANARY = "sk-canary+7/Qz=xw9"
FORMS = (
    CANARY,
    quote(CANARY, safe=""),
    base64.b64encode(CANARY.encode()).decode().rstrip("="),
    base64.b64encode(f"Bearer {CANARY}".encode()).decode().rstrip("="),
    CANARY.encode().hex(),
)


def law() -> WorldLaw:
    model = load_model("noisy-oracle:slip=0.05")
    assert isinstance(model, Privileged)
    return WorldLaw(load_world("sums"), model, 1, 20)


def leaks(data: bytes) -> list[str]:
    return [form for form in FORMS if form.encode() in data]


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["deadreckon", *words])
    try:
        cli.main()
    except SystemExit as end:
        return int(str(end.code or 0))
    return 0


def test_no_key_in_any_output_log_or_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("DEADRECKON_API_KEY", CANARY)
    monkeypatch.setenv("OTHER_KEY", CANARY)
    caplog.set_level(logging.DEBUG)
    out = [str(tmp_path / name) for name in ("good", "faulty", "wrong", "lying")]
    rolled = ["--items", "3", "--horizon", "4", "--prompt", "chat"]
    codes = []
    with ToyServer(law(), key=CANARY) as good, ToyServer(law(), key="another") as wrong:
        model = f"openai:toy,url={good.url}"
        for words in (
            ["roll", "sums", "--model", model, *rolled, "--out", out[0]],
            ["roll", "sums", "--model", model, *rolled, "--out", out[0]],
            ["roll", "sums", "--model", f"{model},key=OTHER_KEY", *rolled, "--out", out[1], "--seed", "1"],
            ["roll", "sums", "--model", f"openai:toy,url={wrong.url}", *rolled, "--out", out[2]],
            ["roll", "sums", "--model", f"openai:none,url={good.url}", *rolled, "--out", out[2]],
            ["roll", "sums", "--model", f"{model},key={CANARY}", *rolled, "--out", out[2]],
            ["doctor", good.url, "--model", "toy"],
            ["doctor", good.url, "--model", "toy", "--json", "--key", "OTHER_KEY"],
            ["doctor", wrong.url, "--model", "toy"],
            ["doctor", good.url, "--model", "toy", "--key", CANARY],
            ["measure", out[0]],
            ["measure", out[0], "--json"],
            ["report", out[0], "--out", str(tmp_path / "report")],
            ["list"],
        ):
            codes.append(run(monkeypatch, *words))
    with ToyServer(law(), Manners(defects=frozenset(["temperature_ignored"])), key=CANARY, faults=0.1) as lying:
        lying.stall_s = 0.3
        words = ["roll", "sums", "--model", f"openai:toy,url={lying.url}", *rolled, "--out", out[3]]
        codes.append(run(monkeypatch, *words, "--terms", "timeout=0.2,backoff=0.01"))
    assert codes == [0, 0, 0, 2, 2, 2, 0, 0, 2, 2, 0, 0, 0, 0, 2]
    shown = capsys.readouterr()
    logged = "\n".join([*(record.getMessage() for record in caplog.records), caplog.text])
    assert "httpcore2" in logged  # the lowest level of the client does log
    assert "refuses with status 401" in shown.err
    for text in (shown.out, shown.err, logged):
        assert leaks(text.encode()) == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 8
    assert [path.name for path in files if leaks(path.read_bytes())] == []


def test_ctrl_c_keeps_what_was_answered(tmp_path: Path) -> None:
    with ToyServer(law()) as server:
        server.pause_s = 0.02
        words = [sys.executable, "-m", "deadreckon.cli", "roll", "sums", "--model", f"openai:toy,url={server.url}"]
        words += ["--prompt", "chat", "--items", "20", "--horizon", "24", "--out", str(tmp_path)]
        child = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        journal = tmp_path / "answers.jsonl"
        while not journal.exists() or journal.read_bytes().count(b'"reply"') < 40:
            assert child.poll() is None, child.communicate()
            time.sleep(0.02)
        os.killpg(child.pid, signal.SIGINT)
        _, err = child.communicate(timeout=60)
        assert child.returncode == 130
        assert err == "deadreckon: interrupted; what is committed is kept, the same command resumes it\n"
        lines = journal.read_text().splitlines()
        ends = sum('"what":"reply"' in line or '"what":"back"' in line for line in lines) - 1  # less the contract's
        assert ends == sum('"what":"sent"' in line for line in lines)  # nothing was left under way
        server.pause_s = 0.0
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert len({body for body, n in server.bodies.items() if n > 1 and '"stop": ["\\n"]' in body}) == 0


VARIABLES = ("DEADRECKON_API_KEY", "OTHER_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN", "AWS_SECRET_KEY")
RECIPE = """
[text]
worlds = ["sums"]
level = 1
regime = "clean"
[size]
layers = 1
width = 32
context = 116
[fit]
steps = 2
rows = 2
"""


def test_no_secret_of_the_environment_in_anything_that_any_command_writes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    synthetic_study: StudyResult,
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setattr(studies, "run_study", lambda *_args, **_rest: synthetic_study)
    monkeypatch.setattr(card, "ITEMS", 2)
    monkeypatch.setattr(bench, "SIZES", {"1M": GPTConfig(vocab=16, context=16, layers=1, width=32, head=32)})
    monkeypatch.setattr(bench, "BATCH", 8)
    caplog.set_level(logging.DEBUG)
    (tmp_path / "tiny.toml").write_text(RECIPE)
    chat = Path(__file__).parents[1] / "logs" / "chat" / "chat.jsonl"
    run_, out = str(tmp_path / "run"), lambda name: ["--out", str(tmp_path / name)]
    oracle = ["--items", "4", "--horizon", "4", "--workers", "2"]
    with ToyServer(law(), key=CANARY) as server:
        commands = [
            ["roll", "sums", "--model", "noisy-oracle:slip=0.1", *oracle, *out("run")],
            [
                "roll",
                "sums",
                "--model",
                f"openai:toy,url={server.url}",
                "--items",
                "2",
                "--prompt",
                "chat",
                *out("api"),
            ],
            ["doctor", server.url, "--model", "toy"],
            ["measure", run_, "--json"],
            ["report", run_, *out("report")],
            ["export", run_, *out("log.json")],
            ["export", run_, *out("steps.csv")],
            ["fit", str(chat), *out("fit.html")],
            ["fit", str(chat), "--json"],
            ["train", str(tmp_path / "tiny.toml"), *out("weights")],
            ["demo", *out("demo")],
            ["study", "errors_compound", "--json", *out("study")],
            ["validate", "--topic", "geometric", "--minutes", "0", "--workers", "1", *out("validation")],
            ["bench", "--quick", "--runs", "1"],
            ["list"],
        ]
        codes = {" ".join(words[:2]): run(monkeypatch, *words) for words in commands}
    known = {one.name or one.callback.__name__ for one in cli.app.registered_commands if one.callback}
    assert {words[0] for words in commands} == known
    assert max(codes.values()) <= 1, codes  # 1: a check of a fresh validation or of a server is open
    shown = capfd.readouterr()
    assert all(word in shown.out for word in ("use it as gpt:", "recovery_rate", "matmul_peak", "replay: yes"))
    for text in (shown.out, shown.err, caplog.text):
        assert leaks(text.encode()) == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 15
    assert [path.name for path in files if leaks(path.read_bytes())] == []

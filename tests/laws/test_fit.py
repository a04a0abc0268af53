"""`fit` as a user meets it: the command, its formats, its first line, its sentences, a checker; torch never loaded."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from deadreckon.cli import app
from deadreckon.contracts import Event, Stop
from deadreckon.errors import BadLog, BadOption, UnknownName
from deadreckon.logs import readers
from deadreckon.logs.checker import check_run, load_checker
from deadreckon.logs.judge import by_default, failed
from deadreckon.logs.record import Message, Options, Record, Step
from deadreckon.logs.tables import Builder, join_logs, outcome_table, step_table
from deadreckon.report.fit import fit_json
from deadreckon.rollouts.export import table_bytes
from deadreckon.schema import COLUMNS, json_schema
from deadreckon.studies.fit import FitSpec, fit
from deadreckon.studies.names import names

ROOT = Path(__file__).parents[2]


def steps(path: Path, models: tuple[str, ...] = ("",)) -> Path:
    """30 items, 2 runs of each, 8 steps; every seventh step is wrong."""
    rows = [
        {"model": m, "item": f"t{i}", "rollout": r, "step": t, "ok": (i * 13 + r * 5 + t * 3 + len(m)) % 7 > 0}
        for m in models
        for i in range(30)
        for r in range(2)
        for t in range(8)
    ]
    path.write_bytes(table_bytes(pl.DataFrame(rows), path.suffix))
    return path


def run(folder: Path, *words: str, block: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own; `block`: modules that cannot be imported there."""
    code = f"import sys\nfor name in {block.split()!r}: sys.modules[name] = None\n"
    code += "from deadreckon.cli import main\nmain()\n"
    env = os.environ | {"COLUMNS": "120"}
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=env)


# --- The command ----------------------------------------------------------------------------------------


def test_a_csv_is_read_where_neither_torch_nor_a_plotter_is_installed(tmp_path: Path) -> None:
    steps(tmp_path / "runs.csv")
    done = run(tmp_path, "fit", "runs.csv", "-o", "steps.csv", block="torch safetensors altair vl_convert transformers")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("steps-only: 480 judged steps in 60 runs of 30 items; hazard by step, recovery")
    assert "hazard" in done.stdout
    assert done.stderr == ""
    again = pl.read_csv(tmp_path / "steps.csv")
    assert again.height == 480
    assert set(again.columns) <= set(COLUMNS)


def test_the_page_opens_alone_and_draws_survival_and_hazard(tmp_path: Path) -> None:
    steps(tmp_path / "runs.csv")
    done = run(tmp_path, "fit", "runs.csv", "-o", "report.html")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "report.html").read_text()
    assert "Survival to the first error" in page
    assert "Hazard by step" in page
    assert "In words" in page
    assert "deadreckon fit runs.csv -o report.html" in page
    assert "://" not in page


def test_the_help_alone_is_enough_for_a_csv() -> None:
    (command,) = (c for c in app.registered_commands if getattr(c.callback, "__name__", "") == "fit")
    assert command.callback is not None
    told = command.callback.__doc__ or ""
    assert "deadreckon fit runs.csv --item task --rollout run --step n --ok correct" in told
    assert "deadreckon fit runs.csv --item task --success passed --length minutes" in told


# --- Tables ---------------------------------------------------------------------------------------------


def test_every_table_format_gives_the_same_answer(tmp_path: Path) -> None:
    told = {
        suffix: fit_json(fit(FitSpec((steps(tmp_path / f"a{suffix}"),)))) for suffix in (".csv", ".jsonl", ".parquet")
    }
    tabs = tmp_path / "a.tsv"
    tabs.write_text((tmp_path / "a.csv").read_text().replace(",", "\t"))
    told[".tsv"] = fit_json(fit(FitSpec((tabs,))))
    assert len(set(told.values())) == 1


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("True", "False"), ("1", "0"), ("1.0", "0.0"), ("Correct", "incorrect"), ("PASS", "fail"), ("C", "I")],
)
def test_right_and_wrong_are_understood_in_many_words(tmp_path: Path, right: str, wrong: str) -> None:
    rows = ["item,ok", *(f"t{i // 4},{' ' + right if i % 3 else wrong}" for i in range(40)), "t9,n/a", "t9,"]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    found = fit(FitSpec((tmp_path / "a.csv",)))
    assert found.logged.steps["true_state"].sum() == sum(i % 3 > 0 for i in range(40))
    assert found.logged.unjudged == 2
    assert any("2 steps without a verdict left out" in line for line in found.more)


def test_rows_in_any_order_are_the_same_runs(tmp_path: Path) -> None:
    one = steps(tmp_path / "a.csv")
    head, *rows = one.read_text().split()
    (tmp_path / "b.csv").write_text("\n".join([head, *sorted(rows, key=lambda row: row[::-1])]))
    a, b = (fit(FitSpec((path,))).readings for path in (one, tmp_path / "b.csv"))
    kept = ("hazard", "survival", "recovery_rate", "weibull_shape")
    assert [r for r in a if r.quantity in kept] == [r for r in b if r.quantity in kept]


def test_two_models_in_one_table_are_two_groups_unasked(tmp_path: Path) -> None:
    found = fit(FitSpec((steps(tmp_path / "a.csv", ("left", "right")),)))
    assert found.groups == ("left", "right")
    assert "by 2 models" in found.allows
    pairs = {"left - right: hazard", "left - right: share on track after 8 steps"}
    assert {r.by for r in found.readings} == {"left", "right"} | pairs


PEAK = """
import resource, sys
from pathlib import Path
from deadreckon.logs.record import Options
from deadreckon.studies.fit import FitSpec, read_logs
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
print(read_logs(FitSpec((Path(sys.argv[1]),))).steps.height, peak() - before)
"""


def test_a_long_file_is_never_held(tmp_path: Path) -> None:
    """130 MiB of text beside 60,000 verdicts: what is held grows with the steps, not with the text."""
    path, text = tmp_path / "long.jsonl", "x" * 2400
    with path.open("w") as file:
        for i in range(60_000):
            row = {"item": i % 1000, "rollout": i // 20_000, "step": i // 1000 % 20, "ok": i % 7 > 0, "text": text}
            file.write(json.dumps(row) + "\n")
    assert path.stat().st_size > 130 << 20
    done = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
    height, grown = map(int, done.stdout.split())
    assert height == 60_000
    assert grown < 80  # MiB


# --- The answer -----------------------------------------------------------------------------------------


def test_the_first_line_says_what_is_missing_and_what_would_give_it(tmp_path: Path) -> None:
    rows = ["task,passed", *(f"t{i % 60},{int(i % 3 > 0)}" for i in range(412))]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    found = fit(FitSpec((tmp_path / "a.csv",), Options(columns={"item": "task", "success": "passed"})))
    assert found.allows == (
        "outcome-only: 412 runs of 60 items; success and repeats, no lengths; no hazard by step, no recovery"
    )
    assert any("--checker module:function" in line for line in found.more)
    assert any("--length" in line for line in found.more)


def test_every_sentence_is_bound_to_readings_and_gives_their_figures(tmp_path: Path) -> None:
    found = fit(FitSpec((steps(tmp_path / "a.csv", ("left", "right")),)))
    assert 0 < len(found.summary) <= 10
    told = json.loads(fit_json(found))
    for said in told["summary"]:
        bound = [told["readings"][place] for place in said["readings"]]
        known = [reading[end] for reading in bound for end in ("value", "low", "high") if reading[end] is not None]
        allowed = {f"{value:.{digits}g}" for value in known for digits in (2, 3)} | {"1", "8"}  # constant is 1, 8 steps
        figures = re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", said["text"].partition(": ")[2])
        assert figures
        assert set(figures) <= allowed, said["text"]
    assert told["allows"] == found.allows


def test_readings_bear_the_names_of_measure(tmp_path: Path) -> None:
    rows = ["item,model,minutes,passed,cut,released"]
    rows += [
        f"t{i},{m},{2 ** (i % 5)},{i % 3 % 2},{int(i % 9 == 0)},2025-0{m}-01" for i in range(60) for m in (1, 2, 3)
    ]
    (tmp_path / "b.csv").write_text("\n".join(rows))
    columns = {"success": "passed", "length": "minutes", "censored": "cut"}
    for ask in (
        FitSpec((steps(tmp_path / "a.csv", ("left", "right")),)),
        FitSpec((tmp_path / "b.csv",), Options(columns=columns)),
    ):
        assert {r.quantity for r in fit(ask).readings} <= set(names("readings"))


# --- Records of other tools -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Planted:
    """A format of one line: "planted N", N runs of two messages."""

    name: str = "planted"
    line: str = "for this test"

    def knows(self, path: Path, head: bytes) -> bool:
        return head.startswith(b"planted")

    def read(self, path: Path, options: Options) -> Iterator[Record]:
        for i in range(int(path.read_text().split()[1])):
            messages = (
                Message("user", "go"),
                Message("assistant", "ls", tool="sh", tokens=5),
                Message("tool", "exit code: 0", tool="sh"),
                Message("assistant", "rm x", tool="sh", tokens=7),
                Message("tool", "Exit code: 1" if i % 3 == 0 else "done", tool="sh"),
                Message("assistant", "bye"),
            )
            stop = Stop.CUT if i % 10 == 9 else Stop.DONE
            yield Record(
                f"t{i // 2}", str(i % 2), "m", messages=messages, success=float(i % 3 > 0), stop=stop, line=i + 1
            )


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(readers, "READERS", {"planted": Planted()})
    monkeypatch.setattr("deadreckon.studies.fit.READERS", {"planted": Planted()})
    (tmp_path / "a.log").write_text("planted 60")
    return tmp_path


def test_a_known_log_is_judged_by_default_where_it_states_nothing(planted: Path) -> None:
    found = fit(FitSpec((planted,)))  # the folder
    assert found.allows.startswith("steps and outcomes: 120 judged steps in 60 runs of 30 items")
    assert "default rules" in found.allows
    assert found.logged.unjudged == 60  # the last message of each run called no tool
    of = {r.quantity: r for r in found.readings}
    assert of["hazard"].value == pytest.approx(20 / 120)
    assert of["success_rate"].value == pytest.approx(2 / 3)


def test_a_checker_judges_messages_instead(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (planted / "verdicts.py").write_text(
        "def check(messages, record):\n    return [m.text != 'rm x' for m in messages if m.role == 'assistant']\n"
    )
    monkeypatch.chdir(planted)
    found = fit(FitSpec((planted / "a.log",), checker="verdicts:check"))
    assert "judged by your checker" in found.allows
    of = {r.quantity: r for r in found.readings}
    assert of["hazard"].value == pytest.approx(1 / 2)
    assert of["recovery_rate"].value == 1


def test_a_group_that_is_not_there_is_answered_with_the_nearest(planted: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'model'"):
        fit(FitSpec((planted / "a.log",), by="modle"))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def check(messages, record):\n    return messages[99]\n", "the checker failed on item 't7': IndexError"),
        ("def check(messages, record):\n    return ['yes']\n", "verdict 0 is 'yes', not True, False or None"),
        ("def check(messages, record):\n    return None\n", "TypeError"),
    ],
)
def test_what_a_checker_does_wrong_is_one_line_with_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    (tmp_path / f"bad{abs(hash(code))}.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    checker = load_checker(f"bad{abs(hash(code))}:check")
    with pytest.raises(BadLog, match=r"^runs.jsonl:3: .*") as caught:
        check_run(checker, Record("t7"), "runs.jsonl:3")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_checker_that_cannot_be_loaded_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_checks.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    for name, said in (
        ("check", "name it module:function"),
        ("none_such:check", "importing none_such failed: ModuleNotFoundError"),
        ("broken_checks:check", "ZeroDivisionError: division by zero (line 1 of broken_checks.py)"),
        ("json:check", "json has no function check"),
    ):
        with pytest.raises(BadOption) as caught:
            load_checker(name)
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "error", "wrong"),
    [
        ("all good", "", False),
        ("all good", "timeout", True),
        ("...\nexit code: 0", "", False),
        ("Process exited with code 127", "", True),
        ('{"returncode": 2, "stdout": ""}', "", True),
        ("exit status 0\nexit status 1", "", True),
        ("Traceback (most recent call last):\n  ...\nValueError", "", True),
        ("the exit code of life", "", False),
        ("x" * 10_000 + "\nExit code: 3", "", True),
    ],
)
def test_a_failed_command_is_told_by_its_words(text: str, error: str, wrong: bool) -> None:
    assert failed(Message("tool", text, error)) is wrong


def test_a_step_is_wrong_if_any_of_its_tools_failed_and_unjudged_if_none_answered() -> None:
    messages = [
        Message("system", "s"), Message("assistant", "a"), Message("tool", "", "no such file"), Message("tool", "x"),
        Message("assistant", "b"), Message("user", "and?"), Message("assistant", "c", tokens=3), Message("tool", "x"),
    ]  # fmt: skip
    assert [step.ok for step in by_default(messages)] == [False, None, True]
    assert by_default(messages)[2].tokens == 3


# --- The step table -------------------------------------------------------------------------------------


def test_the_schema_is_the_one_in_the_docs() -> None:
    """Written anew by json.dumps(json_schema(), indent=1)."""
    assert json.loads((ROOT / "docs" / "step-table.schema.json").read_text()) == json_schema()


def test_records_become_a_step_table_and_an_outcome_table() -> None:
    builder = Builder()
    verdicts = [
        Step(True, confidence=0.9),
        Step(None),
        Step(False, Event.ILLEGAL, state_ok=False),
        Step(True, state_ok=False),
    ]
    builder.add(
        Record("a", "0", "m", "task1", success=0.0, stop=Stop.CUT, fault_code="tokens", lengths={"steps": 4}),
        verdicts,
        "log",
    )
    builder.add(Record("a", "0", "m", "task2", success=None, weight=2.0), [], "")
    logged = join_logs([builder.finish()])
    table = step_table(logged)
    assert list(table.columns) == [name for name in COLUMNS if name in table.columns]
    assert table["item"].to_list() == ["task1/a"] * 3
    assert table["t"].to_list() == [0, 1, 2]
    assert table["event"].to_list() == ["right", "illegal", "right"]
    assert table["true_state"].to_list() == [True, False, False]
    assert table["stop"].to_list() == [None, None, "cut"]
    assert table["fault_code"].to_list() == [None, None, "tokens"]
    assert logged.unjudged == 1
    outcomes = outcome_table(logged)
    assert outcomes["item"].to_list() == ["task1/a", "task2/a"]
    assert outcomes["success"].to_list() == [0.0, None]
    assert outcomes["length_steps"].to_list() == [4.0, None]


def test_rollouts_are_numbered_within_model_and_item_over_all_files() -> None:
    parts = []
    for _ in range(2):
        builder = Builder()
        for item, model in (("a", "m"), ("b", "m"), ("a", "n")):
            builder.add(Record(item, "0", model, success=1.0), [Step(True)], "log")
        parts.append(builder.finish())
    joined = join_logs(parts)
    places = [(item, t) for t in (0, 1) for item in ("a", "b", "a")]
    assert step_table(joined).select("item", "rollout").rows() == places
    assert joined.notes == ("3 run(s) bear the model, item and repeat of another: counted as further repeats",)


def test_a_word_and_a_verdict_that_disagree_are_refused() -> None:
    with pytest.raises(BadLog, match="one of the two is wrong"):
        Builder().add(Record("a"), [Step(True, Event.SLIP)], "log")

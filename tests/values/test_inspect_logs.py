"""Logs written by Inspect AI itself read to what its own API says of them (tests/logs/make_inspect.py writes both)."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from deadreckon.contracts import Event, Stop
from deadreckon.logs.inspect_json import InspectJson
from deadreckon.logs.inspect_zip import InspectZip
from deadreckon.logs.record import Options, Record

LOGS = Path(__file__).parents[1] / "logs"
FILES = sorted(
    path for path in LOGS.glob("inspect-*/*") if path.suffix in (".eval", ".json") and ".said" not in path.name
)
VALUES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}


def read(path: Path, **options: object) -> list[Record]:
    pytest.importorskip("zstandard")
    reader = InspectZip() if path.suffix == ".eval" else InspectJson()
    assert reader.knows(path, path.read_bytes()[: 64 << 10])
    return list(reader.read(path, Options(**options)))  # type: ignore[arg-type]


def said(path: Path) -> dict:
    return json.loads(path.with_name(f"{path.name}.said.json").read_text(encoding="utf-8"))


def numbers(scores: dict) -> dict[str, float]:
    found = {}
    for name, value in scores.items():
        parts = {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
        found |= {key: VALUES.get(one, one) for key, one in parts.items()}
    return found


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def log(version: str, file: str) -> Path:
    return LOGS / f"inspect-{version}" / file


@pytest.mark.parametrize("path", FILES, ids=name)
def test_samples_scores_errors_and_limits_are_those_of_the_tools_own_api(path: Path) -> None:
    theirs = {(str(one["id"]), str(one["epoch"])): one for one in said(path)["samples"]}
    ours = read(path)
    assert [(run.item, run.repeat) for run in ours] == list(dict.fromkeys((run.item, run.repeat) for run in ours))
    assert {(run.item, run.repeat) for run in ours} == theirs.keys()
    for run in ours:
        one = theirs[run.item, run.repeat]
        assert run.task == said(path)["task"]
        assert run.model == said(path)["model"]
        assert run.scores == pytest.approx(numbers(one["scores"]), nan_ok=True)
        assert (run.stop == Stop.FAULT) == bool(one["error"])
        assert (run.stop == Stop.CUT) == bool(one["limit"])
        assert run.fault_code == (one["limit"] or (one["error"] or "").partition("(")[0])
        assert run.lengths["tokens"] == one["output_tokens"]
        assert run.lengths["seconds"] == pytest.approx(one["seconds"])


@pytest.mark.parametrize("path", FILES, ids=name)
def test_messages_are_those_of_the_tools_own_api_with_attachments_put_in(path: Path) -> None:
    theirs = {(str(one["id"]), str(one["epoch"])): one["messages"] for one in said(path)["samples"]}
    for run in read(path):
        assert [message.role for message in run.messages] == [role for role, _ in theirs[run.item, run.repeat]]
        for message, (_, text) in zip(run.messages, theirs[run.item, run.repeat], strict=True):
            assert message.text.partition("\n")[0] == text  # tool calls follow on lines of their own
        assert all(bool(message.tokens) == (message.role == "assistant") for message in run.messages)


@pytest.mark.parametrize("path", [path for path in FILES if "crashed" not in path.name], ids=name)
def test_counts_are_those_of_samples_df_and_means_those_of_its_metrics(path: Path) -> None:
    theirs, ours = said(path), read(path)
    if path.suffix == ".eval":
        assert len(ours) == theirs["rows_of_samples_df"]
        assert sum(run.stop == Stop.FAULT for run in ours) == theirs["errors_of_samples_df"]
        assert sum(run.stop == Stop.CUT for run in ours) == theirs["limits_of_samples_df"]
    for metric, (score, mean) in {
        "letter": ("letter", "accuracy"),
        "right": ("parts.right", "mean"),
        "style": ("parts.style", "mean"),
    }.items():
        if metric in theirs["metrics"]:
            known = [run.scores[score] for run in ours if not math.isnan(run.scores.get(score, math.nan))]
            assert sum(known) / len(known) == pytest.approx(theirs["metrics"][metric][mean])


@pytest.mark.parametrize("version", ["0.3.285", "0.3.180"])
def test_an_intermediate_score_judges_the_turn_before_it_and_a_graders_call_is_no_step(version: str) -> None:
    path = log(version, "judged.eval")
    theirs = {(str(one["id"]), str(one["epoch"])): one["intermediate"] for one in said(path)["samples"]}
    verdicts = {"C": True, "I": False}
    for run in read(path):
        judged = [verdicts.get(value) for value in theirs[run.item, run.repeat]]
        assert run.judged_by == "intermediate score"
        assert [step.ok for step in run.steps] == [*judged, None]  # the last turn stops, and nobody judges it
        assert run.lengths["steps"] == len(run.steps) == len(judged) + 1


@pytest.mark.parametrize("version", ["0.3.285", "0.3.180"])
def test_an_unscored_sample_has_no_success_and_is_not_zero(version: str) -> None:
    runs = read(log(version, "judged.eval"))
    assert {run.item for run in runs if run.success is None} == {"vier ü"}


@pytest.mark.parametrize("file", ["tools.eval", "tools-chunked.eval"])
def test_a_failed_tool_call_judges_its_turn(file: str) -> None:
    path = log("0.3.285", file)
    runs = {run.item: run for run in read(path)}
    assert [step.ok for step in runs["t0"].steps] == [True, True, False, True, None]
    assert [step.ok for step in runs["t1"].steps] == [False, True, None]
    assert runs["t1"].steps[0].event == Event.UNPARSED
    assert runs["t3"].steps == ()
    assert runs["t0"].judged_by == "tool error"
    assert [message.error for message in runs["t0"].messages if message.error] == ["division by zero"]
    for one in said(path)["samples"]:
        assert sum(step.ok is False for step in runs[one["id"]].steps) == one["tool_errors"]


@pytest.mark.parametrize("version", ["0.3.285", "0.3.180"])
@pytest.mark.parametrize("file", ["named.eval", "named.json"])
def test_a_step_list_in_a_scores_metadata_judges_the_steps(version: str, file: str) -> None:
    runs = read(log(version, file))
    assert [[step.ok for step in run.steps] for run in runs] == [[True, False], [True, True]]
    assert [step.action for step in runs[0].steps] == ["fine", "wrong"]
    assert {run.judged_by for run in runs} == {"step list"}


def test_the_success_is_the_score_that_is_asked_for() -> None:
    path = log("0.3.285", "named.eval")
    assert [run.success for run in read(path)] == [1.0, 0.0]
    assert [run.success for run in read(path, score="parts.style")] == [0.5, 0.5]
    assert [run.success for run in read(path, score="letter")] == [1.0, 1.0]


@pytest.mark.parametrize("version", ["0.3.285", "0.3.180"])
def test_the_log_probability_of_a_turn_is_the_sum_over_its_tokens(version: str) -> None:
    run = next(run for run in read(log(version, "judged.eval")) if run.item == "1")
    turns = [message for message in run.messages if message.role == "assistant"]
    assert [message.logp for message in turns] == [-0.25, -0.25 - 0.5 - 0.75, -0.25, -0.25, -0.25]
    assert [step.logp for step in run.steps] == [message.logp for message in turns]


@pytest.mark.parametrize("version", ["0.3.285", "0.3.180"])
def test_a_crashed_log_is_read_as_far_as_it_goes(version: str) -> None:
    path = log(version, "crashed.eval")
    assert said(path)["status"] == "started"
    assert [run.item for run in read(path)] == ["0", "1", "2"]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_without_messages_everything_else_is_the_same(path: Path) -> None:
    for full, lean in zip(read(path), read(path, messages=False), strict=True):
        assert lean.messages == ()
        assert (lean.success, lean.stop, lean.lengths, lean.judged_by) == (
            full.success, full.stop, full.lengths, full.judged_by,
        )  # fmt: skip
        assert [step.ok for step in lean.steps] == [step.ok for step in full.steps]


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".eval"], ids=name)
def test_outcomes_alone_are_those_of_the_samples(path: Path) -> None:
    def outcomes(runs: list[Record]) -> list[tuple]:
        sizes = [{unit: size for unit, size in run.lengths.items() if unit != "steps"} for run in runs]
        ends = [(run.item, run.repeat, run.success, repr(run.scores), run.stop, run.fault_code) for run in runs]
        return sorted((*end, repr(size)) for end, size in zip(ends, sizes, strict=True))

    assert outcomes(read(path, messages=False, steps=False)) == outcomes(read(path))


def test_chunked_samples_read_as_whole_ones() -> None:
    whole, parts = read(log("0.3.285", "tools.eval")), read(log("0.3.285", "tools-chunked.eval"))
    assert sorted(map(repr, whole)) == sorted(map(repr, parts))

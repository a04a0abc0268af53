"""A run written as an Inspect log says what its step table says."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from deadreckon.contracts import ERRORS
from deadreckon.errors import BadOption, StoreError
from deadreckon.rollouts.export import export_run
from deadreckon.rollouts.inspect_log import inspect_log
from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.rollouts.store import read_run
from deadreckon.rollouts.table import Origin, Step, from_steps


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "noisy"
    roll(RollSpec("sums", 1, "noisy-oracle:slip=0.1,recover=0.2", items=12, repeats=2, horizon=10), folder)
    return folder


def test_every_rollout_is_a_sample_and_every_step_an_event(run: Path, tmp_path: Path) -> None:
    export_run(run, tmp_path / "a.json")
    log = json.loads((tmp_path / "a.json").read_text())
    table = read_run(run)[1]
    assert log["version"] == 2
    assert len(log["samples"]) == log["results"]["total_samples"] == 24
    for sample in log["samples"]:
        rows = table.filter((pl.col("item") == sample["id"]) & (pl.col("rollout") == sample["epoch"] - 1)).sort("t")
        told = [event["data"] for event in sample["events"]]
        assert [data["event"] for data in told] == rows["event"].to_list()
        assert [data["state"] for data in told] == rows["state"].to_list()
        assert [data["true_state"] for data in told] == rows["true_state"].to_list()
        score = sample["scores"]["error_free"]
        assert [step["ok"] for step in score["metadata"]["steps"]] == (~rows["event"].is_in(ERRORS)).to_list()
        assert score["value"] == float(not rows["event"].is_in(ERRORS).any())
        said = [m["content"] for m in sample["messages"] if m["role"] == "assistant"]
        assert said == [(thought or "") + action for thought, action in rows.select("thought", "action").iter_rows()]


def test_a_rollout_cut_before_its_first_error_is_unscored_and_a_fault_is_an_error(tmp_path: Path) -> None:
    """Read as JSON with NaN, as Inspect writes it: unscored."""
    origin = Origin("r", "w", 1, "m", None, "plain")
    good, slip = Step(0, "right", True, None, False), Step(0, "slip", False, None, False)
    ends = [Step(1, None, None, None, False, stop=stop, fault_code="tokens") for stop in ("cut", "cut", "fault")]
    rollouts = [(i, 0, [first, end]) for i, (first, end) in enumerate(zip((good, slip, good), ends, strict=True))]
    spec = {"model": "m", "world": "w", "scaffold": "plain", "repeats": 1}
    log = json.loads(inspect_log(spec, from_steps(origin, rollouts), datetime(2026, 1, 1, tzinfo=UTC)))
    values = [sample["scores"]["error_free"]["value"] for sample in log["samples"]]
    assert math.isnan(values[0])
    assert values[1] == 0
    assert math.isnan(values[2])
    assert log["samples"][2]["error"]["message"] == "tokens"
    assert log["results"]["scores"][0]["unscored_samples"] == 2


def test_a_folder_gets_a_name_that_inspect_lists(run: Path, tmp_path: Path) -> None:
    assert "24 samples" in export_run(run, tmp_path / "logs")
    (file,) = (tmp_path / "logs").iterdir()
    assert file.name[4] == file.name[7] == "-"
    assert "T" in file.name[:14]
    assert file.name.endswith(".json")


def test_inspect_reads_it_with_its_own_api(run: Path, tmp_path: Path) -> None:
    theirs = pytest.importorskip("inspect_ai.log")
    export_run(run, tmp_path / "a.json")
    log = theirs.read_eval_log(str(tmp_path / "a.json"))
    assert (log.status, len(log.samples), log.eval.model) == ("success", 24, "noisy-oracle:slip=0.1,recover=0.2")


def test_what_cannot_be_written_is_one_line(run: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"a run is written as \.json"):
        export_run(run, tmp_path / "a.xlsx")
    with pytest.raises(StoreError, match="not a run folder"):
        export_run(tmp_path, tmp_path / "a.csv")

"""The bench compares ratios of one run, and refuses a lost one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deadreckon import bench
from deadreckon.bench import Figure
from deadreckon.cli import app
from deadreckon.errors import BadOption
from deadreckon.models.config import GPTConfig


def figures(ratio: float) -> list[Figure]:
    return [Figure("1M torch", 100.0, 0.4, 1.0), Figure("1M bf16", 100.0 * ratio, 0.6, ratio)]


def test_a_ratio_may_lose_fifteen_hundredths_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text('{"another machine": {"1M bf16": 1.0}}')
    bench.keep(figures(6.0), path)
    assert json.loads(path.read_text())["another machine"] == {"1M bf16": 1.0}
    bench.keep(figures(6.5), path)  # one lucky run raises nothing
    assert bench.lost(figures(5.2), path) == []
    assert bench.lost(figures(5.0), path) == ["1M bf16: 5.00 times torch, 6.00 is kept"]
    assert bench.lost(figures(float("nan")), path) != []


def test_a_baseline_of_no_use_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "baseline.json"
    with pytest.raises(BadOption, match="cannot be read as a baseline"):
        bench.lost(figures(6.0), path)
    bench.keep(figures(6.0), path)
    monkeypatch.setattr(bench, "cpu_name", lambda: "a new processor")
    with pytest.raises(BadOption, match="has no ratios for a new processor"):
        bench.lost(figures(6.0), path)


def test_it_measures_every_engine_that_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SIZES", {"1M": GPTConfig(16, 16, 1, 32, 32)})
    monkeypatch.setattr(bench, "REFERENCE_ROWS", 8)
    path = tmp_path / "baseline.json"
    done = CliRunner().invoke(app, ["bench", "--quick", "--runs", "1", "--baseline", str(path), "--keep"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)["figures"]
    assert found["1M torch"]["ratio_to_torch"] == 1.0
    assert all(one["symbols_per_cpu_second"] > 100 for one in found.values())
    assert all(one["ratio_to_torch"] > 0.0 for one in found.values())
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({name: dict.fromkeys(ratios, 1000000000.0) for name, ratios in kept.items()}))
    again = CliRunner().invoke(app, ["bench", "--quick", "--runs", "1", "--baseline", str(path)])
    assert again.exit_code == 1
    assert "times torch, 1000000000.00 is kept" in again.output


def test_an_unknown_size_is_one_clear_line() -> None:
    with pytest.raises(BadOption, match="choose from 1M, 3M"):
        bench.measure(["7B"])

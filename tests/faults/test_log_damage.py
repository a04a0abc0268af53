"""Damaged logs are a typed error or a right table, in bounded memory; the larger run is `log_fuzz.py`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from log_fuzz import FIXTURES, Fuzz

from deadreckon.errors import BadLog
from deadreckon.logs.chat import Chat
from deadreckon.logs.record import Caps, Options
from deadreckon.logs.reflexion import Reflexion
from deadreckon.logs.tau_bench import TauBench

TIMES = 200


@pytest.mark.parametrize("name", FIXTURES)
def test_a_damaged_log_is_a_typed_error_or_a_right_table(name: str, tmp_path: Path) -> None:
    fuzz, rng = Fuzz(name, tmp_path), random.Random(f"suite {name}")
    errors = sum(fuzz.once(rng) for _ in range(TIMES))
    assert 0 < errors < TIMES  # both happen, or the damage is not what it should be


@pytest.mark.parametrize("name", [name for name in FIXTURES if name.endswith(".jsonl")])
def test_a_log_cut_off_between_lines_is_its_beginning(name: str, tmp_path: Path) -> None:
    fuzz = Fuzz(name, tmp_path)
    lines = fuzz.data.splitlines(keepends=True)
    for n in range(len(lines)):
        fuzz.path.write_bytes(b"".join(lines[:n]))
        assert repr(fuzz.read()) == repr([record for record in fuzz.whole if record.line <= n])


def test_caps_hold_for_one_element_of_an_array(tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    path.write_text('[{"task_id": 1, "reward": 1, "info": {}, "traj": [], "x": "' + "a" * (2 << 20) + '"}]')
    with pytest.raises(BadLog, match=r"longer than 1,000 bytes"):
        list(TauBench().read(path, Options(caps=Caps(line_bytes=1000))))
    path.write_text('[{"task_id": 1, "x": ' + "[" * 80 + "]" * 80 + "}]")
    with pytest.raises(BadLog, match="nested more than 64 deep"):
        list(TauBench().read(path, Options()))


def test_a_run_without_an_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "trial_0.log"
    path.write_text("\n#####\n\nEnvironment #0:\n" + "> a\nb\n" * 50_000)
    with pytest.raises(BadLog, match="a run too long to hold"):
        list(Reflexion().read(path, Options(caps=Caps(parsed_bytes=1 << 20))))


def test_arguments_nested_without_end_are_a_malformed_call(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    call = '{"id": "c", "function": {"name": "f", "arguments": "' + "[" * 5000 + '"}}'
    path.write_text('{"id": 1, "messages": [{"role": "assistant", "tool_calls": [' + call + "]}]}")
    (record,) = Chat().read(path, Options())
    assert record.messages[0].error == "the arguments of the call to f are no JSON object"

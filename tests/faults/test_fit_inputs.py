"""What is wrong with a table or a question of `fit` is one line: fact, value, remedy."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from deadreckon.errors import BadLog, DeadreckonError
from deadreckon.logs.columns import read_columns
from deadreckon.logs.record import Caps, Options
from deadreckon.rollouts.export import table_bytes
from deadreckon.studies.fit import FitSpec, fit

GOOD = "item,rollout,step,ok\n" + "\n".join(f"t{i % 9},{i // 90},{i // 9 % 10},{i % 7 > 0}" for i in range(270)) + "\n"


def ask(path: Path, by: str = "", checker: str = "", format: str = "", **columns: str) -> FitSpec:
    return FitSpec((path,), Options(columns=columns), format, by, checker)


def refused(asked: FitSpec) -> str:
    with pytest.raises(DeadreckonError) as caught:
        fit(asked)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 600
    return said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("item,ok\na,yes\nb,maybe\n", "row 2: ok is 'maybe', it must be true/false, 1/0"),
        ("item,ok\na,yes\nb,0.5\n", "row 2: ok is '0.5'"),
        ("item,ok\na,yes\n,no\n", "row 2: item is empty, it must be the name of the task"),
        ("item,step,ok\na,1,yes\na,1.5,no\n", "row 2: step is '1.5', it must be a whole number"),
        ("item,step,ok\na,1,yes\na,,no\n", "row 2: step is empty, it must be there: number every step"),
        (
            "item,step,ok\na,1,yes\na,1,no\n",
            "item 'a', rollout '', step 1 stands twice: name the column",
        ),
        ("item,ok,confidence\na,yes,80\n", "confidence is '80', it must be between 0 and 1"),
        ("item,success\na,1.2\n", "success is '1.2', it must be a share from 0 to 1"),
        ("item,success,length\na,1,0\n", "length is '0', it must be a number above 0"),
        ("item,success,length\na,1,long\n", "length is 'long'"),
        ("item,success,released\na,1,March\n", "released is 'March', it must be a date such as 2025-03-19"),
        ("item,event,t\na,wright,0\n", "event is 'wright', it must be one of right, mend"),
        ("task,ok\na,yes\n", "which column names the item? say --item COLUMN; there are task, ok"),
        ("item,score\na,yes\n", "which column is the verdict? say --ok COLUMN"),
        ("item,ok\n", "no row below the names"),
        ("", "empty: a table needs"),
        ("item,ok\na,yes\nb,yes,no,no\n", "not a table that can be read"),
        ("item,ok\na,\nb,\n", "without a judged step or a score"),
        ("item,success\na,\nb,\n", "without a judged step or a score"),
    ],
)
def test_a_bad_table_is_one_line_that_shows_the_row(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(text)
    assert said in refused(ask(path))


def test_the_row_shown_holds_the_columns_that_were_named(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("task,n,good\na,0,yes\nb,0,perhaps\n")
    said = refused(ask(path, item="task", ok="good", step="n"))
    assert said == (
        f"{path}: row 2: good is 'perhaps', it must be true/false, 1/0, yes/no, right/wrong, correct/incorrect,"
        " pass/fail, or empty where nobody knows; the row: task='b', n='0', good='perhaps'"
    )


def test_a_column_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(GOOD)
    assert "unknown --ok column 'okay': did you mean 'ok'?" in refused(ask(path, ok="okay"))
    for name in ("modle", "model"):
        assert f"unknown --by column '{name}'" in refused(ask(path, by=name))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("runs.jsonl", b'{"item": "a", "ok": true}\n[1]\n', ":2: a table needs one JSON object a line"),
        ("runs.jsonl", b'{"item": "a", "ok": true}\n{"item": {}, "ok": true}\n', ":2: item holds a list or an object"),
        ("runs.jsonl", b'{"item": "a", "ok": true}\n{"item": "b", "o', ":2: not JSON"),
        ("runs.parquet", b"PAR1 and then nothing", "not a table that can be read"),
        ("runs.csv", b"item,ok\na,\0yes\n", "holds zero bytes"),
        ("runs.csv", b"item,ok\n" + b"x" * 5000 + b",yes\n", "a line is longer than 4,096 bytes"),
        ("runs.csv", b"item,ok\n\xff\xfe\xff,yes\n", "not a table that can be read"),
        ("runs.log", b"hello", "not a log of a known tool"),
    ],
)
def test_a_hostile_file_is_one_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadLog, match=r"^[^\n]*$") as caught:
        fit(FitSpec((path,), Options(caps=Caps(line_bytes=4096))))
    assert said in str(caught.value)


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert "cannot be read" in refused(ask(tmp_path / "none.csv"))
    assert "no file in it is a log" in refused(ask(tmp_path))
    assert "unknown format 'tabel': did you mean 'table'?" in refused(ask(tmp_path, format="tabel"))


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed, a stretch cut out, doubled or overwritten, or the end cut off."""
    at, size = rng.randrange(len(data)), rng.choice((1, 2, 8, 64))
    noise = rng.randbytes(size)
    return rng.choice(
        (
            data[:at] + noise + data[at + size :],
            data[:at] + data[at + size :],
            data[: at + size] + data[at:],
            data[:at] + rng.choice((b'"', b"\n", b",", b"{", b"[", b"\xff", b"-1", b"NaN", b"9" * 400)) + data[at:],
            data[:at],
        )
    )


def fuzzed(path: Path, mutants: int, seed: int = 7) -> list[str]:
    """What `mutants` mutations of a good table of the path's suffix are refused with; "" = read as a table."""
    rows = [dict(zip(("item", "rollout", "step", "ok"), line.split(","), strict=True)) for line in GOOD.split()[1:]]
    data, rng, told = table_bytes(pl.DataFrame(rows), path.suffix), random.Random(seed), []
    for _ in range(mutants):
        path.write_bytes(mutated(data, rng))
        try:
            found = read_columns(path, Options())
        except DeadreckonError as why:
            told.append(str(why))
        else:
            told.append("" if found.steps.height <= 2 * len(rows) else "more steps than rows")
    return told


@pytest.mark.parametrize(("suffix", "mutants"), [(".csv", 150), (".jsonl", 150), (".parquet", 6)])
def test_a_mutated_table_is_a_table_or_one_line(tmp_path: Path, suffix: str, mutants: int) -> None:
    """Many more were run by hand; a Parquet file is read in a process of its own, since some end theirs."""
    path = tmp_path / f"runs{suffix}"
    told = fuzzed(path, mutants)
    assert all(line.startswith(str(path)) and "\n" not in line for line in told if line)
    assert "" in told or suffix == ".parquet"
    assert any(told)


def test_the_command_says_one_line_and_2(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("item,ok\na,yes\nb,maybe\n")
    command = [sys.executable, "-m", "deadreckon.cli", "fit", "runs.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("deadreckon: runs.csv: row 2: ok is 'maybe'")
    assert done.stderr.count("\n") == 1


def test_a_parquet_file_that_ends_its_reader_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "runs.parquet"
    path.write_bytes(table_bytes(pl.DataFrame({"item": ["a"], "ok": [True]}), ".parquet"))
    assert read_columns(path, Options()).steps.height == 1
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BadLog, match="its parser gave up"):
        read_columns(path, Options())
    path.write_bytes(table_bytes(pl.DataFrame({"item": ["a"], "ok": [[True]]}), ".parquet"))
    monkeypatch.undo()
    with pytest.raises(BadLog, match="column 'ok' holds lists or structs"):
        read_columns(path, Options())

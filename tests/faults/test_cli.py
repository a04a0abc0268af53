"""Bad input at the command line: one clear line, exit code 2, nothing written; Ctrl-C loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from deadreckon import cli
from deadreckon.contracts import Reading
from deadreckon.report.say import readings_table
from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.rollouts.store import read_run, run_hash

ORACLE = ["--model", "oracle"]
NOISY = ["--model", "noisy-oracle:slip=0.05,recover=0.1"]


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of a command."""
    monkeypatch.setattr(sys, "argv", ["deadreckon", *words])
    code: object = 0
    try:
        cli.main()
    except SystemExit as end:
        code = end.code
    shown = capsys.readouterr()
    return int(str(code or 0)), shown.out, shown.err


BAD = {
    "world": (["sum", *ORACLE], r"unknown world 'sum': did you mean 'sums'?"),
    "model": (["sums", "--model", "noisy-oracl"], r"unknown model 'noisy-oracl': did you mean 'noisy-oracle'?"),
    "scaffold": (["sums", *ORACLE, "--scaffold", "monolog"], "unknown scaffold 'monolog': did you mean 'monologue'?"),
    "level": (["sums", *ORACLE, "--level", "9"], "level=9: sums-k0-v1 has levels 1, 2, 3"),
    "option": (["sums:j=3", *ORACLE], "has no option 'j': it has "),
    "value": (["sums:k=x", *ORACLE], "sums k='x': give an integer from "),
    "rate": (["sums", "--model", "noisy-oracle:slip=2"], "slip"),
    "items": (["sums", *ORACLE, "--items", "0"], "items=0: give 1 to 10000000"),
    "horizon": (["sums", *ORACLE, "--horizon", "-1"], "horizon=-1: give 1 to "),
    "inject": (["sums", *ORACLE, "--inject", "500"], "inject=500: give a step from 0 to 99, within the horizon"),
    "workers": (["sums", *ORACLE, "--workers", "0"], "give at least 1 worker"),
    "weights": (["sums", "--model", "gpt:/nowhere/w.safetensors"], "no card at /nowhere/w.json"),
    "shipped": (["sums", "--model", "shipped:nothing-like-it"], "unknown shipped model 'nothing-like-it'"),
    "other world": (["maps", "--model", "ngram:world=sums,level=1"], "does not read maps-shortest-v1, whose text is "),
    "which": (["sums", "--model", "ngram"], "spec 'ngram' does not say which: write ngram:..."),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_nothing_is_written(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words, message = BAD[case]
    code, out, err = run(monkeypatch, capsys, "roll", *words, "--out", str(tmp_path / "run"))
    assert code == 2
    assert message in err
    assert err.startswith("deadreckon: ")
    assert err.count("\n") == 1
    assert out == ""
    assert not (tmp_path / "run").exists()


def test_a_run_folder_of_another_run_is_refused_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    words = ["roll", "sums", *NOISY, "--items", "5", "--out", str(folder), "--seed"]
    assert run(monkeypatch, capsys, *words, "1")[0] == 0
    before = run_hash(folder)
    code, _, err = run(monkeypatch, capsys, *words, "2")
    assert code == 2
    assert err.count("\n") == 1
    assert "spec.seed 1 there and 2 asked" in err
    assert "use another --out" in err
    assert run_hash(folder) == before
    code, out, _ = run(monkeypatch, capsys, *words, "1")
    assert code == 0
    assert "5 items" in out


@pytest.mark.parametrize("words", [["measure"], ["report", "--out", "page"]], ids=["measure", "report"])
def test_what_is_no_run_folder_is_one_line(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(monkeypatch, capsys, *words, str(tmp_path / "nothing"))
    assert code == 2
    assert err == f"deadreckon: {tmp_path / 'nothing'} is not a run folder: it has no spec.json\n"
    assert out == ""


def test_a_full_disk_is_one_line_and_resume_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    folder = tmp_path / "run"
    words = ["roll", "sums", *NOISY, "--items", "12000", "--horizon", "6", "--out", str(folder)]
    try:
        code, _, err = run(monkeypatch, capsys, *words)
        assert code == 2
        lines = [line for line in err.replace("\r", "\n").splitlines() if line.startswith("deadreckon: ")]
        assert len(lines) == 1
        assert "No space left on device: free some space and run the same command again" in lines[0]
        assert "Traceback" not in err
        subprocess.run(["mount", "-o", "remount,size=64m", str(tmp_path)], check=True)
        assert run(monkeypatch, capsys, *words)[0] == 0
        assert read_run(folder)[1]["item"].n_unique() == 12000
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_is_one_line_and_resume_completes(workers: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = [
        sys.executable,
        "-m",
        "deadreckon.cli",
        "roll",
        "sums",
        *NOISY,
        "--items",
        "12000",
        "--horizon",
        "6",
        "--out",
        str(folder),
    ]
    words += ["--workers", workers]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    manifest = folder / "manifest.jsonl"
    while not manifest.exists() or manifest.read_bytes().count(b"\n") < 2:  # what is run, and one part
        assert child.poll() is None, child.stderr
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert err == "deadreckon: interrupted; what is committed is kept, the same command resumes it\n"
    kept = set(read_run(folder)[1]["item"].unique())
    assert 0 < len(kept) < 12000
    assert not list(folder.rglob("*.tmp"))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "12000 items" in done.stdout
    assert kept < set(read_run(folder)[1]["item"].unique())


def test_an_unfinished_run_says_how_much_of_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, page = tmp_path / "run", tmp_path / "page"
    spec = RollSpec("sums", 1, "noisy-oracle:slip=0.1", items=9, horizon=6, part_items=3)
    roll(spec, folder)
    code, whole, err = run(monkeypatch, capsys, "measure", str(folder), "--json")
    assert (code, err) == (0, "")
    manifest = folder / "manifest.jsonl"
    manifest.write_bytes(b"".join(manifest.read_bytes().splitlines(keepends=True)[:2]))
    code, out, err = run(monkeypatch, capsys, "measure", str(folder), "--json")
    assert err == f"deadreckon: {folder} is unfinished: 6 of 9 items are there, resume it with its roll command\n"
    assert {row["n"] for row in json.loads(out)} == {6}
    assert {row["n"] for row in json.loads(whole)} == {9}
    code, out, err = run(monkeypatch, capsys, "report", str(folder), "--out", str(page))
    assert (code, out) == (0, f"{page / 'report.html'}\n")
    assert "6 of 9 items are there" in err
    assert "6 of 9 items are there" in (page / "report.html").read_text()


def test_everything_listed_has_a_line_and_no_torch_is_loaded() -> None:
    code = "import sys; from deadreckon import cli; sys.argv[1:] = ['list']\ntry: cli.main()\nexcept SystemExit: pass\n"
    code += "assert 'torch' not in sys.modules, 'list loads torch'"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("  ")]
    assert len(lines) > 20
    assert all(len(line.split()) > 1 for line in lines)


def test_text_of_others_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A column may hold what a model wrote: no markup, no control characters on the terminal."""
    readings = [Reading("hazard", "1", 0.5, 0.4, 0.6, 0.95, 9, "by hand", by="[/red]\x1b[31m")]
    readings_table(readings, Console(width=200))
    shown = capsys.readouterr().out
    assert "[/red]" in shown
    assert "\x1b" not in shown


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def absent() -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(cli, "app", absent)
    code, _, err = run(monkeypatch, capsys, "train")
    assert (code, err) == (2, "deadreckon: this command needs the extra 'torch': pip install 'deadreckon[torch]'\n")

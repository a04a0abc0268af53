"""What is committed survives: kills, full disks, failing calls, bit rot, and a second process."""

from __future__ import annotations

import errno
import io
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from nursery import PARTS, SPEC, Nursery, commit_all, frame, nursery
from polars.testing import assert_frame_equal

from deadreckon.errors import OtherIdentity, StoreError
from deadreckon.rollouts.store import RunStore, frame_bytes, read_run, run_hash, write_atomic

KILLS = 72

# --- kills ----------------------------------------------------------------------------------------------


@pytest.mark.kill
def test_a_kill_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with nursery() as raise_and_kill:
        kill_and_check(raise_and_kill, tmp_path)


def kill_and_check(raise_and_kill: Nursery, tmp_path: Path) -> None:
    rng = random.Random(1)
    begun = time.monotonic()
    raise_and_kill(tmp_path / "whole", None)
    longest = 0.2 * (time.monotonic() - begun)  # a fifth of what all parts take on this machine, now
    heights = {part: frame(part).height for part in range(PARTS)}
    folder, promised, at_work = tmp_path / "0", set[int](), 0
    for kill in range(KILLS):
        told = raise_and_kill(folder, rng.uniform(0.0, longest))
        assert promised.isdisjoint(told), "a promised part was committed again"
        promised |= set(told)
        at_work += len(promised) < PARTS
        longest *= 0.8 if len(promised) == PARTS else 1.0
        if promised:
            counts = dict(read_run(folder)[1].group_by("part").len().iter_rows())
            assert promised <= set(counts), "a promised part is lost"
            assert counts == {part: heights[part] for part in counts}, "rows lost or doubled"
        if len(promised) == PARTS or kill == KILLS - 1:
            commit_all(folder)
            assert run_hash(folder) == run_hash(tmp_path / "whole")
            assert not list(folder.rglob("*.tmp"))
            folder, promised = tmp_path / str(kill + 1), set[int]()
    assert at_work >= KILLS // 2, f"only {at_work} of {KILLS} kills struck a child at work"


# --- disks that refuse ----------------------------------------------------------------------------------


def fill_and_resume(folder: Path, more_room: Callable[[], object]) -> None:
    """Run into a full disk, see one line, find what was committed, make room, complete."""
    with pytest.raises(StoreError, match=r"cannot (write|make) .*: (No space left|File too large).*: .* again"):
        commit_all(folder)
    assert not list(folder.rglob("*.tmp"))
    assert set(read_run(folder)[1]["part"].unique()) < set(range(PARTS))
    more_room()
    commit_all(folder)
    assert set(read_run(folder)[1]["part"].unique()) == set(range(PARTS))


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        more = ["mount", "-o", "remount,size=64m", str(tmp_path)]
        fill_and_resume(tmp_path / "run", lambda: subprocess.run(more, check=True))
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_file_size_limit_loses_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        fill_and_resume(tmp_path / "run", lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


CALLS = ("open", "write", "fsync", "replace")


class Disk:
    """The calls that reach the disk, counted; the n-th fails, alone or with all that follow."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.mend()
        for name in (*CALLS, "ftruncate"):
            patch.setattr(os, name, self._wrap(name, getattr(os, name)))

    def _wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any) -> Any:
            self.count += name in CALLS  # ftruncate is called after a failure only
            is_first = self.count == self.fail_at and name in CALLS
            if is_first and name == "write":
                call(args[0], args[1][: len(args[1]) // 2])  # torn
            if is_first or (self.stays and self.count >= self.fail_at > 0):
                raise self.error
            return call(*args)

        return wrapped

    def fail(self, n: int, error: BaseException, *, stays: bool) -> None:
        self.count, self.fail_at, self.error, self.stays = 0, n, error, stays

    def mend(self) -> None:
        self.fail(-1, BaseException(), stays=False)


def commit_three(folder: Path, promised: set[int]) -> None:
    with RunStore.create_or_resume(folder, SPEC, "three") as store:
        for index in range(3):
            if index not in store.committed():
                store.commit(index, frame(index).head(50))
                promised.add(index)


FAILURES = {"full": OSError(errno.ENOSPC, "full"), "io": OSError(errno.EIO, "broken"), "^C": KeyboardInterrupt()}


@pytest.mark.parametrize("stays", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("failure", FAILURES)
def test_any_call_may_fail(failure: str, stays: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    commit_three(tmp_path / "whole", set())
    calls, whole = disk.count, run_hash(tmp_path / "whole")
    assert calls >= 3 * 9
    for n in range(1, calls + 1):
        folder, promised = tmp_path / str(n), set[int]()
        disk.fail(n, FAILURES[failure], stays=stays)
        with pytest.raises((StoreError, KeyboardInterrupt)):
            commit_three(folder, promised)
        disk.mend()
        if promised:
            assert promised <= set(read_run(folder)[1]["part"].unique())
        again = set[int]()
        commit_three(folder, again)
        assert promised.isdisjoint(again)
        assert run_hash(folder) == whole


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:7]))
    commit_three(tmp_path / "run", set())
    monkeypatch.undo()
    assert read_run(tmp_path / "run")[1].height == 150


@pytest.mark.parametrize("call", CALLS)
def test_a_refused_write_leaves_the_old_file(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    write_atomic(path, b"old")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(StoreError, match=r"cannot write .*report.html: No space left on device: free some space"):
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["report.html"]


# --- damage ---------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Path:
    commit_three(tmp_path / "run", set())
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("name", "flips"), [("spec.json", 300), ("manifest.jsonl", 600), ("steps/part-00001.parquet", 300)]
)
def test_no_flipped_bit_is_silent(name: str, flips: int, run: Path) -> None:
    rng = random.Random(2)
    spec, table = read_run(run)
    path = run / name
    good = path.read_bytes()
    detected = 0
    for _ in range(flips):
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        path.write_bytes(bad)
        try:
            spec_now, table_now = read_run(run)
        except StoreError:
            detected += 1
        else:
            assert spec_now == spec
            assert_frame_equal(table_now, table)
    assert detected > 0.9 * flips if name == "spec.json" else detected == flips  # in spec.json, white space may change


def test_a_damaged_part_is_named_and_recomputed(run: Path) -> None:
    path = run / "steps" / "part-00001.parquet"
    whole = run_hash(run)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"part-00001.parquet does not match its SHA-256.*: delete the file"):
        read_run(run)
    path.unlink()
    with pytest.raises(StoreError, match=r"part-00001.parquet: No such file.*: resume the run"):
        read_run(run)
    promised = set[int]()
    commit_three(run, promised)
    assert promised == {1}
    assert run_hash(run) == whole


@pytest.mark.parametrize("keep", [1, 40, -1])
def test_a_torn_last_line_was_never_committed(keep: int, run: Path) -> None:
    manifest = run / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    torn = lines[2].rstrip(b"\n")[: keep if keep > 0 else len(lines[2]) - 2]
    manifest.write_bytes(lines[0] + lines[1] + torn)
    assert set(read_run(run)[1]["part"].unique()) == {0, 1}
    promised = set[int]()
    commit_three(run, promised)
    assert promised == {2}
    assert manifest.read_bytes() == b"".join(lines)


def test_orphans_and_temporary_files_are_not_the_run(run: Path) -> None:
    whole = run_hash(run)
    (run / "steps" / "part-00003.parquet").write_bytes(b"half a part")
    (run / "steps" / ".part-00004.parquet.12345.tmp").write_bytes(b"half a part")
    (run / ".spec.json.12345.tmp").write_bytes(b"{")
    assert read_run(run)[1].height == 150
    with RunStore.create_or_resume(run, SPEC, "three") as store:
        assert set(store.committed()) == {0, 1, 2}
        assert not list(run.rglob("*.tmp"))
        store.commit(3, frame(3).head(50))
    assert read_run(run)[1].height == 200
    assert run_hash(run) != whole


# --- identity -------------------------------------------------------------------------------------------


def test_another_run_is_refused_and_the_difference_named(run: Path) -> None:
    with pytest.raises(OtherIdentity, match=r"run three, not four \(seed 7 there and 8 asked\): use another --out"):
        RunStore.create_or_resume(run, SPEC | {"seed": 8}, "four")
    assert read_run(run)[1].height == 150


def test_other_bytes_for_a_committed_part_are_refused(run: Path) -> None:
    with RunStore.create_or_resume(run, SPEC, "three") as store:
        assert store.commit(0, frame(0).head(50)) == store.committed()[0]
        with pytest.raises(StoreError, match=r"part-00000.parquet is committed with other bytes"):
            store.commit(0, frame(1))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StoreError, match=r"holds thesis.tex and no spec.json: not a run folder, use another --out"):
        RunStore.create_or_resume(tmp_path, SPEC, "three")
    assert os.listdir(tmp_path) == ["thesis.tex"]
    with pytest.raises(StoreError, match=r"thesis.tex"):
        RunStore.create_or_resume(tmp_path / "thesis.tex", SPEC, "three")


def test_what_is_no_run_folder_cannot_be_read(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(StoreError, match=r"is not a run folder: it has no spec.json"):
            read_run(folder)
    with RunStore.create_or_resume(tmp_path / "empty", SPEC, "three"):
        pass
    with pytest.raises(StoreError, match="has no committed steps: resume"):
        read_run(tmp_path / "empty")


def test_a_second_process_is_refused(run: Path) -> None:
    code = f"from nursery import *\nRunStore.create_or_resume(Path({str(run)!r}), SPEC, 'three')"
    with RunStore.create_or_resume(run, SPEC, "three") as store:
        second = subprocess.run(
            [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
        assert "StoreError" in second.stderr
        assert "is in use by another process" in second.stderr
        store.commit(3, frame(3).head(50))
    with RunStore.create_or_resume(run, SPEC, "three") as store:
        assert set(store.committed()) == {0, 1, 2, 3}


# --- bytes ----------------------------------------------------------------------------------------------


def test_equal_frames_give_equal_bytes() -> None:
    whole = frame(3).with_columns(s=pl.lit("a").repeat_by(pl.col("row") % 3).list.join(""), n=pl.lit(None, pl.Float64))
    pieces = pl.concat([whole[:100], whole[100:101], whole[101:]], rechunk=False)
    sliced = pl.concat([whole, whole])[whole.height :]
    again = pl.read_parquet(io.BytesIO(frame_bytes(whole)))
    assert len({frame_bytes(one) for one in (whole, pieces, sliced, again)}) == 1
    assert_frame_equal(again, whole)


def test_bytes_do_not_depend_on_threads() -> None:
    code = "from nursery import *\nfrom deadreckon.rollouts.store import *\nimport hashlib\n"
    code += "print(hashlib.sha256(frame_bytes(pl.concat([frame(i) for i in range(60)]))).hexdigest())"
    hashes = set()
    for threads in ("1", "3"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parent,
            env=os.environ | {"POLARS_MAX_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.add(done.stdout)
    assert len(hashes) == 1

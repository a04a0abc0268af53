"""The kernel on ARM, from the same source: what it writes there, under emulation, is what it writes here."""

import shutil
import subprocess
from pathlib import Path

import pytest

from deadreckon.models.kernel.build import BUILDS, FLAGS, source

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64-static"


def written(compiler: str, run: list[str], out: Path) -> list[list[str]]:
    """The program's lines, in words."""
    flags = [flag for flag in (*FLAGS, *BUILDS[-1].flags) if flag not in ("-shared", "-fPIC")]
    main = Path(__file__).with_name("kernel_main.c")
    build = [compiler, *flags, "-Wall", "-Wextra", "-Werror", "-static", "-I", str(source().parent), str(main)]
    subprocess.run([*build, "-o", str(out), "-lm"], check=True)
    done = subprocess.run([*run, str(out)], check=True, capture_output=True, text=True)
    return [line.split() for line in done.stdout.splitlines()]


def test_arm_writes_the_same_texts(tmp_path: Path) -> None:
    here, there = shutil.which("cc"), shutil.which(COMPILER)
    if not (here and there and shutil.which(EMULATOR)):
        pytest.skip(f"needs cc, {COMPILER} and {EMULATOR} (Debian: gcc-aarch64-linux-gnu, qemu-user-static)")
    ours, theirs = written(here, [], tmp_path / "here"), written(there, [EMULATOR], tmp_path / "there")
    assert [line[2:] for line in ours] == [line[2:] for line in theirs]
    assert len({tuple(line) for line in ours}) == 5
    assert all(len(set(line[2:])) > 5 for line in ours)
    for a, b in zip(ours, theirs, strict=True):
        assert [float(x) for x in a[:2]] == pytest.approx([float(x) for x in b[:2]], abs=1e-3)

"""A world in a package of its own is found by its entry point, keeps the laws and runs, with no change to ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "examples" / "deadreckon-hanoi"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has the package installed."""
    target = tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation")
    subprocess.run([*pip, "--target", target, PACKAGE], check=True, cwd=target)
    path = os.pathsep.join(filter(None, [str(target), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path}


def deadreckon(env: dict[str, str], *arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from deadreckon.cli import main; main()", *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_listed_rolled_measured_and_reported(installed: dict[str, str], tmp_path: Path) -> None:
    assert "hanoi" in deadreckon(installed, "list", "worlds")
    model = "noisy-oracle:slip=0.1,recover=0.3"
    deadreckon(installed, "roll", "hanoi", "--model", model, "--items", "60", "--out", tmp_path / "run")
    readings = deadreckon(installed, "measure", tmp_path / "run")
    assert "error_rate" in readings
    low, high = re.search(r"^hazard .*\[([\d.]+), ([\d.]+)\]", readings, re.M).groups()  # type: ignore[union-attr]
    assert float(low) < 0.1 < float(high), "the planted slips are not read"
    deadreckon(installed, "report", tmp_path / "run", "--out", tmp_path / "page")
    page = next((tmp_path / "page").glob("*.html")).read_text()
    assert "hanoi" in page


def test_its_own_tests_pass(installed: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "--rootdir", PACKAGE, PACKAGE],
        env=installed,
        check=True,
        cwd=installed["PYTHONPATH"].split(os.pathsep)[0],
    )


def test_without_the_package_there_is_no_such_world(tmp_path: Path) -> None:
    asked = [sys.executable, "-c", "from deadreckon.cli import main; main()", "roll", "hanoi", "--model", "oracle"]
    done = subprocess.run([*asked, "--out", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "unknown world 'hanoi'" in done.stderr

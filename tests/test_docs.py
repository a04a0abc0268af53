"""The docs keep up with the code: the README runs, every command and every reading is documented, figures are right."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from runpy import run_path
from typing import get_args, get_type_hints

import numpy as np
import pytest

from deadreckon.cli import app
from deadreckon.contracts import Event, Forced, OnError, Stop
from deadreckon.rollouts.table import SCHEMA
from deadreckon.studies.names import names

ROOT = Path(__file__).parents[1]
PAGES = sorted(p for p in (ROOT / "docs" / "instruments").glob("*.md") if p.name != "README.md")
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAIR = re.compile(r"^```python\n(.*?)^```\n+(?:[^\n`#]+\n+)?^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\(([^)#]+?)(?:#[^)]*)?\)")
COMMANDS = {str(c.name or getattr(c.callback, "__name__", "")): c for c in app.registered_commands}


def glossary() -> str:
    return (ROOT / "docs" / "glossary.md").read_text()


def idea() -> str:
    return (ROOT / "docs" / "idea.md").read_text()


# --- README ---------------------------------------------------------------------------------------------


def test_the_readme_runs_and_prints_what_it_says(tmp_path: Path) -> None:
    """Each ```python block is followed by a ```text block that holds what it prints."""
    pairs = PAIR.findall((ROOT / "README.md").read_text())
    assert pairs, "README.md has no ```python block followed by its ```text output"
    for code, said in pairs:
        script = tmp_path / "block.py"
        script.write_text(code)
        done = subprocess.run(
            [sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.rstrip() == said.rstrip()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_example_of_an_instrument_prints_what_its_page_says(
    page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, since importing the package anew for each page would take longer than the examples do."""
    ((code, said),) = PAIR.findall(page.read_text())
    script = tmp_path / "block.py"
    script.write_text(code)
    run_path(str(script))
    assert capsys.readouterr().out.rstrip() == said.rstrip()


def told_by(page: Path, folder: Path) -> list[tuple[str, str, str]]:
    """(command, output as told, output as printed) of a page: its ```python blocks run, each `$ command` after them."""
    told = []
    for kind, text in re.findall(r"^```(python|console)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        if kind == "python":
            subprocess.run([sys.executable, "-c", text], cwd=folder, check=True)
            continue
        command, _, said = text.partition("\n")
        words = shlex.split(command.removeprefix("$ deadreckon "))
        line = [sys.executable, "-m", "deadreckon.cli", *words]
        env = os.environ | {"COLUMNS": "120"}
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=True, env=env)
        told.append((command, said, done.stdout))
    return told


def test_the_tutorial_on_logs_prints_what_it_says(tmp_path: Path) -> None:
    ((_, said, printed),) = told_by(ROOT / "docs" / "your-own-logs.md", tmp_path)
    assert said.rstrip() == printed.rstrip()
    assert "<svg" in (tmp_path / "report.html").read_text()
    assert run_path(str(ROOT / "docs" / "logs_picture.py"))["draw"]().startswith("<svg")
    assert (ROOT / "docs" / "img" / "your-own-logs.svg").stat().st_size < 25_000


def test_every_reading_has_its_page_and_every_page_its_picture_and_its_place() -> None:
    text = "".join(page.read_text() for page in PAGES)
    assert not [name for name in names("readings") if f"`{name}`" not in text]
    index = (ROOT / "docs" / "instruments" / "README.md").read_text()
    for page in PAGES:
        assert f"({page.name})" in index
        picture = ROOT / "docs" / "img" / "instruments" / f"{page.stem}.svg"
        assert f"(../img/instruments/{picture.name})" in page.read_text()
        assert picture.stat().st_size < 25_000


def test_the_pictures_are_drawn_by_the_script_beside_the_pages() -> None:
    script = run_path(str(ROOT / "docs" / "instruments" / "pictures.py"))
    assert set(script["PICTURES"]) == {page.stem for page in PAGES}
    assert script["draw"]("hazard").startswith("<svg")


def test_the_readme_names_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make demo" in text
    assert "make test" in text


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


# --- commands -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_is_documented(command: str) -> None:
    callback = COMMANDS[command].callback
    assert callback is not None
    assert (callback.__doc__ or "").strip()
    name = command.rstrip("_")
    assert any(f"deadreckon {name}" in path.read_text() for path in DOCS), f"no page shows `deadreckon {name}`"


def test_every_option_has_help() -> None:
    for command in COMMANDS.values():
        assert command.callback is not None
        hints = get_type_hints(command.callback, include_extras=True)
        for name in set(hints) - {"return"}:
            told = [getattr(extra, "help", None) for extra in get_args(hints[name])[1:]]
            assert any(told), f"{command.callback.__name__}: {name} has no help"


# --- glossary -------------------------------------------------------------------------------------------


def test_every_reading_is_in_the_glossary_and_no_other() -> None:
    text = glossary()
    readings = text[text.index("## Readings") : text.index("## Studies")]
    told = set(re.findall(r"^\| `([a-z0-9_]+)` \|", readings, re.MULTILINE))
    assert told == set(names("readings"))


def test_every_column_is_in_the_glossary() -> None:
    text = glossary()
    table = text[text.index("## The step table") : text.index("### event")]
    told = {
        name
        for cell in re.findall(r"^\| ([a-z_, ]+) \|", table, re.MULTILINE)
        for name in cell.replace(" ", "").split(",")
    }
    assert told - {"column"} == set(SCHEMA)


@pytest.mark.parametrize(
    ("heading", "values"),
    [("event", Event), ("stop", Stop), ("on_error", OnError), ("forced", Forced)],
    ids=["event", "stop", "on_error", "forced"],
)
def test_every_value_is_in_the_glossary(heading: str, values: type[Event] | type[Stop]) -> None:
    section = glossary().split(f"### {heading}\n", 1)[1].split("\n#", 1)[0]
    told = set(re.findall(r"^\| ([a-z]+) \|", section, re.MULTILINE)) - {"value", "rule"}
    assert told == {value.value for value in values}


# --- the figures of idea.md -----------------------------------------------------------------------------


def test_survival_and_occupancy_are_as_the_idea_says() -> None:
    h, g, n = 0.01, 0.05, 500
    share = g / (g + h)
    survival, occupancy = (1 - h) ** n, share + (1 - share) * (1 - g - h) ** n
    assert f"S(500) = 0.99^500 = {survival:.4f}" in idea()
    assert f"= {occupancy:.3f}" in idea()
    assert f"a factor of {occupancy / survival:.0f}" in idea()
    assert f"{np.log(2) / h:.0f} steps for e = 0.01" in idea()


@pytest.mark.parametrize("n", [10, 50, 100, 200])
def test_the_mixture_is_as_the_idea_says(n: int) -> None:
    e = np.array([0.002, 0.05])
    alive = (1 - e) ** (n - 1)
    row = ((1 - e) ** n).mean(), (1 - e.mean()) ** n, (alive * e).sum() / alive.sum()
    assert "| {} | {:.3f} | {:.3f} | {:.4f} |".format(n, *row) in idea()

"""The report: what is in the readings is on the page, and what a model wrote stays text."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
import sys
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hostile import PAYLOADS, poisoned

from deadreckon.contracts import Finding, Reading, Verdict
from deadreckon.errors import BadOption, MissingExtra
from deadreckon.report import plots
from deadreckon.report.canvas import Canvas
from deadreckon.report.draw import draw_replay
from deadreckon.report.figure import PALETTE, named, save_figure, standalone, themed
from deadreckon.report.numbers import as_json, estimate, number
from deadreckon.report.page import first_error, readings_json, render, write_report
from deadreckon.report.text import readable
from deadreckon.studies.study import Replay, ReplayStep, StudyResult


class Page(HTMLParser):
    """Elements with their attributes, and the text a reader sees."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, attribute: str) -> list[str]:
        return [attrs[attribute] or "" for _, attrs in self.elements if attribute in attrs]


def small(study: StudyResult) -> StudyResult:
    """One arm with two pictures' readings, and the begin of one replay a world."""
    arm = dataclasses.replace(study.arms[0], readings=study.arms[0].readings[:5])
    replays = tuple(dataclasses.replace(r, rows=r.rows[:4]) for r in study.replays[::3])
    return dataclasses.replace(study, arms=(arm,), replays=replays)


@pytest.fixture(scope="module")
def whole(synthetic_study: StudyResult) -> Page:
    """The page of the study with its pictures and replays, and of the same study again without them."""
    return Page(render([synthetic_study, dataclasses.replace(synthetic_study, arms=())]))


def shape(html: str) -> Counter[tuple[str, tuple[str, ...]]]:
    return Counter((tag, tuple(sorted(attrs))) for tag, attrs in Page(html).elements)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_of_a_model_adds_no_element_and_no_attribute(synthetic_study: StudyResult, payload: str) -> None:
    study = dataclasses.replace(small(synthetic_study), arms=())
    keep = ("world", "state", "event", "forced")
    tame, hostile = (render([poisoned(study, text, keep)]) for text in ("tame", payload))
    assert shape(hostile) == shape(tame)
    assert readable(payload) in Page(hostile).text
    assert "hit" not in "".join(Page(hostile).values("href"))


def test_text_that_breaks_every_field_at_once_is_inert_and_all_of_it_shown(synthetic_study: StudyResult) -> None:
    text = "".join(PAYLOADS)
    for keep in ((), ("quantity", "world", "state")):
        tame, hostile = (render([poisoned(small(synthetic_study), t, keep)]) for t in ("tame", text))
        assert shape(hostile) == shape(tame)
        assert all(name in ("s0",) or name.startswith("s0-") for name in Page(hostile).values("id"))


def test_the_page_asks_for_nothing_and_runs_only_its_own_script_and_style(synthetic_study: StudyResult) -> None:
    html = render([small(synthetic_study)])
    page = Page(html)
    assert not page.values("src")
    assert not page.values("style")
    assert not page.values("xlink:href")
    assert all(link.startswith("#") for link in page.values("href"))
    assert not re.search(r"https?://", html)
    assert "url(" not in html
    assert "@import" not in html
    policy = next(a["content"] or "" for t, a in page.elements if t == "meta" and "http-equiv" in a)
    for tag in ("style", "script"):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.S)
        assert f"{tag}-src 'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_every_reference_in_the_page_has_one_target(whole: Page) -> None:
    names = Counter(whole.values("id"))
    assert max(names.values()) == 1
    used = [link[1:] for link in whole.values("href")]
    used += [n for a in ("aria-labelledby", "aria-describedby") for v in whole.values(a) for n in v.split()]
    assert set(used) <= names.keys()


def test_every_drawing_is_an_image_with_a_name_and_a_description(whole: Page, synthetic_study: StudyResult) -> None:
    drawn = [attrs for tag, attrs in whole.elements if tag == "svg" and attrs.get("class") != "ground"]
    assert len(drawn) == 8 + 2 + 2 * sum(len(r.rows) for r in synthetic_study.replays)
    assert all(a["role"] == "img" and a["aria-labelledby"] and a["aria-describedby"] for a in drawn)


def test_every_point_of_a_picture_stands_in_its_table(synthetic_study: StudyResult) -> None:
    study = small(synthetic_study)
    html = render([study])
    for found in study.arms[0].readings:
        assert found.curve is not None
        points = zip(found.curve.x, found.curve.value, found.curve.low, found.curve.high, strict=True)
        for x, *said in points:
            (row,) = re.findall(f"<tr><td>{number(x)}</td>.*{re.escape(estimate(*said))}</td>.*<td>400</td></tr>", html)
            assert row


def test_every_reading_stands_in_the_table_of_its_arm(whole: Page, synthetic_study: StudyResult) -> None:
    text = whole.text
    for arm in synthetic_study.arms:
        for found in arm.readings:
            assert found.quantity in text
            assert found.method in text
            assert found.reason in text
    assert text.count("FAILS") == 4
    assert text.count("UNDECIDED") == 2
    assert text.count("PASSED") == 2
    assert text.count("FAILED") == 2


def test_readings_json_is_strict_json_with_null_for_missing_and_unbounded(synthetic_study: StudyResult) -> None:
    rows = json.loads(readings_json([synthetic_study]), parse_constant=pytest.fail)
    assert len(rows) == sum(len(arm.readings) for arm in synthetic_study.arms)
    assert {"quantity", "unit", "value", "low", "high", "level", "n", "method", "by", "reason", "arm"} <= rows[0].keys()
    by = {row["quantity"]: row for row in rows if row["arm"] == "clean"}
    assert by["horizon_50"]["value"] == 12
    assert by["horizon_10"]["value"] is None
    assert by["recovery_rate"]["value"] is None
    assert by["recovery_rate"]["reason"] == "no audit in this world"


def test_a_value_beyond_the_horizon_is_said_to_be_not_reached() -> None:
    inf = float("inf")
    found = as_json(Reading("horizon_50", "steps", inf, 20.0, inf, 0.95, 10, "planted"))
    assert (found["value"], found["low"], found["high"], found["reason"]) == (None, 20.0, None, "not reached")
    assert estimate(inf, 20.0, inf) == "not reached [20, ∞]"
    assert estimate(float("nan"), 0.0, 1.0) == "not estimable"


def test_the_same_results_give_the_same_page(synthetic_study: StudyResult) -> None:
    assert render([small(synthetic_study)]) == render([small(synthetic_study)])


def test_a_study_with_nothing_in_it_is_still_a_page() -> None:
    finding = Finding(Verdict.UNDECIDED, "nothing was run", ())
    page = Page(render([StudyResult("empty", "claim", "rules", finding, (), (), (), (), {})]))
    assert "UNDECIDED" in page.text
    assert "nothing was run" in page.text


def test_three_replays_of_every_world_fit_into_three_megabytes(synthetic_study: StudyResult, tmp_path: Path) -> None:
    path = write_report([synthetic_study], tmp_path, png=True)
    assert path == tmp_path / "report.html"
    assert path.stat().st_size < 3_000_000
    json.loads((tmp_path / "readings.json").read_text())
    figures = sorted(p.name for p in (tmp_path / "figures").iterdir())
    assert len(figures) == 2 * (8 + 2)
    assert "0-0-survival.svg" in figures
    for figure in (tmp_path / "figures").glob("*.svg"):
        assert "var(" not in figure.read_text()
    assert (tmp_path / "figures" / "0-0-survival.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_is_saved_as_svg_or_png_alone(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="gif"):
        save_figure(Canvas(1, 1).svg(), tmp_path / "x.gif")
    assert list(tmp_path.iterdir()) == []


def test_themes_are_a_change_of_names_and_back() -> None:
    svg = "".join(f'<rect fill="{light}"/>' for light, _ in PALETTE.values())
    assert standalone(themed(svg)) == svg
    assert "#" not in themed(svg)
    assert themed(svg).count("var(--") == len(PALETTE)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("scheme", [0, 1])
@pytest.mark.parametrize("ink", ["ink", "muted", "blue", "orange", "green", "purple"])
def test_text_has_a_contrast_of_four_and_a_half_on_its_ground(scheme: int, ink: str) -> None:
    for ground in ("paper", "panel"):
        low, high = sorted(luminance(PALETTE[name][scheme]) for name in (ink, ground))
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_named_refuses_what_is_no_drawing() -> None:
    with pytest.raises(BadOption, match="viewBox"):
        named("<p>", "k", "t", "d")


def row(event: str, forced: str = "", state: str = "x") -> ReplayStep:
    return ReplayStep(0, state, "", "a", event, None, forced, -1.0, ("b",))


def test_a_forced_error_is_not_the_models_first() -> None:
    assert first_error([row("right"), row("slip", "injected"), row("mend"), row("illegal"), row("slip")]) == 3
    assert first_error([row("right"), row("slip", "injected")]) == -1


def test_the_page_marks_the_first_error_of_each_replay_once(whole: Page, synthetic_study: StudyResult) -> None:
    expected = [r.rows[i].t for r in synthetic_study.replays if (i := first_error(r.rows)) >= 0]
    marked = [a["id"] for t, a in whole.elements if t == "li" and "data-first-error" in a]
    assert [int((name or "").rsplit("-", 1)[1]) for name in marked] == 2 * expected
    assert expected


@pytest.mark.parametrize("spec", ["nowhere", "sums:k=4", "maps"])
def test_a_world_or_a_state_that_cannot_be_read_is_shown_as_its_notation(spec: str) -> None:
    sketches = draw_replay(Replay(spec, 1, "m", "t", (row("right", state="<no state>"),)), "r")
    assert [(d.svg, d.text) for d in sketches.steps] == [("", "<no state>")]


def test_a_drawing_shows_nothing_that_comes_after_its_step(synthetic_study: StudyResult) -> None:
    for replay in synthetic_study.replays:
        whole = draw_replay(replay, "r").steps
        for k in (1, 8, len(replay.rows) - 1):
            part = draw_replay(dataclasses.replace(replay, rows=replay.rows[:k]), "r").steps
            assert part == whole[:k]
        assert all(step.svg and step.text for step in whole)


def test_a_ledger_marks_the_slip_and_what_is_carried_from_it(synthetic_study: StudyResult) -> None:
    replay = synthetic_study.replays[1]
    slip = first_error(replay.rows)
    steps = draw_replay(replay, "r").steps
    assert "×" not in steps[slip - 1].svg
    assert "× slip" in steps[slip].svg
    assert "carried" not in steps[slip].svg
    assert "carried" in steps[slip + 1].svg


def test_charts_without_their_extra_say_which_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    monkeypatch.delitem(sys.modules, "deadreckon.report.plots")
    with pytest.raises(MissingExtra, match=r"deadreckon\[plots\]"):
        importlib.import_module("deadreckon.report.plots")


def test_a_picture_is_drawn_only_from_readings_that_are_there(synthetic_study: StudyResult) -> None:
    readings = synthetic_study.arms[0].readings
    assert [p.kind.name for p in plots.pictures(readings)] == [kind.name for kind in plots.KINDS]
    assert [p.kind.name for p in plots.pictures(readings[1:4])] == []
    assert plots.pictures(readings[4:5])[0].sentence == "measured: 0.06 [0.05, 0.07] at step 20, n = 400."


def test_a_series_that_cannot_be_estimated_is_left_to_the_table_of_readings(synthetic_study: StudyResult) -> None:
    survival, constant = synthetic_study.arms[0].readings[:2]
    missing = dataclasses.replace(constant, value=float("nan"), curve=None, reason="no forced run")
    (drawn,) = plots.pictures([survival, missing])
    assert drawn.columns == ("step", "measured", "n")
    assert "(1−e)ⁿ" not in drawn.svg


def test_an_interval_that_leaves_the_picture_is_said_to_be_cut(synthetic_study: StudyResult) -> None:
    hazard = synthetic_study.arms[0].readings[4]
    assert hazard.curve is not None
    wide = dataclasses.replace(hazard.curve, high=(*hazard.curve.high[:-1], 1.0))
    drawn = [plots.pictures([dataclasses.replace(hazard, curve=c)])[0] for c in (hazard.curve, wide)]
    assert [p.sentence.endswith(plots.CUT) for p in drawn] == [False, True]
    assert "[0.05, 1]" in drawn[1].rows[-1][1]


def test_every_point_of_a_curve_is_drawn(synthetic_study: StudyResult) -> None:
    for drawn in plots.pictures(synthetic_study.arms[0].readings):
        lines = re.findall(r'<path [^>]*d="(M[^"]*)"[^>]*stroke-width="2"', drawn.svg)
        curves = [path for path in lines if path.count("L") + 1 >= len(drawn.rows)]
        assert len(curves) == len(drawn.columns) - 2  # the x, the curves, n
        bands = re.findall(r'<path [^>]*d="M([^"]*)Z"[^>]*opacity="0.18"', drawn.svg)
        assert bands


def test_a_difference_is_drawn_against_a_line_at_zero(synthetic_study: StudyResult) -> None:
    drawn = {p.kind.name: p.svg for p in plots.pictures(synthetic_study.arms[0].readings)}
    across = re.compile(f'<line [^>]*x2="-?{plots.WIDTH}"[^>]*stroke="{PALETTE["muted"][0]}"')
    assert len(across.findall(drawn["hazard"])) == 1  # the axis
    assert len(across.findall(drawn["self_conditioning"])) == 2


def test_a_chart_says_its_numbers_in_full(synthetic_study: StudyResult) -> None:
    """Coordinates are rounded to save bytes; the labels of the axes are not coordinates."""
    (hazard,) = plots.pictures(synthetic_study.arms[0].readings[4:5])
    labels = [float(v) for v in re.findall(r">(0\.\d+)</text>", hazard.svg)]
    steps = {round(b - a, 6) for a, b in pairwise(labels)}
    assert len(labels) > 3
    assert len(steps) == 1
    assert min(steps) > 0


def test_numbers_say_what_is_missing() -> None:
    inf = float("inf")
    said: list[Any] = [number(v) for v in (float("nan"), inf, -inf, 0.0, -0.01234, 12.0, 123456.7)]
    assert said == ["–", "∞", "−∞", "0", "−0.0123", "12", "1.23e+05"]

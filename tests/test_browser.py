"""The report in a real Chromium, spoken to over its debugging pipe: nothing to install beside the browser."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import PAYLOADS, poisoned

from deadreckon.report.figure import PALETTE
from deadreckon.report.page import first_error, render
from deadreckon.studies.study import StudyResult

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"),
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path: apt-get install chromium"),
]


class Tab:
    """One page of a browser: commands and their answers, and every event it told."""

    def __init__(self, profile: Path):
        (child_in, self._out), (self._in, child_out) = os.pipe(), os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (child_in, child_out)]  # clear of 3 and 4
        quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        pipes = [(os.POSIX_SPAWN_DUP2, fd, place) for fd, place in zip(high, (3, 4), strict=True)]
        command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._process = os.posix_spawn(command[0], command, os.environ, file_actions=[*quiet, *pipes])
        for fd in (child_in, child_out, *high):
            os.close(fd)
        self._rest, self._id, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        self._id += 1
        message = {"id": self._id, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._id:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _read(self) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            told = os.read(self._in, 1 << 16) if ready else b""
            assert told, "the browser has ended, or says nothing for a minute"
            self._rest += told
        line, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def open(self, url: str, width: int = 1280, scheme: str = "light", *, height: int = 900) -> None:
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=media)
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def js(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        codes = {"ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35, "Tab": 9, "Enter": 13}
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key], **text)

    def screenshot(self, path: Path) -> None:
        shot = self.call("Page.captureScreenshot")
        path.write_bytes(b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """Console messages, exceptions, log entries, and requests beyond the page itself."""
        told = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Page.javascriptDialogOpening"}
        found = [json.dumps(event) for event in self.events if event.get("method") in told]
        asked = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return found + asked[1:]

    def close(self) -> None:
        os.close(self._out)  # the end of its pipe ends the browser
        os.waitpid(self._process, 0)
        os.close(self._in)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    opened = Tab(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def page(synthetic_study: StudyResult, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render([synthetic_study]), "utf-8")
    return path.as_uri()


def visible(tab: Tab, replay: str) -> list[int]:
    """Which steps of a replay can be seen."""
    steps = f"[...document.querySelectorAll('#{replay} .step')]"
    found: list[int] = tab.js(f"{steps}.flatMap((s, i) => s.getClientRects().length ? [i] : [])")
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_is_quiet_and_never_wider_than_its_window(tab: Tab, page: str, width: int, scheme: str) -> None:
    tab.open(page, width, scheme)
    tab.js("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert tab.js("document.documentElement.scrollWidth") <= tab.js("document.documentElement.clientWidth") <= width
    assert tab.complaints() == []


def test_drawings_and_charts_follow_the_colour_scheme(tab: Tab, page: str) -> None:
    seen = []
    for scheme, place in (("light", 0), ("dark", 1)):
        tab.open(page, scheme=scheme)
        colours = ["getComputedStyle(document.body).backgroundColor", "getComputedStyle(document.body).color"]
        colours += [
            "getComputedStyle(document.querySelector('.pictures svg text[font-size]')).fill",
            "getComputedStyle(document.querySelector('.replay .step svg text')).fill",
        ]
        wanted = [PALETTE[name][place] for name in ("paper", "ink", "muted", "muted")]
        told = [tab.js(colour) for colour in colours]
        assert told == [f"rgb({int(c[1:3], 16)}, {int(c[3:5], 16)}, {int(c[5:7], 16)})" for c in wanted]
        seen.append(told)
    assert seen[0] != seen[1]


def test_a_replay_is_stepped_through_by_keys_alone(tab: Tab, page: str, synthetic_study: StudyResult) -> None:
    tab.open(page)
    replay, rows = "s0-r1", synthetic_study.replays[1].rows
    assert visible(tab, replay) == [0]
    tab.js(f"document.querySelector('#{replay}').previousElementSibling.querySelector('summary:last-of-type').focus()")
    tab.press("Tab")
    assert tab.js("document.activeElement.getAttribute('href')") == f"#{replay}-0"
    assert tab.js("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for key, step in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", len(rows) - 1)):
        tab.press(key)
        assert visible(tab, replay) == [step]
        assert tab.js("document.activeElement.getAttribute('href')") == f"#{replay}-{step}"
        assert f"Step {step}, " in tab.js(f"document.querySelector('#{replay} .said').textContent")
    tab.press("ArrowRight")
    assert visible(tab, replay) == [len(rows) - 1]
    tab.press("Home")
    for label in ("Next", "First error"):  # Start and Back are off at the first step
        tab.press("Tab")
        assert tab.js("document.activeElement.textContent") == label
    tab.press("Enter")
    assert visible(tab, replay) == [first_error(rows)]
    assert visible(tab, "s0-r0") == [0]


def test_without_its_script_the_page_lists_every_step(tab: Tab, page: str, synthetic_study: StudyResult) -> None:
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(page, 360)
        for i, replay in enumerate(synthetic_study.replays):
            assert visible(tab, f"s0-r{i}") == list(range(len(replay.rows)))
        assert tab.js("document.querySelector('.buttons').getClientRects().length") == 0
        assert tab.js("document.documentElement.scrollWidth") <= 360
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)


def test_on_paper_closed_parts_are_open_and_buttons_are_gone(tab: Tab, page: str) -> None:
    tab.open(page)
    tab.call("Emulation.setEmulatedMedia", media="print")
    try:
        closed = "document.querySelector('.arm:not([open]) table')"
        assert tab.js(f"{closed}.getBoundingClientRect().height") > 0
        assert tab.js("document.querySelector('.buttons').getClientRects().length") == 0
    finally:
        tab.call("Emulation.setEmulatedMedia", media="")


def test_hostile_text_runs_nothing(tab: Tab, synthetic_study: StudyResult, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    for keep in ((), ("quantity", "world", "state")):
        path.write_text(render([poisoned(synthetic_study, "".join(PAYLOADS), keep)]), "utf-8")
        tab.open(path.as_uri(), 360)
        for step in range(3):
            tab.js(
                f"document.querySelectorAll('.replay').forEach((r) => r.querySelectorAll('.strip a')[{step}].click())"
            )
        assert tab.complaints() == []
        assert tab.js("document.scripts.length") == 1
        assert tab.js("document.querySelectorAll('img, iframe, object, embed, form, link').length") == 0
        assert tab.js("document.documentElement.scrollWidth") <= 360

"""Draw the picture of your-own-logs.md from the runs its own example writes: python docs/logs_picture.py"""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path

from deadreckon.logs.record import Options
from deadreckon.report.figure import save_figure
from deadreckon.report.plots import KINDS, picture
from deadreckon.studies.fit import FitSpec, fit

HERE = Path(__file__).parent
COLUMNS = {"item": "task", "rollout": "run", "step": "n", "ok": "correct"}


def draw() -> str:
    """The picture of occupancy of the careful agent, as SVG."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", (HERE / "your-own-logs.md").read_text(), re.MULTILINE | re.DOTALL)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        exec(code, {})  # the page's own example
        found = fit(FitSpec((Path("runs.csv"),), Options(columns=COLUMNS), by="agent"))
    (kind,) = (kind for kind in KINDS if kind.name == "occupancy")
    drawn = picture(kind, [reading for reading in found.readings if reading.by == "careful"])
    assert drawn is not None
    return drawn.svg


if __name__ == "__main__":
    save_figure(draw(), HERE / "img" / "your-own-logs.svg")

"""A sheet to draw on: SVG built as a tree, so that no text can become markup."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Literal

from deadreckon.report.figure import light
from deadreckon.report.text import readable

_TYPE = {"font-family": "system-ui, sans-serif", "font-size": "13"}  # of all text that says nothing else


class Canvas:
    """A drawing of that size in user units; colours are names of the palette."""

    def __init__(self, width: float, height: float):
        """An empty sheet, transparent."""
        size = {"width": _n(width), "height": _n(height), "viewBox": f"0 0 {_n(width)} {_n(height)}"}
        style = {**_TYPE, "fill": light("ink")}
        self.width, self.height = width, height
        self._root = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, **style})

    def rect(self, x: float, y: float, width: float, height: float, fill: str, *, round: float = 0) -> None:
        """A filled box, its top left corner at (x, y)."""
        box = {"x": _n(x), "y": _n(y), "width": _n(width), "height": _n(height), "fill": light(fill)}
        ET.SubElement(self._root, "rect", box | ({"rx": _n(round)} if round else {}))

    def circle(self, x: float, y: float, r: float, fill: str = "", stroke: str = "", *, width: float = 1.5) -> None:
        """A disc, a ring, or both; an empty colour is none."""
        attributes = {"cx": _n(x), "cy": _n(y), "r": _n(r)} | _paint(fill, stroke, width)
        ET.SubElement(self._root, "circle", attributes)

    def path(self, d: str, stroke: str = "", fill: str = "", *, width: float = 1.5, dash: str = "") -> None:
        """Any outline, in SVG path notation."""
        attributes = {"d": d} | _paint(fill, stroke, width) | ({"stroke-dasharray": dash} if dash else {})
        ET.SubElement(self._root, "path", attributes | {"stroke-linecap": "round", "stroke-linejoin": "round"})

    def text(
        self, x: float, y: float, text: str, fill: str = "ink", *, size: float = 13, mono: bool = False
    ) -> ET.Element:
        """Text whose baseline starts at (x, y); returned so that its anchor or weight can be set."""
        attributes = {"x": _n(x), "y": _n(y)} | ({} if fill == "ink" else {"fill": light(fill)})
        attributes |= {} if _n(size) == _TYPE["font-size"] else {"font-size": _n(size)}
        element = ET.SubElement(self._root, "text", attributes | ({"font-family": "monospace"} if mono else {}))
        element.text = readable(text)
        return element

    def use(self, name: str) -> None:
        """Place what `symbol` put in the page under that id."""
        ET.SubElement(self._root, "use", {"href": f"#{name}"})

    def symbol(self, name: str) -> str:
        """What is drawn, as a group under an id, for `use`."""
        group = ET.Element("g", {"id": name})
        group.extend(list(self._root))
        return ET.tostring(group, encoding="unicode")

    def svg(self) -> str:
        """The drawing, in the palette's light colours."""
        return ET.tostring(self._root, encoding="unicode")


def anchored(element: ET.Element, anchor: Literal["middle", "end"]) -> None:
    """Centre a text on its x, or end it there."""
    element.set("text-anchor", anchor)


def bold(element: ET.Element) -> None:
    """Set a text in bold."""
    element.set("font-weight", "700")


def _paint(fill: str, stroke: str, width: float) -> dict[str, str]:
    painted = {"fill": light(fill) if fill else "none"}
    return painted | ({"stroke": light(stroke), "stroke-width": _n(width)} if stroke else {})


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")

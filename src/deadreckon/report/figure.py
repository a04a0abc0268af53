"""Pictures as SVG text: one palette, drawn in its light colours, and the two ways out.

A picture in a page follows the reader's colour scheme (`themed`); a picture in a file of its own keeps the
light one (`standalone`). Series colours are Okabe and Ito's colour-blind safe set, darkened on light paper
and lightened on dark until text in them passes 4.5:1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from deadreckon.errors import BadOption, MissingExtra
from deadreckon.report.text import readable
from deadreckon.rollouts.store import write_atomic

PALETTE: Mapping[str, tuple[str, str]] = {  # name: light, dark
    "paper": ("#fefefd", "#15181c"),
    "panel": ("#f5f5f2", "#1d2126"),
    "ink": ("#1b1f24", "#e6e8ea"),
    "muted": ("#5a626b", "#a2aab3"),
    "line": ("#dcdedf", "#343a41"),
    "street": ("#b4bac0", "#565e67"),
    "board": ("#dde8df", "#27453a"),
    "black": ("#17191b", "#0b0c0d"),
    "white": ("#fafaf7", "#f1f1ed"),
    "blue": ("#0067a3", "#74bdf0"),
    "orange": ("#b34700", "#f2a65e"),
    "green": ("#00734f", "#4fcfa0"),
    "purple": ("#9a3f7e", "#e39bcb"),
}


def light(name: str) -> str:
    """The colour of that name on light paper, as #rrggbb."""
    return PALETTE[name][0]


def themed(svg: str) -> str:
    """SVG whose palette colours are CSS custom properties: one picture for light and dark."""
    for name, (colour, _) in PALETTE.items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg


def standalone(svg: str) -> str:
    """Inverse of `themed`: SVG with no custom property left, in light colours."""
    for name, (colour, _) in PALETTE.items():
        svg = svg.replace(f"var(--{name})", colour)
    return svg


def named(svg: str, key: str, title: str, text: str) -> str:
    """SVG that scales with its box and carries its name and description; `key` is unique in the page."""
    root = re.match(r"<svg( [^>]*viewBox=[^>]*)>", svg)
    if root is None:
        raise BadOption(f"not an SVG with a viewBox: {svg[:60]!r}")
    kept = re.sub(r' (?:width|height|xmlns)="[^"]*"', "", root[1])
    return (
        f'<svg{kept} role="img" aria-labelledby="{key}-t" aria-describedby="{key}-d">'
        f'<title id="{key}-t">{escape(readable(title))}</title><desc id="{key}-d">{escape(readable(text))}</desc>'
        + svg[root.end() :]
    )


def save_figure(svg: str, path: Path) -> None:
    """Write a picture as .svg or .png (twice its size in pixels). BadOption: another suffix. MissingExtra: png."""
    svg = standalone(svg)
    if path.suffix == ".svg":
        write_atomic(path, svg.encode())
    elif path.suffix == ".png":
        write_atomic(path, _png(svg))
    else:
        raise BadOption(f"a figure is saved as .svg or .png, not {path.suffix!r}: rename {path.name}")


def _png(svg: str) -> bytes:
    try:
        import vl_convert
    except ImportError as missing:
        raise MissingExtra("a PNG", "plots") from missing
    png: bytes = vl_convert.svg_to_png(svg, scale=2)
    return png

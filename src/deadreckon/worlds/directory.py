"""A town of the world `maps` in words, for a reader who was not trained on its streets."""

from __future__ import annotations

from deadreckon.worlds.towns import DIRECTIONS, crossings, town


def directory(level: int) -> str:
    """Each crossing with the directions of the streets that lead out of it, "c03 NE", and its landmark."""
    listed = (
        f"{crossing.name} {''.join(way for way, after in zip(DIRECTIONS, ahead, strict=True) if after >= 0)}"
        + (f" ({crossing.landmark})" if crossing.landmark else "")
        for crossing, ahead in zip(crossings(level), town(level).ahead, strict=True)
    )
    return f"The crossings, each with the directions of the streets that lead out of it: {', '.join(listed)}."

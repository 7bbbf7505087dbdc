"""What all pictures have in common: their colours, and a line of text in an SVG."""

from __future__ import annotations

from html import escape

PAPER, INK, SOFT, GRID = "#fdfcf9", "#22262e", "#646b78", "#e4e2da"
HELD, LOOSE = "#2a8c82", "#e9a13b"  # what the floor holds, and what stands above it
ALARM = "#b3541e"


def text(
    x: float, y: float, words: str, *, anchor: str = "start", size: int = 14, fill: str = INK, weight: int = 400
) -> str:
    """A line of text."""
    style = f'text-anchor="{anchor}" font-size="{size}" fill="{fill}" font-weight="{weight}"'
    return f'<text x="{round(x, 1)}" y="{round(y, 1)}" {style}>{escape(words)}</text>'

"""The one exception whose text is meant for the person at the terminal."""

from __future__ import annotations


class KitError(Exception):
    """One sentence: what is wrong and what to do."""

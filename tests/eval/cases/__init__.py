"""Every transcript, by what the model is like."""

from __future__ import annotations

from tests.eval.cases import asking_for_too_much, confused, controls, injected, meddling
from tests.eval.script import Case

ALL: tuple[Case, ...] = (
    *asking_for_too_much.CASES,
    *meddling.CASES,
    *confused.CASES,
    *injected.CASES,
    *controls.CASES,
)

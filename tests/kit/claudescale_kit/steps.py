"""Resumable work: each step's result stands under a key of all that went into it.

A result is made beside its place and renamed when it is whole, so what stands is always complete:
an interruption at any point costs only the step that it hit.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Union

Fact = Union[str, Path]  # noqa: UP007 -- evaluated, and Python 3.9 knows no X | Y here


class Results(Protocol):
    """Where the results of other steps are."""

    def path(self, step: Step) -> Path: ...


@dataclass(frozen=True)
class Step:
    """`build(folder, results)` fills the folder from the facts and from the results of `after`.

    What else it reads, helper functions in other modules included, belongs into the facts.
    """

    name: str
    build: Callable[[Path, Results], None]
    facts: tuple[Fact, ...] = ()
    after: tuple[Step, ...] = ()

    @functools.cached_property
    def key(self) -> str:
        """Twelve characters that change with the function, the facts, or anything before.

        Worked out once, so that an edit of a file during a build leaves this build whole.
        """
        digest = hashlib.sha256()
        for part in self._parts():
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()[:12]

    def _parts(self) -> Iterator[bytes]:
        yield self.name.encode()
        build = self.build.func if isinstance(self.build, functools.partial) else self.build
        yield inspect.getsource(build).encode()
        for fact in self.facts:
            if isinstance(fact, Path):
                yield fact.name.encode()
                yield fact.read_bytes()
            else:
                yield fact.encode()
        for step in self.after:
            yield step.key.encode()


class Store:
    """The results of all steps, under one folder. The caller holds the lock while it builds."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder = folder
        self._say = say

    def path(self, step: Step) -> Path:
        return self.folder / f"{step.name}-{step.key}"

    def missing(self, steps: Sequence[Step]) -> list[Step]:
        return [step for step in steps if not self.path(step).is_dir()]

    def make(self, steps: Sequence[Step]) -> float:
        """Build what is missing, in the order given; return the seconds it took."""
        begin = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(".unfinished-*"):
            shutil.rmtree(left)
        todo = self.missing(steps)
        for number, step in enumerate(todo, 1):
            self._say(f"[{number}/{len(todo)}] {step.name} ...")
            seconds = self._make_one(step)
            self._say(f"[{number}/{len(todo)}] {step.name} {seconds:.1f} s")
        return time.monotonic() - begin

    def _make_one(self, step: Step) -> float:
        begin = time.monotonic()
        unfinished = self.folder / f".unfinished-{step.name}-{step.key}"
        unfinished.mkdir()
        try:
            step.build(unfinished, self)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        seconds = time.monotonic() - begin
        unfinished.rename(self.path(step))
        return seconds

    def forget_all_but(self, steps: Sequence[Step], keep_days: float = 14) -> None:
        """Delete results that no step names any more and nobody has used for some days."""
        current = {self.path(step).name for step in steps}
        oldest = time.time() - keep_days * 86400
        for folder in self.folder.iterdir():
            if folder.name in current:
                os.utime(folder)
            elif folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)

"""Work that goes on where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from claudescale_kit.steps import Results, Step, Store

KIT = Path(__file__).resolve().parent

INTERRUPTED = """
import sys, time
from pathlib import Path
from claudescale_kit.steps import Step, Store

folder = Path(sys.argv[1])

def first(out, results):
    (out / "value").write_text("first")

def second(out, results):
    (out / "value").write_text("hal")
    (folder / "reached").touch()
    time.sleep(float(sys.argv[2]))
    (out / "value").write_text((results.path(one) / "value").read_text() + " second")

one = Step("one", first)
two = Step("two", second, after=(one,))
store = Store(folder / "steps", lambda text: print(text, flush=True))
store.make((one, two))
print((store.path(two) / "value").read_text())
"""


def write(text: str) -> Callable[[Path, Results], None]:
    def build(folder: Path, results: Results) -> None:
        (folder / "value").write_text(text)

    return build


def quiet(folder: Path) -> Store:
    return Store(folder, lambda text: None)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_step_is_made_again_and_the_ones_before_are_not(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED)
    environment = {**os.environ, "PYTHONPATH": str(KIT)}
    with subprocess.Popen(
        [sys.executable, script, tmp_path, "60"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        end = time.monotonic() + 20
        while not (tmp_path / "reached").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        running.send_signal(number)
        running.communicate(timeout=20)
    complete = [path.name.split("-")[0] for path in (tmp_path / "steps").iterdir() if not path.name.startswith(".")]
    assert complete == ["one"]
    again = subprocess.run(
        [sys.executable, script, tmp_path, "0"], env=environment, capture_output=True, text=True, check=True
    )
    assert "first second" in again.stdout
    assert "one ..." not in again.stdout
    assert not list((tmp_path / "steps").glob(".*"))


def test_a_failed_step_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path, results: Results) -> None:
        (folder / "value").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        quiet(tmp_path).make((Step("bad", fail),))
    assert list(tmp_path.iterdir()) == []


def test_the_second_time_nothing_is_built(tmp_path: Path) -> None:
    said: list[str] = []
    step = Step("one", write("1"))
    Store(tmp_path, said.append).make((step,))
    assert said
    said.clear()
    Store(tmp_path, said.append).make((step,))
    assert said == []


def test_a_key_changes_with_facts_files_code_and_what_comes_before(tmp_path: Path) -> None:
    file = tmp_path / "file"

    def other(folder: Path, results: Results) -> None:
        (folder / "value").write_text("other")

    def keys() -> list[str]:
        base = Step("one", other, ("fact", file))
        return [
            base.key,
            Step("two", other, after=(base,)).key,
            Step("one", other, ("fac", "t", file)).key,
            Step("uno", other, ("fact", file)).key,
            Step("one", write("1"), ("fact", file)).key,
        ]

    file.write_text("a")
    first = keys()
    assert keys() == first
    file.write_text("b")
    assert len({*first, *keys()}) == 10


def test_results_that_nobody_names_go_after_a_while(tmp_path: Path) -> None:
    store = quiet(tmp_path)
    old, new, kept = (Step(name, write(name)) for name in ("old", "new", "kept"))
    store.make((old, new, kept))
    long_ago = time.time() - 30 * 86400
    for step in (old, kept):
        os.utime(store.path(step), (long_ago, long_ago))
    store.forget_all_but((kept,))
    assert [store.path(step).is_dir() for step in (old, new, kept)] == [False, True, True]

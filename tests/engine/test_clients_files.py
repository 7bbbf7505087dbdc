"""A configuration's file on the disk: kept, replaced in one step, and never over somebody else's change."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.clients import configuration, files
from ansible_collections.claudescale.core.plugins.module_utils.clients.configuration import Difference, Edited
from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to somebody else")


def to(text: str | None) -> files.Edit:
    """An edit that makes the text this one."""

    def edit(before: str | None) -> Edited:
        if before == text:
            return Edited(text=text)
        return Edited(text=text, differences=(Difference(path="all", before=before, after=text),))

    return edit


def appending(more: str, meanwhile: Callable[[], object] = lambda: None) -> files.Edit:
    """An edit that adds to the text; `meanwhile` happens between reading and writing."""

    def edit(before: str | None) -> Edited:
        meanwhile()
        return Edited(text=(before or "") + more, differences=(Difference(path="end", before=None, after=more),))

    return edit


def once(step: Callable[[], object]) -> Callable[[], None]:
    """The step, done at the first call only."""
    steps = [step]

    def call() -> None:
        if steps:
            steps.pop()()

    return call


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "config.json"
    file.write_bytes(b"before\r\n")
    file.chmod(0o640)
    return file


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def refused(path: Path, code: str, *, make_folder: bool = False) -> str:
    """The sentence with which a change and its check are refused; nothing in the folder changes."""
    said = []
    for check in (True, False):
        with pytest.raises(Fault) as fault:
            files.change(path, to("after"), check=check, make_folder=make_folder)
        assert fault.value.code == code
        said.append(str(fault.value))
    assert said[0] == said[1]
    return said[0]


def test_it_is_replaced_and_the_content_from_before_is_kept_beside_it(path: Path) -> None:
    inode = path.stat().st_ino
    done = files.change(path, to("after\r\nü"))
    assert path.read_bytes() == "after\r\nü".encode()
    assert path.stat().st_ino != inode
    assert done.changed
    assert done.backup is not None
    assert done.backup.read_bytes() == b"before\r\n"
    assert files.BACKUP.fullmatch(done.backup.name.removeprefix("config.json"))
    assert (mode(path), mode(done.backup)) == (0o640, 0o640)
    assert sorted(path.parent.iterdir()) == sorted([path, done.backup])


@as_root
def test_its_owner_and_group_stay(path: Path) -> None:
    os.chown(path, NOBODY, 12345)
    path.chmod(0o600)
    done = files.change(path, to("after"))
    assert done.backup is not None
    for file in (path, done.backup):
        status = file.stat()
        assert (status.st_uid, status.st_gid, mode(file)) == (NOBODY, 12345, 0o600)


def test_nothing_is_touched_where_nothing_differs(path: Path) -> None:
    path.chmod(0o440)
    before = path.stat()
    done = files.change(path, to("before\r\n"))
    assert (done.changed, done.backup) == (False, None)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )
    assert list(path.parent.iterdir()) == [path]


def test_check_says_what_would_be_and_writes_nothing(path: Path) -> None:
    before = (path.parent.stat().st_mtime_ns, path.stat().st_ctime_ns)
    assert files.change(path, to("after"), check=True).changed
    assert files.change(path, to(None), check=True).changed
    assert files.change(path.with_name("new") / "config.json", to("x"), check=True, make_folder=True).changed
    assert (path.parent.stat().st_mtime_ns, path.stat().st_ctime_ns) == before
    assert list(path.parent.iterdir()) == [path]


def test_a_new_file_is_private_and_needs_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "config.json"
    done = files.change(path, to("new"), make_folder=True)
    assert (done.changed, done.backup) == (True, None)
    assert path.read_text() == "new"
    assert [mode(one) for one in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_folder_is_made_only_where_it_is_ours_to_make(tmp_path: Path) -> None:
    sentence = refused(tmp_path / "a" / "config.json", "ConfigurationFolderMissing")
    assert "config.json cannot be written: its folder does not exist" in sentence
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_to_be_none_is_deleted_and_kept_beside(path: Path) -> None:
    done = files.change(path, to(None))
    assert done.backup is not None
    assert done.backup.read_bytes() == b"before\r\n"
    assert list(path.parent.iterdir()) == [done.backup]
    assert not files.change(path, to(None)).changed


def test_at_most_five_backups_of_ours_stay_and_others_are_not_touched(path: Path) -> None:
    others = [
        path.with_name(f"config.json.{name}") for name in ("bak", "20200101T000000000000Z.bak", "claudescale.bak")
    ]
    others.append(path.with_name("other.json.20200101T000000000000Z.claudescale.bak"))
    for other in others:
        other.write_text("theirs")
    made = [files.change(path, to(str(number))).backup for number in range(9)]
    left = {file for file in path.parent.iterdir() if file.name.endswith("Z.claudescale.bak")} - set(others)
    assert left == set(made[-5:])
    assert [file.read_text() for file in sorted(left)] == ["3", "4", "5", "6", "7"]
    assert all(other.read_text() == "theirs" for other in others)


@pytest.mark.parametrize("relative", [False, True])
def test_a_link_is_kept_and_its_target_written(path: Path, relative: bool) -> None:
    folder = path.parent / "dotfiles"
    folder.mkdir()
    real = path.rename(folder / "real.json")
    middle = folder / "middle"
    middle.symlink_to("real.json" if relative else real)
    path.symlink_to("dotfiles/middle" if relative else middle)
    done = files.change(path, to("after"))
    assert path.is_symlink()
    assert middle.is_symlink()
    assert real.read_text() == "after"
    assert mode(real) == 0o640
    assert done.backup is not None
    assert done.backup.parent == folder
    assert {file.name for file in path.parent.iterdir()} == {"config.json", "dotfiles"}


def test_a_link_to_a_file_that_is_not_there_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.symlink_to(tmp_path / "real.json")
    files.change(path, to("new"))
    assert path.is_symlink()
    assert (tmp_path / "real.json").read_text() == "new"


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.symlink_to(tmp_path / "other")
    (tmp_path / "other").symlink_to(path)
    assert "config.json cannot be " in refused(path, "ConfigurationUnreadable")


def test_a_read_only_file_is_refused_for_root_too(path: Path) -> None:
    path.chmod(0o440)
    assert f"{path} cannot be written: it is read-only" in refused(path, "ConfigurationReadOnly")
    assert path.read_bytes() == b"before\r\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_read_only_folder_is_refused_for_root_too(path: Path) -> None:
    path.parent.chmod(0o555)
    try:
        assert f"the folder {path.parent} is read-only" in refused(path, "ConfigurationReadOnly")
    finally:
        path.parent.chmod(0o755)
    assert path.read_bytes() == b"before\r\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"a": 1,\n "b": "\xe4"}', "line 2 of {path} is no UTF-8 text"),
        ("{}".encode("utf-16"), "line 1 of {path} is no UTF-8 text"),
        (b" " * 101, "{path} is longer than 100 bytes"),
    ],
    ids=["latin-1", "utf-16", "too-long"],
)
def test_what_is_no_text_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, sentence: str) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 100)
    path.write_bytes(content)
    assert refused(path, "ConfigurationBroken").startswith(sentence.format(path=path))
    assert path.read_bytes() == content


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "config.json"
    folder.mkdir()
    assert f"{folder} is no file" in refused(folder, "ConfigurationUnreadable")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert f"{pipe} is no file" in refused(pipe, "ConfigurationUnreadable")
    file = tmp_path / "file"
    file.touch()
    assert "Not a directory" in refused(file / "config.json", "ConfigurationUnreadable", make_folder=True)


# Imports first: nobody may read them afterwards.
AS_NOBODY = """
import json, os, sys
from pathlib import Path
from ansible_collections.claudescale.core.plugins.module_utils.clients import configuration, files
from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault
os.setgroups([])
os.setgid({nobody})
os.setuid({nobody})
said = []
for check in (True, False):
    try:
        edit = lambda text: configuration.add(text, "claudescale", {{"command": "x"}}, source="FILE")
        files.change(Path(sys.argv[1]), edit, check=check, make_folder=True)
    except Fault as fault:
        said.append(str(fault))
    else:
        said.append("written")
print(json.dumps(said))
"""


@as_root
@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "owner", "sentence"),
    [
        (0o755, None, 0, "the folder {folder} is read-only"),
        (0o755, 0o666, 0, "the folder {folder} is read-only"),
        (0o777, 0o644, 0, "it is read-only"),
        (0o777, 0o666, 0, "it belongs to the user with ID 0, and must stay so"),
        (0o777, 0o600, 0, "cannot be read: Permission denied"),
        (0o700, 0o644, 0, "cannot be read: Permission denied"),
        (0o777, 0o600, NOBODY, "written"),
    ],
)
def test_somebody_without_rights_gets_one_sentence(
    folder_mode: int, file_mode: int | None, owner: int, sentence: str
) -> None:
    """A process of another user, because root may write everywhere; pytest's own folders are closed to that one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "config.json"
        if file_mode is not None:
            path.write_text("{}")
            path.chmod(file_mode)
            os.chown(path, owner, owner)
        folder.chmod(folder_mode)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY.format(nobody=NOBODY), name + "/config.json"],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        for said in json.loads(done.stdout):
            assert sentence.format(folder=folder) in said
        if sentence == "written":
            assert (path.stat().st_uid, mode(path)) == (NOBODY, 0o600)
        else:
            assert [file.read_text() for file in folder.iterdir()] == ([] if file_mode is None else ["{}"])


def test_another_programs_change_is_taken_up_and_ours_made_to_it(path: Path) -> None:
    done = files.change(path, appending("ours", once(lambda: path.write_text("theirs "))))
    assert path.read_text() == "theirs ours"
    assert done.backup is not None
    assert done.backup.read_text() == "theirs "
    assert sorted(path.parent.iterdir()) == sorted([path, done.backup])


def test_a_file_that_appears_or_goes_meanwhile_is_noticed(path: Path) -> None:
    assert files.change(path, appending("ours", once(path.unlink))).backup is None
    assert path.read_text() == "ours"
    path.unlink()
    files.change(path, appending("ours", once(lambda: path.write_text("theirs "))))
    assert path.read_text() == "theirs ours"


def test_who_is_always_late_gives_up_and_changes_nothing(path: Path) -> None:
    numbers = iter(range(100))
    with pytest.raises(Fault, match=f"{path} was changed by another program each of the 3 times") as fault:
        files.change(path, appending("ours", lambda: path.write_text(f"theirs {next(numbers)}")))
    assert fault.value.code == "ConfigurationBusy"
    assert path.read_text() == "theirs 2"
    assert list(path.parent.iterdir()) == [path]


def test_several_of_ours_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    entry = {"command": "/p", "args": ["-m", "claudescale_mcp"]}
    together = threading.Barrier(3)

    def work(name: str) -> None:
        def edit(text: str | None) -> Edited:
            return configuration.add(text, name, entry, source="FILE")

        together.wait(10)
        files.change(path, edit)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert json.loads(path.read_text())["mcpServers"] == dict.fromkeys("abc", entry)
    assert {file.name.partition(".json")[0] for file in tmp_path.iterdir()} == {"config"}


@pytest.mark.clock
def test_the_lock_of_claude_code_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LOCK_SECONDS", 0.2)
    lock = path.with_name("config.json.lock")
    lock.mkdir()
    with pytest.raises(Fault, match=r"is locked by another program, which holds config\.json\.lock"):
        files.change(path, to("after"))
    assert path.read_bytes() == b"before\r\n"
    assert sorted(path.parent.iterdir()) == [path, lock]
    monkeypatch.setattr(files, "LOCK_SECONDS", 30.0)
    timer = threading.Timer(0.3, lock.rmdir)
    began = time.monotonic()
    timer.start()
    assert files.change(path, to("after")).changed
    timer.join()
    assert time.monotonic() - began >= 0.3
    assert not lock.exists()


def test_a_lock_that_was_left_behind_is_taken(path: Path) -> None:
    lock = path.with_name("config.json.lock")
    lock.mkdir()
    os.utime(lock, (time.time() - 11, time.time() - 11))
    assert files.change(path, to("after")).changed
    assert not lock.exists()


def test_the_lock_is_held_while_it_is_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    real_fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda one: (held.append(path.with_name("config.json.lock").is_dir()), real_fsync(one))
    )
    files.change(path, to("after"))
    assert held
    assert all(held)


@pytest.mark.parametrize("when", range(3))
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    """The disk is full at the backup, at the new content, or at the renaming."""
    calls = iter(range(10))

    def full(*_arguments: object) -> None:
        if next(calls) == when:
            raise OSError(28, "No space left on device")

    def not_replaced(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    if when == 2:
        monkeypatch.setattr(Path, "replace", not_replaced)
    with pytest.raises(Fault, match="cannot be written: No space left on device"):
        files.change(path, to("after"))
    assert path.read_bytes() == b"before\r\n"
    assert list(path.parent.iterdir()) == [path]


def test_what_a_killed_run_left_is_no_obstacle(path: Path) -> None:
    part = path.with_name(".config.json.claudescale.part")
    part.write_text("half")
    assert files.change(path, to("after")).changed
    assert not part.exists()
    assert path.read_text() == "after"

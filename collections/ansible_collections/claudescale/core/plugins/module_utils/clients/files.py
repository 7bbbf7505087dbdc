# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""A configuration's file: read, kept beside it, replaced in one step, and never over somebody else's change."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.claudescale.core.plugins.module_utils.clients.configuration import Edited
from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault

TRIES = 3  # so often somebody else may change the file while it is edited
KEPT = 5  # backups of ours
MOST_BYTES = 64 << 20  # what is longer is no configuration
LOCK_SECONDS = 5.0  # how long another program's lock is waited for
STALE_SECONDS = 10.0  # a lock that nobody has touched for so long was left behind
BACKUP = re.compile(r"\.\d{8}T\d{12}Z\.claudescale\.bak")
PRIVATE = 0o600

Edit = Callable[["str | None"], Edited]


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of a change; backup is the file that keeps the content from before, None where there was none."""

    edited: Edited
    backup: Path | None = None

    @property
    def changed(self) -> bool:
        """Whether the file was changed, or would be."""
        return bool(self.edited.differences)


def whole_paths(setting: str) -> str:
    """The paths of a KUBECONFIG setting as a process finds them that starts elsewhere. Fault where a ~ is nobody's."""
    try:
        found = [Path(part).expanduser().absolute() for part in setting.split(os.pathsep) if part]
    except RuntimeError as error:
        raise Fault("NoHome", f"{setting} has a ~ of nobody", "write its whole path") from error
    return os.pathsep.join(map(str, found))


def change(path: Path, edit: Edit, *, check: bool = False, make_folder: bool = False) -> Done:
    """Have `edit` applied to the file's text (None: there is no file); with check, say what would be and write nothing.

    A link is kept and its target written. Mode and owner stay; a new file is its owner's alone. Fault where the file
    cannot be read or written, and where others change it again and again.
    """
    for _attempt in range(TRIES):
        real = _real(path)
        content = _read(real)
        edited = edit(_decoded(real, content))
        if not edited.differences:
            return Done(edited=edited)
        _check_writable(real, make_folder=make_folder)
        if check:
            return Done(edited=edited)
        try:
            _make_folders(real.parent)
            with _locked(path):
                written, backup = _write(path, real, content, edited.text)
        except OSError as error:
            raise _cannot_be_written(real, error.strerror or type(error).__name__) from error
        if written:
            return Done(edited=edited, backup=backup)
    raise Fault(
        "ConfigurationBusy",
        f"{path} was changed by another program each of the {TRIES} times that it was to be written",
        "end the program that writes it, and run this again; nothing was changed",
    )


def _real(path: Path) -> Path:
    """Where the file is, behind its links; it need not exist."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise Fault(
            "ConfigurationUnreadable", f"{path} cannot be found: its links lead nowhere", "mend them"
        ) from error


def _read(real: Path) -> bytes | None:
    try:
        if real.exists() and not real.is_file():
            raise Fault("ConfigurationUnreadable", f"{real} is no file", "take it away, or name another file")
        with real.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Fault(
            "ConfigurationUnreadable",
            f"{real} cannot be read: {error.strerror}",
            "give yourself the right to read it, or name another file",
        ) from error
    if len(content) > MOST_BYTES:
        raise Fault("ConfigurationBroken", f"{real} is longer than {MOST_BYTES} bytes", "name another file")
    return content


def _decoded(real: Path, content: bytes | None) -> str | None:
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1 if content is not None else 1
        raise Fault(
            "ConfigurationBroken", f"line {line} of {real} is no UTF-8 text", "mend the file; nothing was changed in it"
        ) from error


def _check_writable(real: Path, *, make_folder: bool) -> None:
    """Fault where the file could not be replaced.

    Mode bits count for root too: who takes the right to write from a file or folder means it.
    """
    folder = next((parent for parent in real.parents if parent.exists()), real.parent)
    if not folder.is_dir():
        raise _cannot_be_written(real, f"{folder} is no folder")
    if folder != real.parent and not make_folder:
        raise Fault(
            "ConfigurationFolderMissing",
            f"{real} cannot be written: its folder does not exist",
            "start the program once that it belongs to, or name another file",
        )
    if folder.stat().st_mode & 0o222 == 0 or not os.access(folder, os.W_OK | os.X_OK):
        raise _cannot_be_written(real, f"the folder {folder} is read-only")
    if not real.exists():
        return
    status = real.stat()
    if status.st_mode & 0o222 == 0 or not os.access(real, os.W_OK):
        raise _cannot_be_written(real, "it is read-only")
    user = os.geteuid()
    if user not in (0, status.st_uid):
        raise _cannot_be_written(real, f"it belongs to the user with ID {status.st_uid}, and must stay so")


def _make_folders(folder: Path) -> None:
    """Make the folders that are missing, each for its owner alone."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock that Claude Code takes as well, a folder beside the file, and never for longer than a write.

    Where none can be made, as beside a link in a folder of others, it goes on without: the content is compared anyway.
    """
    lock = path.with_name(f"{path.name}.lock")
    held = _take(lock, path)
    try:
        yield
    finally:
        if held:
            with contextlib.suppress(OSError):
                lock.rmdir()


def _take(lock: Path, path: Path) -> bool:
    """Whether the lock is held now; Fault where another program holds it for too long."""
    ends = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            lock.mkdir(mode=0o700)
        except FileExistsError:
            if time.monotonic() > ends:
                raise Fault(
                    "ConfigurationLocked",
                    f"{path} is locked by another program, which holds {lock.name}",
                    "run this again when that one is done; nothing was changed",
                ) from None
            if _is_stale(lock):
                with contextlib.suppress(OSError):
                    lock.rmdir()
            time.sleep(0.05)
        except OSError:
            return False
        else:
            return True


def _is_stale(lock: Path) -> bool:
    try:
        return time.time() - lock.stat().st_mtime > STALE_SECONDS
    except OSError:
        return False


def _write(path: Path, real: Path, before: bytes | None, text: str | None) -> tuple[bool, Path | None]:
    """Replace or delete the file in one step, unless it is not what it was; whether that was done, and the backup."""
    backup = None
    part = real.with_name(f".{real.name}.claudescale.part")
    kept = real.with_name(f"{real.name}.{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S%fZ}.claudescale.bak")
    try:
        if before is not None:
            _create(kept, before, like=real)
            backup = kept
        if text is not None:
            part.unlink(missing_ok=True)
            _create(part, text.encode(), like=real)
        if _real(path) != real or _read(real) != before:
            if backup is not None:
                backup.unlink()
            return False, None
        if text is not None:
            part.replace(real)
        else:
            real.unlink(missing_ok=True)
    except BaseException:
        if backup is not None:
            backup.unlink(missing_ok=True)
        raise
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    _sync(real.parent)
    _forget_old(real)
    return True, backup


def _create(path: Path, content: bytes, *, like: Path) -> None:
    """A new file with mode and owner of `like`, on the disk when this returns; private where that does not exist."""
    status = like.stat() if like.exists() else None
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            if status is not None:
                made = os.fstat(stream.fileno())
                if (status.st_uid, status.st_gid) != (made.st_uid, made.st_gid):
                    os.fchown(stream.fileno(), status.st_uid, status.st_gid)
                os.fchmod(stream.fileno(), status.st_mode & 0o777)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _sync(folder: Path) -> None:
    """Have the new name on the disk; where a file system cannot say so, the write itself has succeeded."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _forget_old(real: Path) -> None:
    """Delete all backups of ours but the newest."""
    with contextlib.suppress(OSError):
        names = (one for one in real.parent.iterdir() if one.name.startswith(real.name))
        ours = sorted(one for one in names if BACKUP.fullmatch(one.name.removeprefix(real.name)))
        for old in ours[:-KEPT]:
            old.unlink()


def _cannot_be_written(real: Path, why: str) -> Fault:
    return Fault(
        "ConfigurationReadOnly",
        f"{real} cannot be written: {why}",
        "make it and its folder writable, or name another file; nothing was changed",
    )

# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Fetch one program with its checksum: it is there whole and right, or nothing of it is there."""

from __future__ import annotations

import hashlib
import http.client
import os
import platform
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault

CHUNK_BYTES = 1 << 20
LARGEST_CHECKSUM_FILE = 4096  # bytes; a page of HTML is no checksum
SHA256 = re.compile(r"[0-9a-f]{64}")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True)
class Release:
    """One program at one address; checksum None: the one that stands beside it, at url + ".sha256"."""

    name: str
    url: str
    checksum: str | None = None  # SHA-256, 64 lower-case hexadecimal digits


def machine() -> str:
    """Name this machine as release sites spell it: linux-amd64, darwin-arm64 ..."""
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    found = platform.machine().lower()
    return f"{sys.platform}-{names.get(found, found)}"


def fetch(release: Release, folder: Path, *, timeout: float) -> Path:
    """Download into folder (made where missing) and return the program's path; timeout in seconds without an answer.

    Fault, and nothing left behind, where the address does not answer or the checksum is another one.
    """
    wanted = release.checksum or _checksum_beside(release, timeout)
    made = _make(folder)
    part = folder / f".{release.name}.part"
    try:
        found = _store(release, part, timeout)
        if found != wanted.lower():
            raise Fault(
                "ChecksumMismatch",
                f"{release.name} from {release.url} has the SHA-256 {found}, wanted is {wanted}",
                "do not use that file; check the address and the checksum option",
            )
        part.chmod(0o755)
        path = folder / release.name
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        for empty in made:
            empty.rmdir()
        raise
    return path


def _make(folder: Path) -> list[Path]:
    """Make the folder and what is missing above it; the new folders, innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Fault(
            "DownloadFolder", f"folder {folder} cannot be made ({error.strerror})", "name another download folder"
        ) from error
    return missing


def _checksum_beside(release: Release, timeout: float) -> str:
    url = f"{release.url}.sha256"
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise Fault(
            "DownloadUnsafe",
            f"{url} is no encrypted address, so its checksum proves nothing",
            "use https, or give the checksum as an option",
        )
    with _open(url, timeout) as answer:
        text = answer.read(LARGEST_CHECKSUM_FILE).decode("ascii", "replace").split()
    if not text or not SHA256.fullmatch(text[0].lower()):
        raise Fault(
            "ChecksumMissing",
            f"{url} holds no SHA-256 checksum",
            "check the address, or give the checksum as an option",
        )
    return text[0].lower()


def _store(release: Release, part: Path, timeout: float) -> str:
    """Write the download to part; its SHA-256."""
    digest = hashlib.sha256()
    with _open(release.url, timeout) as answer:
        try:
            with part.open("wb") as file:
                while chunk := answer.read(CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
        except http.client.HTTPException as error:
            raise _unanswered(release.url, repr(error)) from error
        except OSError as error:
            raise _unanswered(release.url, str(error)) from error
    return digest.hexdigest()


def _open(url: str, timeout: float) -> http.client.HTTPResponse:
    if urllib.parse.urlsplit(url).scheme not in ("https", "http"):
        raise Fault("DownloadAddress", f"{url} is no http or https address", "correct the base URL option")
    try:
        answer: http.client.HTTPResponse = urllib.request.build_opener().open(url, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        raise _unanswered(url, f"HTTP status {error.code}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _unanswered(url, str(getattr(error, "reason", error))) from error
    return answer


def _unanswered(url: str, why: str) -> Fault:
    return Fault(
        "DownloadFailed",
        f"{url} could not be downloaded: {why}",
        "install the program on PATH, or name an address that this host reaches",
    )

# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What an API server's answers and silences mean: the errors that callers of a ClusterClient see, one sentence each."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

try:
    from urllib3.exceptions import NewConnectionError
    from urllib3.exceptions import TimeoutError as UrllibTimeoutError
except ImportError:  # said when a client is made
    pass

SHOWN = 200  # characters of an answer that is no Status object


class ClusterStopped(ClaudeScaleError):  # noqa: N818 - a state of the world, not a mistake
    """Nothing answers where the context points, or there is no such context; a request may have been received."""


class ApiError(ClaudeScaleError):
    """The API server refused a request.

    `status` is its HTTP code, `reason` the Status object's (Conflict, AlreadyExists, NotFound, Invalid, Forbidden,
    Expired; "" where there is none), `retry_after` the seconds that it asks to wait (None: it does not say).
    """

    def __init__(self, message: str, status: int, *, reason: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


def refusal(status: int, headers: Mapping[str, str], body: bytes, asked: str) -> ApiError:
    """The error of an answer above 299; `asked` is shown where the body says nothing."""
    said = _parsed(body)
    message = said.get("message") or " ".join(body.decode(errors="replace").split())[:SHOWN] or asked
    return ApiError(
        f"the API server answered {status}: {message}",
        status,
        reason=str(said.get("reason") or ""),
        retry_after=_seconds(headers.get("Retry-After"), said),
    )


def watch_refusal(status: Any) -> ApiError:
    """The error of a watch's ERROR event, from its object, which should be a Status."""
    said = status if isinstance(status, dict) else {}
    code = said.get("code")
    return ApiError(
        f"the watch ended: {said.get('message') or 'the API server does not say why'}",
        code if isinstance(code, int) else 500,
        reason=str(said.get("reason") or ""),
        retry_after=_seconds(None, said),
    )


def unreachable(error: BaseException, host: str, context: str) -> ClaudeScaleError:
    """The error of a request without an answer; `context` is "" where no kubeconfig context leads to the host."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        where = f"of context {context}" if context else f"at {host}"
        return ClaudeScaleError(f"the API server {where} shows a certificate that is not its own")
    if context:
        return ClusterStopped(f"the cluster is stopped: make up ({host} {_why(error)})")
    return ClusterStopped(f"the API server at {host} {_why(error)}")


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _seconds(header: str | None, status: Mapping[str, Any]) -> float | None:
    details = status.get("details")
    for value in (header, details.get("retryAfterSeconds") if isinstance(details, dict) else None):
        with contextlib.suppress(TypeError, ValueError):  # Retry-After may be a date: Kubernetes sends seconds
            if value is not None and float(value) > 0:
                return float(value)
    return None


def _why(error: BaseException) -> str:
    chain: list[BaseException] = []
    link: object = error
    while isinstance(link, BaseException) and link not in chain:
        chain.append(link)
        link = getattr(link, "reason", None) or link.__cause__ or link.__context__
    if any(isinstance(found, ConnectionRefusedError) for found in chain):
        return "refuses connections"
    # urllib3 derives "no connection" from "no connection in time".
    if any(isinstance(found, NewConnectionError) for found in chain):
        return "cannot be reached"
    if any(isinstance(found, (UrllibTimeoutError, TimeoutError)) for found in chain):
        return "does not answer"
    return "cannot be reached"
